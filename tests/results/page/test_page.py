import os
import re
import stat
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from pipeline.results.page import words
from pipeline.results.page.page import write_report
from pipeline.results.reading import RecordView, read_line
from tests.support.report_records import COUNTS, hit, page, record, run

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


def test_open_items_come_first_then_settled_ones_in_their_order(tmp_path: Path) -> None:
    text = page(tmp_path, record("B"), record("A", "no_hits"), record("Z", "failed"), record("Y", "in_doubt"))
    wanted = places(text, ">Z</bdi>", ">Y</bdi>", ">B</bdi>", ">A</bdi>")
    assert wanted == sorted(wanted)


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


def test_beyond_the_most_shown_the_page_says_so_and_where_all_are(tmp_path: Path) -> None:
    counts = {"tasked": 9, "failed": 3}
    settled = [record(f"S{number}") for number in range(9)]
    failed = [record(f"F{number}", "failed") for number in range(3)]
    text = page(tmp_path, *settled, *failed, view=run(counts=counts), most=5)
    assert re.findall(r"<h3><bdi>(\w+)</bdi>", text) == ["F0", "F1", "F2", "S0", "S1"]
    assert "Only the first 5 of 12 items are shown" in text
    assert '<a href="./results.jsonl">results.jsonl</a> (settled) and <a href="./open.jsonl">open.jsonl</a>' in text


def test_open_items_alone_can_fill_the_page(tmp_path: Path) -> None:
    records = [record("S"), *(record(f"F{number}", "failed") for number in range(4))]
    text = page(tmp_path, *records, view=run(counts={"tasked": 1, "failed": 4}), most=2)
    assert re.findall(r"<h3><bdi>(\w+)</bdi>", text) == ["F0", "F1"]
    assert "Only the first 2 of 5 items are shown" in text


def test_a_whole_page_does_not_speak_of_a_part(tmp_path: Path) -> None:
    assert "Only the first" not in page(tmp_path, record(), view=run(counts={"tasked": 1}))


def test_records_are_read_one_at_a_time(tmp_path: Path) -> None:
    """Lines that are not shown are not kept: a generator's last line is gone before the next one is made."""
    held = 0

    class Line(bytes):
        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def records() -> Iterator[RecordView]:
        nonlocal held
        for _ in range(50):
            held += 1
            assert held <= 2
            line = b'{"schema":1,"item":"SKU","status":"tasked","image":{"source":"a.jpg"},"hits":[{"score":0.5}]}'
            yield read_line(Line(line))

    write_report(tmp_path / "report.html", run(), records(), picture=lambda *_: None, most=3)


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
    statuses = ("tasked", "no_hits", "searched", "failed", "in_doubt", "expired")
    whole = page(tmp_path, *(record(status, status) for status in statuses), view=run(vendor="sandbox"))
    template = files("pipeline.results.page").joinpath("report.html.j2").read_text(encoding="utf-8")
    said = Path(words.__file__).read_text(encoding="utf-8")
    for text in (template, whole, said):
        assert not FORBIDDEN.search(text), FORBIDDEN.search(text)


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

    def picture(*_: object) -> bytes | None:
        raise KeyboardInterrupt

    line = read_line(b'{"schema":1,"item":"x","status":"tasked","image":{"source":"a"}}')
    with pytest.raises(KeyboardInterrupt):
        write_report(path, run(), [line], picture=picture)
    assert path.read_text() == "last"
    assert os.listdir(tmp_path) == ["report.html"]
