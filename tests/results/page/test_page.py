import json
import os
import re
import stat
import tracemalloc
from importlib.resources import files
from pathlib import Path

import pytest

from pipeline.results.page import words
from pipeline.results.page.page import write_report
from pipeline.results.page.words import STATUSES
from pipeline.results.survey import survey
from tests.support.report_records import COUNTS, hit, page, record, run, surveys

FORBIDDEN = re.compile(
    r"\b(safe|safely|clear|cleared|clean|harmless|(not|non|no|isn't|doesn't)[ -]infring\w*|"
    r"(no|without|low)[ -]risk|risk[ -]free)\b",
    re.IGNORECASE,
)


def places(text: str, *parts: str) -> list[int]:
    return [text.index(part) for part in parts]


def test_a_settled_item_is_shown_with_its_hits_and_its_task(tmp_path: Path) -> None:
    text = page(tmp_path, record())
    for part in (
        "SKU-1",
        "acme",
        "Task created",
        "80d42f2c",
        "expires 21 Nov 2026, 18:00 UTC",
        "0.9134",
        "USD0554568S1",
        "Tote bag",
        "The vendor found 20,783 in all; hits beyond the first 1 were not looked at.",
    ):
        assert part in text, part


def test_no_hits_says_what_was_asked_and_nothing_more(tmp_path: Path) -> None:
    assert "Nothing found at or above the asked score within the filters." in page(tmp_path, record(status="no_hits"))


def test_hits_below_the_asked_score_are_named_as_such(tmp_path: Path) -> None:
    below = record(status="no_hits", search={"total": 9, "hits": 1}, hits=[hit(0.2)])
    assert "within the filters. Below that score: 1 hit." in page(tmp_path, below)


@pytest.mark.parametrize("status", ["failed", "in_doubt", "expired"])
def test_an_open_item_says_what_is_wrong_and_what_to_do(tmp_path: Path, status: str) -> None:
    text = page(tmp_path, record(status=status))
    assert "The vendor does not accept this picture file." in text
    assert "What to do</dt><dd>" in text
    assert "<code>r-1</code>" in text


def test_what_to_do_is_what_the_line_says(tmp_path: Path) -> None:
    failed = record(status="failed") | {"todo": "correct line 3 of p.csv, then `pipeline run` the job file"}
    assert "Correct line 3 of p.csv, then `pipeline run` the job file." in page(tmp_path, failed)


@pytest.mark.parametrize(
    ("ended_by", "daily", "todo"),
    [
        ("", False, "Run the same job again: it goes on where it stopped"),
        ("budget", False, "Raise the budget that is used up, then run the same job again"),
        ("67200007", True, "Wait until the account&#39;s limit for the day is lifted"),
        ("67200005", False, "Top up the account"),
        ("67200004", False, "Look after what ended the run"),
    ],
)
def test_what_to_do_about_items_not_started_follows_from_what_ended_the_run(
    tmp_path: Path, ended_by: str, daily: bool, todo: str
) -> None:
    assert todo in page(tmp_path, record(), view=run(ended_by=ended_by, daily=daily))


def test_open_items_come_first_then_settled_ones_the_most_alike_first(tmp_path: Path) -> None:
    settled = [
        record("far", hits=[hit(0.2), hit(0.1)]),
        record("near", hits=[hit(0.3), hit(0.99)]),
        record("none", "no_hits"),
        record("also near", "searched", hits=[hit(0.99)]),
        record("odd", hits=[hit("0.999"), hit(True)]),
    ]
    text = page(tmp_path, *settled, record("Z", "failed"), record("Y", "in_doubt"))
    assert re.findall(r"<h3><bdi>(.*?)</bdi>", text) == ["Z", "Y", "near", "also near", "far", "none", "odd"]
    assert "the highest score first" in text


