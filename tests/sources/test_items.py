"""The items of a job: lazy, in order, with stable ids; a bad row or picture is an item with a problem."""

import os
import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from pipeline.errors import ItemRefused, SpecError
from pipeline.models import Item
from pipeline.sources.check import check_sources
from pipeline.sources.ids import make_id
from pipeline.sources.items import read_items
from pipeline.sources.pictures import read_picture
from tests.support.fixtures import Job


def ids(found: list[Item]) -> list[str]:
    return [item.id for item in found]


def test_items_come_in_the_order_of_the_job_file(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,url,market\nM1,https://h.example/1.jpg,US\nM2,https://h.example/2.jpg,\n")
    (tmp_path / "b.jpg").touch()
    (tmp_path / "a.jpg").touch()
    spec = job(
        "{id: U1, url: 'https://h.example/0.jpg', labels: {client: acme}}",
        "{manifest: p.csv, labels: {client: acme, market: all}}",
        "{path: '*.jpg'}",
        "{id: L1, path: a.jpg}",
    )
    assert list(read_items(spec)) == [
        Item("U1", "https://h.example/0.jpg", False, "images[0]", {"client": "acme"}),
        Item("M1", "https://h.example/1.jpg", False, "p.csv:2", {"client": "acme", "market": "US"}),
        Item("M2", "https://h.example/2.jpg", False, "p.csv:3", {"client": "acme", "market": "all"}),
        Item("a", "a.jpg", True, "images[2]", {}),
        Item("b", "b.jpg", True, "images[2]", {}),
        Item("L1", "a.jpg", True, "images[3]", {}),
    ]


def test_an_id_by_hash_is_the_same_in_every_run_and_on_every_machine() -> None:
    assert make_id("https://cdn.example.com/1001.jpg") == "b54dc5f6b5b4763e"
    assert make_id("photos/b.jpg") != make_id("photos/a.jpg")


def test_the_same_source_has_the_same_id_however_it_is_listed(job: Job, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "p.csv").write_text("url,path\nhttps://h.example/1.jpg,\n,a.jpg\n")
    found = list(
        read_items(job("{url: 'https://h.example/1.jpg'}", "{path: a.jpg}", "{path: '?.jpg'}", "{manifest: p.csv}"))
    )
    url, one, glob, row_url, row_path = ids(found)
    assert url == row_url
    assert one == glob == row_path


def test_the_first_items_of_a_long_manifest_need_neither_its_rest_nor_its_memory(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("url,client\n" + "https://h.example/some-picture-or-other.jpg,acme\n" * 200_000)
    spec = job("{manifest: p.csv}")
    tracemalloc.start()
    try:
        found = list(islice(read_items(spec), 100))
        check_sources(spec)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[99].origin == "p.csv:101"
    assert peak < 1_000_000  # the file has 8 MB


# --- local pictures ---


def test_a_pattern_names_regular_files_and_links_sorted_and_nothing_else(job: Job, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    (photos / "folder.jpg").mkdir()
    for name in ("c.jpg", "a.jpg", "B.jpg", "sub/d.jpg", ".hidden.jpg", "a.png"):
        (photos / name).touch()
    os.mkfifo(photos / "pipe.jpg")
    (photos / "link.jpg").symlink_to("a.jpg")
    assert [item.source for item in read_items(job("{path: photos/*.jpg}"))] == [
        "photos/B.jpg",
        "photos/a.jpg",
        "photos/c.jpg",
        "photos/link.jpg",
    ]
    assert [item.source for item in read_items(job("{path: 'photos/**/*.jpg'}"))] == [
        "photos/B.jpg",
        "photos/a.jpg",
        "photos/c.jpg",
        "photos/link.jpg",
        "photos/sub/d.jpg",
    ]


def test_a_link_out_of_the_root_stays_an_item_and_fails_when_it_is_read(job: Job, tmp_path: Path) -> None:
    (tmp_path / "outside.jpg").touch()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").symlink_to("../outside.jpg")
    spec = job("{path: '*.jpg'}", more="root: in\nupload: {public: true}")
    [item] = read_items(spec)
    assert item.problem is None
    with pytest.raises(ItemRefused, match="leaves the job's root"):
        read_picture(spec.root_path, item.source)


@pytest.mark.parametrize("path", ["../a.jpg", "sub/../../a.jpg", "/etc/a.jpg", "../*.jpg", "/**", "C:/a.jpg", "..\\a"])
def test_a_path_that_leaves_the_root_is_refused_in_the_job_file(job: Job, path: str) -> None:
    spec = job(f"{{path: '{path}'}}")
    for look in (check_sources, lambda spec: list(read_items(spec))):
        with pytest.raises(SpecError, match=r"images\[0\]\.path: .* leaves the job's root"):
            look(spec)


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "a\\\\..\\\\..\\\\b", "a\\u0000.jpg", "C:\\\\a.jpg"])
def test_a_path_that_leaves_the_root_is_a_bad_row_in_a_manifest(job: Job, tmp_path: Path, path: str) -> None:
    (tmp_path / "p.jsonl").write_text(f'{{"id": "S1", "path": "{path}"}}\n')
    [item] = read_items(job("{manifest: p.jsonl}"))
    assert item.problem is not None
    assert "leaves the job's root" in item.problem.message


def test_a_pattern_that_names_nothing_is_refused(job: Job, tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    spec = job("{path: '*.jpg'}")
    for look in (check_sources, lambda spec: list(read_items(spec))):
        with pytest.raises(SpecError, match=r"images\[0\]\.path: no file matches \*\.jpg"):
            look(spec)


def test_a_file_named_alone_is_an_item_even_when_it_is_not_there(job: Job) -> None:
    """It fails when it is read; it is never dropped."""
    assert [item.source for item in read_items(job("{path: missing.jpg}"))] == ["missing.jpg"]


def test_a_file_name_that_is_not_utf_8_is_an_item_with_a_problem(job: Job, tmp_path: Path) -> None:
    os.close(os.open(os.fsencode(tmp_path) + b"/\xb1\xb2.jpg", os.O_CREAT | os.O_WRONLY))
    (tmp_path / "good.jpg").touch()
    good, bad = read_items(job("{path: '*.jpg'}"))
    assert good.problem is None
    assert bad.problem is not None
    assert "not UTF-8 text; rename it" in bad.problem.message
    assert bad.source.encode()  # the journal and the record can hold it
    assert bad.problem.message.isprintable()


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        pytest.param("upload: {public: false}", False, id="the vendor, not allowed"),
        pytest.param("upload: {public: true}", True, id="the vendor, allowed"),
        pytest.param("api: {base_url: sandbox}", True, id="the sandbox"),
        pytest.param("api: {base_url: 'http://127.0.0.1:8080'}", True, id="this machine"),
        pytest.param("api: {base_url: 'https://localhost'}", True, id="this machine by name"),
        pytest.param("api: {base_url: 'https://localhost.example'}", False, id="another machine"),
    ],
)
def test_local_pictures_leave_this_machine_only_when_that_is_allowed(
    job: Job, tmp_path: Path, more: str, allowed: bool
) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "p.csv").write_text("url,path\n,a.jpg\nhttps://h.example/1.jpg,\n")
    spec = job("{path: a.jpg}", "{path: '*.jpg'}", "{manifest: p.csv}", more=more)
    one, glob, row, url = read_items(spec)
    assert url.problem is None
    for item in (one, glob, row):
        assert (item.problem is None) is allowed
        assert item.local
    if allowed:
        check_sources(spec)
    else:
        assert one.problem is not None
        assert one.problem.code == "not_public"
        assert "upload: {public: true}" in one.problem.message
        with pytest.raises(SpecError, match="publicly reachable"):
            check_sources(spec)


