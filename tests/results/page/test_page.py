"""The page of a run as data: every product, the most similar first, each with what is known of it."""

import json
import os
import stat
import tracemalloc
from pathlib import Path

import pytest

from pipeline.endpoints.details import PENDING, PatentDetail
from pipeline.results.decisions import Decision
from pipeline.results.late_details import LateLine
from pipeline.results.page.page import write_report
from pipeline.results.page.thumbs import NoPictures
from pipeline.results.survey import Part, survey
from tests.support.pages import COMPARED, IN_TASK, Page
from tests.support.report_records import COUNTS, hit, page, png, record, run, surveys

LATE = "2026-11-21T12:00:00.000Z"


def test_a_settled_product_is_there_with_its_hits_and_its_task(tmp_path: Path) -> None:
    shown = page(tmp_path, record()).product("SKU-1")
    assert (shown.status, shown.labels, shown.source) == (
        "tasked",
        {"client": "acme"},
        "https://cdn.example.com/1001.jpg",
    )
    assert (shown.best, shown.hits_found, shown.total) == (9134, 1, 20_783)
    [one] = shown.hits
    assert (one.number, one.score, one.rest["t"]) == ("USD0554568S1", 9134, "Tote bag")
    assert shown.rest["t"] == ["80d42f2c", 1, 0, "2026-11-21T18:00:00.000Z"]


def test_no_score_is_shown_higher_than_it_is(tmp_path: Path) -> None:
    scores = [0.8998, 0.57, 0.29, 1, 0.00009]
    hits = page(tmp_path, record(hits=[hit(score) for score in scores])).product("SKU-1").hits
    assert [one.score for one in hits] == [10_000, 8998, 5700, 2900, 0]


def test_all_products_are_there_the_most_similar_first_open_ones_among_them(tmp_path: Path) -> None:
    records = [
        record("far", hits=[hit(0.2), hit(0.1)]),
        record("near", hits=[hit(0.3), hit(0.99)]),
        record("none", "no_hits"),
        record("also near", "searched", hits=[hit(0.99)]),
        record("odd", hits=[hit("0.999"), hit(True)]),
        record("Y", "in_doubt", hits=[hit(0.5)], search={"hits": 1, "total": 1}),
        record("Z", "failed"),
    ]
    shown = page(tmp_path, *records).products
    assert [one.item for one in shown] == ["near", "also near", "Y", "far", "none", "odd", "Z"]


def test_only_the_five_highest_scores_are_there(tmp_path: Path) -> None:
    scores = [0.1, 0.9, None, 0.3, 0.8, "0.95", 0.7, 0.6, True]
    shown = page(tmp_path, record(hits=[hit(score) for score in scores], search={"hits": 9, "total": 9}))
    assert [one.score for one in shown.product("SKU-1").hits] == [9000, 8000, 7000, 6000, 3000]


def test_hits_in_the_task_are_marked_as_such(tmp_path: Path) -> None:
    hits = [hit(0.9), hit(0.8, title=""), hit(0.7), hit(0.6), hit(0.2)]
    task = {"task_id": "t", "hits": 2, "hits_dropped": 1}
    shown = page(tmp_path, record(hits=hits, task=task), view=run(min_score=0.5)).product("SKU-1")
    assert [bool(one.marks & IN_TASK) for one in shown.hits] == [True, False, True, False, False]


def test_an_open_product_says_what_is_wrong_what_to_do_and_what_support_asks_for(tmp_path: Path) -> None:
    failed = record(status="failed") | {"todo": "correct line 3 of p.csv, then `pipeline run` the job file"}
    message, todo, facts = page(tmp_path, failed).product("SKU-1").rest["e"]
    assert message == "the vendor does not accept this picture file"
    assert todo == "correct line 3 of p.csv, then `pipeline run` the job file"
    assert facts == ["search", "68300010", "r-1", ""]