def test_only_the_five_highest_scores_are_shown(tmp_path: Path) -> None:
    scores = [0.1, 0.9, None, 0.3, 0.8, "0.95", 0.7, 0.6, True]
    text = page(tmp_path, record(hits=[hit(score) for score in scores], search={"hits": 9, "total": 9}))
    assert re.findall(r"<b>(\d\.\d{4})</b>", text) == ["0.9000", "0.8000", "0.7000", "0.6000", "0.3000"]
    assert "The 5 most alike of 9 hits." in text


def test_counts_add_up_to_all_items(tmp_path: Path) -> None:
    text = page(tmp_path)
    tallies = re.findall(r'class="mark".*?</svg><b>([\d,]+)</b>', text)
    assert [int(tally) for tally in tallies] == list(COUNTS.values())
    assert re.findall(r"<h3><b>(\d+)</b>", text) == ["3", "2", "3"]
    assert '<p class="total"><b>8</b><span>items' in text


def test_an_unknown_status_in_the_counts_is_a_bug() -> None:
    with pytest.raises(ValueError, match="'taskt' is no status"):
        run(counts={"taskt": 1})


def test_next_steps_name_every_open_kind_and_the_first_expiry(tmp_path: Path) -> None:
    late = record("SKU-2")
    late["task"]["expires_at"] = "2026-11-21T17:30:00.000Z"
    text = page(tmp_path, record(), late)
    for part in ("1 item is in doubt.", "1 item failed.", "3 items were not started.", "2 items have a task."):
        assert part in text, part
    assert "The first one expires on 21 Nov 2026, 17:30 UTC." in text


def test_what_was_not_looked_at_is_near_the_top(tmp_path: Path) -> None:
    text = page(tmp_path, record())
    wanted = places(text, "Not looked at</h2>", "<li>utility models</li>", "<article")
    assert wanted == sorted(wanted)


def shown(text: str) -> tuple[list[str], list[str]]:
    """The items with pictures and those in a list, in their order."""
    return re.findall(r"<h3><bdi>(\w+)</bdi>", text), re.findall(r"<td><bdi>(\w+)</bdi>", text)


def test_no_item_is_left_out_however_many_there_are(tmp_path: Path) -> None:
    settled = [record(f"S{number}", hits=[hit(number / 10)]) for number in range(9)]
    failed = [record(f"F{number}", "failed") for number in range(3)]
    text = page(tmp_path, *settled, *failed, view=run(counts={"tasked": 9, "failed": 3}), most=5)
    assert shown(text) == (["F0", "F1", "F2", "S8", "S7"], ["S6", "S5", "S4", "S3", "S2", "S1", "S0"])
    assert "All items are on this page. The first 5 have their pictures" in text
    assert "<td>Task created</td><td>0.6000</td><td>USD0554568S1</td><td>80d42f2c</td>" in text


def test_open_items_alone_can_fill_the_page(tmp_path: Path) -> None:
    records = [record("S"), *(record(f"F{number}", "failed") for number in range(4))]
    text = page(tmp_path, *records, view=run(counts={"tasked": 1, "failed": 4}), most=2)
    assert shown(text) == (["F0", "F1"], ["F2", "F3", "S"])


def test_a_page_with_all_pictures_speaks_of_no_list(tmp_path: Path) -> None:
    assert "All items are on this page" not in page(tmp_path, record(), view=run(counts={"tasked": 1}))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("finished", "As of 21 Nov 2026, 11:30 UTC: the run had come to its end."),
        ("interrupted", "As of 21 Nov 2026, 11:30 UTC: the run had been interrupted before it came to its end;"),
        (
            "running",
            "As of 21 Nov 2026, 11:30 UTC: the run was still going on, and what came later is not",
        ),
    ],
)
def test_the_page_says_as_of_when_and_of_which_state_it_is(tmp_path: Path, state: str, said: str) -> None:
    assert said in page(tmp_path, record(), view=run(state=state, as_of="2026-11-21T11:30:00.000Z"))