# --- rows that cannot be used ---


@pytest.mark.parametrize(
    ("row", "id_", "words"),
    [
        pytest.param("S1,,", "S1", "a row names one of url and path", id="no source"),
        pytest.param("S1,https://h.example/1.jpg,a.jpg", "S1", "this one names both", id="two sources"),
        pytest.param("S1,ftp://h/1.jpg,", "S1", "starts with https://", id="another scheme"),
        pytest.param("S1,https://me:word@h/1.jpg,", "S1", "user name or password", id="userinfo"),
        pytest.param(f"{'x' * 129},https://h.example/1.jpg,", "lists/p.csv:2", "1 to 128 characters", id="a long id"),
        pytest.param("e\u0301,https://h.example/1.jpg,", "lists/p.csv:2", "NFC", id="an id that is not NFC"),
        pytest.param("S1,photos/a.JPG,", "S1", "'photos/a.JPG' is a path in the column of URLs", id="a path for a URL"),
        pytest.param(
            "S1,,https://h.example/a.jpg", "S1", "'https://h.example/a.jpg' is a URL in the column of paths", id="a URL"
        ),
        pytest.param("S1", "S1", "a row names one of url and path", id="too few cells"),
        pytest.param(
            "S1,https://h.example/1,,x", "lists/p.csv:2", "4 cells where the header has 3", id="too many cells"
        ),
    ],
)
def test_a_bad_row_is_an_item_with_a_problem_that_names_its_line(
    job: Job, tmp_path: Path, row: str, id_: str, words: str
) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "p.csv").write_text(f"id,url,path\n{row}\nS2,https://h.example/2.jpg,\n")
    bad, good = read_items(job("{manifest: lists/p.csv}"))
    assert bad.problem is not None
    assert (bad.id, bad.origin) == (id_, "lists/p.csv:2")
    assert (bad.problem.stage, bad.problem.code, bad.problem.retryable) == ("read", "bad_row", False)
    assert bad.problem.message.startswith("lists/p.csv:2: ")
    assert words in bad.problem.message
    assert (good.id, good.problem) == ("S2", None)