def test_open_products_are_grouped_by_cause_with_one_command_for_all(tmp_path: Path) -> None:
    retry = "`pipeline retry runs/a --only failed --code 68300010`"
    many = [
        record(f"F{number}", "failed", todo=f"list another picture for it in line {number} of p.csv; {retry}")
        for number in range(5)
    ]
    doubts = [record(f"D{n}", "in_doubt", todo=f"`pipeline resolve runs/a --not-created D{n}`") for n in range(2)]
    shown = page(tmp_path, *many, *doubts)
    causes = {cause[0]: cause[1:] for cause in shown.index["causes"]}
    assert {status: cause[-2] for status, cause in causes.items()} == {"failed": 5, "in_doubt": 2}
    assert causes["failed"][2] == f"list another picture for it in its line of p.csv; {retry}"
    assert causes["failed"][3] == retry.strip("`")
    assert causes["in_doubt"][2:4] == ["`pipeline resolve runs/a --not-created ID`", ""]


def test_next_steps_name_every_open_kind_the_command_and_until_when(tmp_path: Path) -> None:
    late = record("SKU-2")
    late["task"]["expires_at"] = "2026-11-21T17:30:00.000Z"
    view = run(folder="runs/autumn", job_file="autumn.yaml")
    assert page(tmp_path, record(), late, view=view).run["steps"] == [
        ["tasks", 2, "", "2026-11-21T17:30:00.000Z"],
        ["in_doubt", 1, "pipeline status runs/autumn", ""],
        ["not_started", 3, "pipeline run autumn.yaml", ""],
        ["failed", 1, "pipeline status runs/autumn", ""],
    ]


def test_the_step_of_a_rehearsal_goes_on_with_the_rehearsal(tmp_path: Path) -> None:
    steps = page(tmp_path, record(), view=run(folder="runs/a", job_file="a.yaml", rehearsal=True)).run["steps"]
    assert [one[2] for one in steps if one[0] == "not_started"] == ["pipeline run a.yaml --rehearse"]