@pytest.mark.proofs
def test_a_page_is_written_in_flat_memory(tmp_path: Path) -> None:
    """Two thousand records of 100 KB are 200 MB; a page of them holds one at a time."""
    padding = "x" * 1000
    hits = [hit(0.5, padding=padding) for _ in range(100)]
    (tmp_path / "open.jsonl").write_bytes(b"")
    with (tmp_path / "results.jsonl").open("wb") as file:
        for number in range(2000):
            file.write(json.dumps(record(f"S{number}", hits=hits)).encode() + b"\n")
    tracemalloc.start()
    try:
        settled, open_ = survey(tmp_path / "results.jsonl"), survey(tmp_path / "open.jsonl")
        write_report(tmp_path / "report.html", run(), open_, settled, picture=lambda *_: None, most=100)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "report.html").read_text().count("<bdi>S") == 2000


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"{", id="no record"),
        pytest.param(b'{"schema":1,"item":"x","status":"done","image":{"source":""}}', id="status of a later version"),
        pytest.param(b'{"schema":1,"item":"x","status":"tasked","image":{"source":""},"hits":7}', id="hits no list"),
    ],
)
def test_a_line_that_cannot_be_read_is_counted_and_the_rest_is_shown(tmp_path: Path, line: bytes) -> None:
    text = page(tmp_path, line, record())
    assert "1 line of the results could not be read and is missing below." in text
    assert "USD0554568S1" in text


def test_sandbox_results_are_named_as_such(tmp_path: Path) -> None:
    told = "These results come from the sandbox’s drawn gallery, not from a real patent database."
    assert told in page(tmp_path, record(), view=run(vendor="sandbox"))
    assert "sandbox" not in page(tmp_path, record()).split("</style>")[1].split("</symbol>\n</svg>")[1]


def test_an_item_that_shares_a_picture_says_with_whom(tmp_path: Path) -> None:
    assert "Shows the same picture as <b><bdi>SKU-9</bdi></b>" in page(tmp_path, record(same_as="SKU-9"))


def test_no_word_consoles(tmp_path: Path) -> None:
    statuses = tuple(word for word in STATUSES if word != "not_started")
    whole = page(tmp_path, *(record(status, status) for status in statuses), view=run(vendor="sandbox"))
    template = files("pipeline.results.page").joinpath("report.html.j2").read_text(encoding="utf-8")
    said = Path(words.__file__).read_text(encoding="utf-8")
    for text in (template, whole, said):
        assert not FORBIDDEN.search(text), FORBIDDEN.search(text)


COMPARED = {"patent_id": "p-1", "hit": 0, "patent_pn": "US1S", "title": "Lamp", "score": 80, "score_of_1": 0.8}
VENDORS = re.compile(r"<dl data-vendor>.*?</dl>", re.DOTALL)


def reported(*comparisons: dict[str, object]) -> dict[str, object]:
    return record(status="reported", comparisons=list(comparisons), report={"task_status": 2})


def test_what_the_vendor_writes_is_quoted_as_its_words_and_stands_nowhere_else(tmp_path: Path) -> None:
    said = {"risk_level": "Low risk", "suggestion": "It is safe <b>to sell</b>"}
    whole = page(tmp_path, reported(COMPARED | said))
    assert "The vendor writes" in whole
    for text in ("<q>Low risk</q>", "<q>80</q>", "<q>It is safe &lt;b&gt;to sell&lt;/b&gt;</q>"):
        assert text in whole
    assert not FORBIDDEN.search(VENDORS.sub("", whole))


def test_a_report_that_compares_no_patent_is_no_finding(tmp_path: Path) -> None:
    whole = page(tmp_path, reported())
    assert "compares no patent. That says nothing about the product." in whole
    assert not FORBIDDEN.search(whole)


def test_the_page_replaces_the_last_one_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("last")
    page(tmp_path, record())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_page_that_cannot_be_finished_leaves_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("last")
    (tmp_path / "files").mkdir()

    def picture(*_: object) -> bytes | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(path, run(), *surveys(tmp_path / "files", record())[::-1], picture=picture)
    assert path.read_text() == "last"
    assert sorted(os.listdir(tmp_path)) == ["files", "report.html"]
