"""Schema 1 of the record, pinned: fields may be added at a release of their own, never removed, renamed or moved."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import __version__
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.models import Calls, Choice, Hits, Item, Problem, State, Task, Upload, Work
from pipeline.outcomes import NoHits, SearchOnly, Settled, Tasked
from pipeline.results.record import RecordLines

AT = 1_795_262_400.0  # 2026-11-21T12:00:00Z
ARRAY = '[ {"patent_id":"1","title":"手提包 \\u5305","score":0.990,"new":[1e2]} , {"patent_id":"2","score":0.90} ]'
HITS = Hits(ARRAY.encode(), (0.99, 0.9), (True, True), 20783, "req-1", AT)
NONE = Hits(b"[]", (), (), 0, "req-2", AT)
TASKED = Tasked(HITS, Choice(HITS.array, 2, 1), Task("task-1", AT + 5))
PROBLEM = Problem("create", "no_answer", "the answer never came", "in_doubt", False, "req-3", None)

# The pinned keys and their order. A new field is added here; a line that must be changed otherwise breaks every reader.
HEAD = ["schema", "job", "item", "status", "vendor", "tool", "spec_sha256", "image", "search", "task", "calls"]
PARTS = {
    "image": ["source", "url", "sha256", "labels"],
    "search": [
        "endpoint",
        "params",
        "request_id",
        "total",
        "hits",
        "last_score",
        "truncated",
        "at",
        "expires_at",
    ],
    "task": ["task_id", "report_lang", "country", "hits", "hits_dropped", "at", "expires_at"],
    "calls": ["upload", "search", "create"],
    "error": ["stage", "code", "message", "consequence", "retryable", "request_id", "correlation_id"],
}
SETTLED_KEYS = [*HEAD, "hits"]
OPEN_KEYS = [*HEAD, "error", "hits"]
TWIN_KEYS = [*HEAD, "same_as", "hits"]


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    return job(tmp_path)


def job(folder: Path, more: str = "task: {country: [US]}\n") -> JobSpec:
    file = folder / "job.yaml"
    file.write_text(f"version: 1\nname: autumn\nimages: [{{url: 'https://h.example/1.jpg'}}]\n{more}")
    return load_job(file)


def remote(id_: str = "SKU-1") -> Work:
    item = Item(id_, "https://h.example/1.jpg", False, "images[0]", {"client": "acme"})
    return Work(1, item, Calls(search=1, create=1))


def settled(spec: JobSpec, outcome: Settled, work: Work | None = None) -> bytes:
    return bytes(RecordLines(spec, "abc").settled(work or remote(), outcome)[1])


def read(line: bytes) -> dict[str, Any]:
    """Decode a line; it is one line."""
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    record = json.loads(line)
    assert isinstance(record, dict)
    return record


def assert_parts_pinned(record: dict[str, Any]) -> None:
    for part, keys in PARTS.items():
        if record.get(part) is not None:
            assert list(record[part]) == keys, part


@pytest.mark.parametrize(
    ("outcome", "state", "status"),
    [
        pytest.param(TASKED, State.TASKED, "tasked", id="tasked"),
        pytest.param(NoHits(NONE), State.NO_HITS, "no_hits", id="no_hits"),
        pytest.param(SearchOnly(HITS), State.SEARCH_ONLY, "searched", id="searched"),
    ],
)
def test_a_settled_record_has_the_pinned_keys_in_the_pinned_order(
    spec: JobSpec, outcome: Settled, state: State, status: str
) -> None:
    found, line, task = RecordLines(spec, "abc").settled(remote(), outcome)
    record = read(bytes(line))
    assert list(record) == SETTLED_KEYS
    assert (found, record["schema"], record["status"]) == (state, 1, status)
    assert_parts_pinned(record)
    assert record["search"] is not None
    assert (record["task"] is None) == (task is None) == (status != "tasked")


@pytest.mark.parametrize(
    ("state", "status"), [(State.FAILED, "failed"), (State.IN_DOUBT, "in_doubt"), (State.EXPIRED, "expired")]
)
@pytest.mark.parametrize("searched", [True, False], ids=["searched before", "never searched"])
def test_an_open_record_has_the_pinned_keys_and_says_why(
    spec: JobSpec, state: State, status: str, searched: bool
) -> None:
    work = remote()
    work.hits = HITS if searched else None
    record = read(RecordLines(spec, "abc").open(work, state, PROBLEM))
    assert list(record) == OPEN_KEYS
    assert_parts_pinned(record)
    assert (record["status"], record["task"]) == (status, None)
    assert (record["search"] is not None, len(record["hits"])) == (searched, 2 * searched)
    assert record["error"] == {
        "stage": "create",
        "code": "no_answer",
        "message": "the answer never came",
        "consequence": "in_doubt",
        "retryable": False,
        "request_id": "req-3",
        "correlation_id": None,
    }


def test_a_whole_record_is_what_the_design_shows(spec: JobSpec) -> None:
    record = read(settled(spec, TASKED))
    hits = record.pop("hits")
    assert record == {
        "schema": 1,
        "job": "autumn",
        "item": "SKU-1",
        "status": "tasked",
        "vendor": "connect.patsnap.com",
        "tool": __version__,
        "spec_sha256": "abc",
        "image": {
            "source": "https://h.example/1.jpg",
            "url": "https://h.example/1.jpg",
            "sha256": None,
            "labels": {"client": "acme"},
        },
        "search": {
            "endpoint": "P009",
            "params": {"limit": 100},
            "request_id": "req-1",
            "total": 20783,
            "hits": 2,
            "last_score": 0.9,
            "truncated": True,
            "at": "2026-11-21T12:00:00.000Z",
            "expires_at": "2026-11-21T21:00:00.000Z",
        },
        "task": {
            "task_id": "task-1",
            "report_lang": "en",
            "country": ["US"],
            "hits": 2,
            "hits_dropped": 1,
            "at": "2026-11-21T12:00:05.000Z",
            "expires_at": "2026-11-21T20:00:05.000Z",
        },
        "calls": {"upload": 0, "search": 1, "create": 1},
    }
    assert [hit["patent_id"] for hit in hits] == ["1", "2"]


def test_hits_are_the_vendors_bytes_and_the_last_field(spec: JobSpec) -> None:
    for outcome in (TASKED, SearchOnly(HITS)):
        assert settled(spec, outcome).endswith(b',"hits":' + ARRAY.encode() + b"}\n")


@pytest.mark.parametrize(("keep", "kept"), [("all", 2), (2, 2), (1, 1), (0, 0)])
def test_a_record_keeps_as_many_hits_as_asked_and_says_how_many_there_were(
    tmp_path: Path, keep: int | str, kept: int
) -> None:
    record = read(settled(job(tmp_path, f"output: {{hits: {keep}}}\n"), TASKED))
    assert len(record["hits"]) == kept
    assert (record["search"]["hits"], record["search"]["last_score"]) == (2, 0.9)


@pytest.mark.parametrize(
    ("hits", "last_score", "truncated"),
    [
        pytest.param(HITS, 0.9, True, id="more at the vendor"),
        pytest.param(Hits(b"[{}]", (None,), (False,), 1, "r", AT), None, False, id="without a score"),
        pytest.param(NONE, None, False, id="none"),
    ],
)
def test_what_was_not_returned_is_said(spec: JobSpec, hits: Hits, last_score: float | None, truncated: bool) -> None:
    search = read(settled(spec, NoHits(hits)))["search"]
    assert (search["last_score"], search["truncated"]) == (last_score, truncated)


def test_a_local_picture_is_named_by_its_path_its_upload_and_its_digest(spec: JobSpec) -> None:
    work = Work(1, Item("商", "photos/包.jpg", True, "images[0]", {}), Calls(upload=1, search=2))
    assert read(settled(spec, NoHits(NONE), work))["image"]["url"] is None
    work.upload, work.sha256 = Upload("https://up/1", AT), "digest"
    record = read(settled(spec, NoHits(NONE), work))
    assert record["image"] == {"source": "photos/包.jpg", "url": "https://up/1", "sha256": "digest", "labels": {}}
    assert record["calls"] == {"upload": 1, "search": 2, "create": 0}


def test_text_of_people_cannot_break_a_line(spec: JobSpec) -> None:
    item = Item('a"b\\', "https://h.example/1.jpg", False, "images[0]", {"note": "line\r\nbreak \u2028 \x00"})
    record = read(settled(spec, NoHits(NONE), Work(1, item, Calls())))
    assert (record["item"], record["image"]["labels"]["note"]) == ('a"b\\', "line\r\nbreak \u2028 \x00")


@pytest.mark.parametrize(
    ("outcome", "status"), [(TASKED, "tasked"), (NoHits(NONE), "no_hits"), (SearchOnly(HITS), "searched")]
)
def test_a_twin_shares_search_task_and_hits_and_names_whose_without_a_call(
    spec: JobSpec, outcome: Settled, status: str
) -> None:
    line = settled(spec, outcome)
    first = read(line)
    work = Work(2, Item("SKU-2", "https://h.example/1.jpg", False, "images[1]", {"client": "b"}), Calls())
    twin_line = RecordLines(spec, "def").twin(work, line)
    twin = read(twin_line)
    assert list(twin) == TWIN_KEYS
    assert_parts_pinned(twin)
    assert (twin["item"], twin["same_as"], twin["status"], twin["spec_sha256"]) == ("SKU-2", "SKU-1", status, "def")
    assert (twin["search"], twin["task"], twin["hits"]) == (first["search"], first["task"], first["hits"])
    assert twin["calls"] == {"upload": 0, "search": 0, "create": 0}
    assert twin["image"] == {**first["image"], "labels": {"client": "b"}}
    assert twin_line.rpartition(b',"hits":')[2] == line.rpartition(b',"hits":')[2]


def test_a_twin_of_a_line_with_fields_of_a_later_version_is_written_all_the_same(spec: JobSpec) -> None:
    line = settled(spec, TASKED).replace(b'{"schema":1,', b'{"schema":1,"added_later":{"x":1},', 1)
    assert read(RecordLines(spec, "def").twin(remote("SKU-2"), line))["same_as"] == "SKU-1"


def test_a_record_of_the_sandbox_says_so(tmp_path: Path) -> None:
    assert read(settled(job(tmp_path, "api: {base_url: sandbox}\n"), TASKED))["vendor"] == "sandbox"


@pytest.mark.parametrize(
    ("search", "params"),
    [
        ("{}", {"limit": 100}),
        ("{limit: 7, filters: {loc: 06-01, offset: 0}}", {"limit": 7, "loc": "06-01", "offset": 0}),
        ("{endpoint: P060}", {"limit": 100, "model": 1, "patent_type": "D", "is_https": 1}),
        (
            "{endpoint: P060, model: 3, patent_type: U, filters: {country: [US], stemming: 0}}",
            {"limit": 100, "country": ["US"], "stemming": 0, "model": 3, "patent_type": "U", "is_https": 1},
        ),
    ],
)
def test_the_search_is_told_what_was_asked_and_nothing_else(
    tmp_path: Path, search: str, params: dict[str, Any]
) -> None:
    spec = job(tmp_path, f"search: {search}\n")
    assert spec.search.params == params
    assert read(settled(spec, TASKED))["search"]["params"] == params