def test_the_step_of_a_run_that_machines_share_is_the_command_of_a_worker(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text("{}")
    steps = page(tmp_path, record(), view=run(folder=str(tmp_path), job_file="autumn.yaml")).run["steps"]
    assert [one[2] for one in steps if one[0] == "not_started"] == ["pipeline work autumn.yaml"]


@pytest.mark.parametrize(
    ("ended_by", "daily", "kind"),
    [
        ("", False, "not_started"),
        ("budget", False, "budget"),
        ("67200007", True, "daily"),
        ("quota", True, "quota"),
        ("67200005", False, "balance"),
        ("67200004", False, "stopped"),
    ],
)
def test_what_to_do_about_products_not_started_follows_from_what_ended_the_run(
    tmp_path: Path, ended_by: str, daily: bool, kind: str
) -> None:
    steps = page(tmp_path, record(), view=run(ended_by=ended_by, daily=daily)).run["steps"]
    assert kind in [one[0] for one in steps]


def test_tasks_of_the_sandbox_are_no_work_for_anybody(tmp_path: Path) -> None:
    assert "tasks" not in [one[0] for one in page(tmp_path, record(), view=run(vendor="sandbox")).run["steps"]]


def test_counts_add_up_to_all_products(tmp_path: Path) -> None:
    shown = page(tmp_path).run
    assert shown["counts"] == COUNTS


def test_an_unknown_status_in_the_counts_is_a_bug() -> None:
    with pytest.raises(ValueError, match="'taskt' is no status"):
        run(counts={"taskt": 1})


@pytest.mark.parametrize("line", [b"no record", b"\xff\xfe", b'{"item": 7}', b"[" * 100_000])
def test_a_line_that_cannot_be_read_is_counted_and_the_rest_is_shown(tmp_path: Path, line: bytes) -> None:
    shown = page(tmp_path, line, record())
    assert (shown.run["unreadable"], [one.item for one in shown.products]) == (1, ["SKU-1"])


def test_details_are_joined_also_those_that_came_late(tmp_path: Path) -> None:
    detail = {"owner": "E Ltd", "status": "active", "country": "CN", "application_date": "2017-03-02", "loc": ["03-01"]}
    shown = page(tmp_path, record(details={"p-1": detail})).product("SKU-1").hits[0]
    assert (shown.owner, shown.year, shown.legal) == ("E Ltd", 2017, 1)
    assert (shown.rest["ap"], shown.rest["loc"], shown.rest["cc"]) == ("2017-03-02", "03-01", "CN")
    (tmp_path / "late").mkdir()
    settled, open_ = surveys(tmp_path / "late", record(details=PENDING))
    known = PatentDetail(owner="E Ltd", status="active")
    came = {"SKU-1": LateLine(item="SKU-1", at=LATE, details={"p-1": known}, designs=1)}
    settled.parts = [settled.parts[0]._replace(late=came)]
    write_report(tmp_path / "late.html", run(), open_, settled, pictures=NoPictures())
    late = Page(tmp_path / "late.html").product("SKU-1")
    assert (late.hits[0].owner, late.hits[0].legal, late.rest["n"]) == ("E Ltd", 1, 1)


def test_a_status_that_only_the_vendor_has_a_word_for_is_shown_in_its_words(tmp_path: Path) -> None:
    shown = page(tmp_path, record(details={"p-1": {"status": "未确认", "original_owner": "F Ltd"}}))
    one = shown.product("SKU-1").hits[0]
    assert shown.index["owners"][one.legal - 4] == "未确认"
    assert (one.owner, one.rest["first"]) == ("F Ltd", True)


def test_a_hit_without_details_says_why_and_one_design_is_told_from_another(tmp_path: Path) -> None:
    hits = [hit(0.9 - n / 10, patent_id=f"p{n}", patent_pn=f"US{n}S1") for n in range(4)]
    family = {f"p{n}": {"owner": "E Ltd", "family": f"simple:{n % 2}"} for n in range(3)}
    shown = page(tmp_path, record(hits=hits, details={**family, "p3": {"missing": "not_found"}})).product("SKU-1")
    assert [one.rest.get("same", "") for one in shown.hits] == ["", "", "US0S1", ""]
    assert shown.hits[3].rest["m"] == "not_found"


COMPARISON = {"patent_id": "p-1", "hit": 0, "patent_pn": "US1S", "title": "Lamp", "score": 80, "score_of_1": 0.8}


def reported(*comparisons: dict[str, object]) -> dict[str, object]:
    return record(status="reported", comparisons=list(comparisons), report={"task_status": 2})


def test_what_the_vendor_writes_stands_with_its_hit_as_sent(tmp_path: Path) -> None:
    said = {"risk_level": "Low", "similar": "both have a strap", "difference": "the lock"}
    shown = page(tmp_path, reported(COMPARISON | said))
    product = shown.product("SKU-1")
    assert shown.comparisons(product) == [[0, "US1S", "Lamp", "Low", "80", "both have a strap", "the lock", "", "", ""]]
    assert product.hits[0].marks & COMPARED


def test_comparisons_of_hits_that_are_not_shown_are_counted(tmp_path: Path) -> None:
    others = [COMPARISON | {"hit": None, "patent_id": f"q{number}"} for number in range(4)]
    assert page(tmp_path, reported(COMPARISON, *others)).product("SKU-1").rest["co"] == 4
    alone = page(tmp_path, reported(*others)).product("SKU-1").rest
    assert ([place for place, *_ in alone["c"]], alone["co"]) == ([-1, -1, -1], 1)


def test_decisions_are_on_the_page(tmp_path: Path) -> None:
    one = Decision(item="SKU-1", patent_pn="USD0554568S1", decision="watch", by="Li", at=LATE, note="n", run="w47")
    shown = page(tmp_path, record(), view=run(decisions=(one,)))
    assert shown.index["decisions"] == [["SKU-1", "USD0554568S1", "watch", "Li", LATE, "n", "w47"]]


def test_up_to_a_thousand_products_are_one_file_and_more_lie_beside_it(tmp_path: Path) -> None:
    records = [record(f"S{number:03}", hits=[hit(number / 1000)]) for number in range(250)]
    pictures = {"https://cdn.example.com/1001.jpg": png(size=(40, 30))}
    one = page(tmp_path, *records, pictures=pictures)
    assert (one.run["split"], len(one.products)) == (False, 250)
    many = page(tmp_path, *records, pictures=pictures, in_one_file=200)
    assert (many.run["split"], sorted(many.parts)) == (True, [0, 1, 2])
    assert [product.item for product in many.products] == [product.item for product in one.products]
    assert len(many.text) < len(one.text)
    assert all(product.rest["p"] in map(int, many.small) for product in many.products)
    forced = page(tmp_path, *records, pictures=pictures, in_one_file=200, view=run(one_file=True))
    assert (forced.run["split"], len(forced.products)) == (False, 250)


def test_large_pictures_lie_beside_the_page_or_with_one_file_the_best_ones_in_it(tmp_path: Path) -> None:
    hits = [hit(0.9, url="https://h.example/1.png"), hit(0.8, url="https://h.example/2.png")]
    urls = ("https://cdn.example.com/1001.jpg", "https://h.example/1.png", "https://h.example/2.png")
    pictures = dict(zip(urls, (png(color=color) for color in ("red", "blue", "green")), strict=True))
    one = page(tmp_path, record(hits=hits), pictures=pictures)
    assert (len(one.small), len(one.large), one.run["large"]) == (3, 3, 1)
    forced = page(tmp_path, record(hits=hits), pictures=pictures, view=run(one_file=True))
    product = forced.product("SKU-1")
    assert sorted(map(int, forced.large)) == sorted([product.rest["p"], product.hits[0].rest["p"]])
    assert not (tmp_path / "report" / forced.run["parts"].split("/")[1]).exists()


def test_a_page_replaces_the_last_one_and_what_lay_beside_that(tmp_path: Path) -> None:
    pictures = {"https://cdn.example.com/1001.jpg": png()}
    first = page(tmp_path, record(), pictures=pictures).run["parts"]
    os.utime(tmp_path / first, (0, 0))
    second = page(tmp_path, record(), pictures=pictures).run["parts"]
    assert first != second
    assert [f"report/{name}/" for name in os.listdir(tmp_path / "report")] == [second]
    assert stat.S_IMODE((tmp_path / "report.html").stat().st_mode) == 0o600
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / second).iterdir()} == {0o600}