@pytest.mark.parametrize(
    "row", ["S1,https://me:word@h/1.jpg,", "S1,,HTTP://me:word@h/1.jpg", "S1,http://me:word@h/1.jpg,a.jpg"]
)
def test_a_password_in_a_listed_url_goes_no_further(job: Job, tmp_path: Path, row: str) -> None:
    (tmp_path / "p.csv").write_text(f"id,url,path\n{row}\n")
    [bad] = read_items(job("{manifest: p.csv}"))
    assert bad.problem is not None
    assert "word@" not in f"{bad}"
    assert "***@h/1.jpg" in bad.source


def test_bad_rows_of_two_manifests_of_one_name_do_not_share_an_id(job: Job, tmp_path: Path) -> None:
    for folder in ("jan", "feb"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "p.csv").write_text("url\nno url\n")
    assert len(set(ids(list(read_items(job("{manifest: jan/p.csv}", "{manifest: feb/p.csv}")))))) == 2


def test_file_with_brackets_in_its_name_is_itself(job: Job, tmp_path: Path) -> None:
    for name in ("br[1].jpg", "br1.jpg"):
        (tmp_path / name).touch()
    spec = job("{path: 'br[1].jpg'}", "{path: 'br[12].jpg'}")
    check_sources(spec)
    assert [item.source for item in read_items(spec)] == ["br[1].jpg", "br1.jpg"]


def test_tilde_is_the_home_of_the_person(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "p.csv").write_text("id,url\nA,https://h.example/1.jpg\n")
    spec = job("{manifest: ~/p.csv}", more="root: ~/photos\noutput: {dir: ~/runs}")
    assert [item.id for item in read_items(spec)] == ["A"]
    assert spec.root_path == (tmp_path / "home" / "photos").resolve()
    assert spec.place(spec.output.dir) == tmp_path / "home" / "runs"
    (tmp_path / "~").mkdir()  # as an earlier version made it: a run goes on where it is
    assert spec.place(spec.output.dir) == tmp_path / "~" / "runs"