def test_a_page_that_cannot_be_finished_leaves_the_last_one_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("last")
    (tmp_path / "files").mkdir()

    class Broken(NoPictures):
        def of(self, source: str, sha256: str | None = None) -> None:
            raise KeyboardInterrupt

    settled, open_ = surveys(tmp_path / "files", record())
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path / "report.html", run(), open_, settled, pictures=Broken())
    assert (tmp_path / "report.html").read_text() == "last"
    assert sorted(os.listdir(tmp_path)) == ["files", "report.html"]


@pytest.mark.proofs
def test_a_page_is_written_in_flat_memory(tmp_path: Path) -> None:
    """Two hundred and fifty records of 100 KB are 25 MB; a page of them holds one at a time."""
    padding = "x" * 1000
    hits = [hit(0.5, padding=padding) for _ in range(100)]
    (tmp_path / "open.jsonl").write_bytes(b"")
    with (tmp_path / "results.jsonl").open("wb") as file:
        for number in range(250):
            file.write(json.dumps(record(f"S{number}", hits=hits)).encode() + b"\n")
    tracemalloc.start()
    try:
        settled, open_ = survey(Part(tmp_path / "results.jsonl")), survey(Part(tmp_path / "open.jsonl"))
        write_report(tmp_path / "report.html", run(), open_, settled, pictures=NoPictures())
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


def test_a_browser_without_scripts_shows_the_first_hundred(tmp_path: Path) -> None:
    records = [record(f"S{number:03}", hits=[hit(number / 1000)]) for number in range(120)]
    text = page(tmp_path, *records).text
    table = text.partition("<noscript>")[2].partition("</noscript>")[0]
    assert table.count("<tr><td>") == 100
    assert "<bdi>S119</bdi></td><td>Task created</td><td>0.11</td><td><bdi>USD0554568S1</bdi>" in table
