"""`search.reuse` with every way of working: a second run within its life pays nothing, as the vendor counts."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.calls.account import account_of
from pipeline.engine import report_turns
from pipeline.journal.storage import JOURNAL
from pipeline.models import TASK_LIFE_S
from pipeline.offline.foreseen_reuse import TakenFrom
from pipeline.results.records import read_records
from pipeline.results.summary import RunSummary
from pipeline.run.donors import open_donors
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sources.urls import identity_of_url
from tests.support.jobs import ACCOUNT, drawings, job, lines, pipeline, started, vendor
from tests.support.lengths import some
from tests.support.reusing import FREE, LOCAL, Taken, take

VIEWS = [
    {"id": "V", "views": ["a.jpg", "b.jpg", drawings(1)[0]]},
    {"id": "W", "views": [f"https://sandbox.invalid/products/{name}.jpg" for name in ("bag-0", "mug-0")]},
    {"id": "S", "path": "copy.jpg"},
]
WAIT: dict[str, Any] = {"task": {"report": "wait"}}
P061 = {"endpoint": "P061", "limit": 3, "reuse": "1h"}
WAYS: dict[str, dict[str, Any]] = {
    "off": {},
    "wait": WAIT,
    "deep": {"search": {"depth": 300, "reuse": "1h"}},
    "deep-wait": {"search": {"endpoint": "P009-V2", "depth": 300, "min_score": 0.3, "reuse": "1h"}, **WAIT},
    "deep-by-class": {"search": {"endpoint": "P060", "depth": 200, "reuse": "1h"}, **WAIT},
    "views": {"search": P061, "images": VIEWS},
    "views-wait": {"search": P061, "images": VIEWS, **WAIT},
    "views-deep": {"search": {"endpoint": "P061", "depth": 200, "reuse": "1h"}, "images": VIEWS, **WAIT},
    "submit": {"method": "submit", "search": {"reuse": "1h"}, "task": {"country": ["US", "EU"]}},
    "searches": {"task": {"enabled": False}},
}


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a report at once: these tests are not about the pace of questions."""
    monkeypatch.setattr(report_turns, "APART_S", 0.01)


def paid(server: SandboxServer) -> dict[str, int]:
    """What the vendor executed and bills."""
    return {kind: server.stats.executed.get(kind, 0) for kind in FREE}


def questions(server: SandboxServer) -> int:
    return server.stats.executed.get("query", 0)


@pytest.mark.proofs
@pytest.mark.parametrize("way", WAYS)
def test_a_second_run_within_an_hour_pays_nothing(tmp_path: Path, way: str) -> None:
    parts = {**LOCAL, **WAYS[way]}
    with vendor(tmp_path, report_after_s=0) as server:
        first = take(tmp_path, server.url, "first", **parts)
        before = (paid(server), questions(server))
        second = take(tmp_path, server.url, "second", **parts)
        assert (paid(server), questions(server)) == before
    assert second.plan.calls == FREE
    assert second.plan.questions == 0
    assert second.summary.exit_code == 0
    _same_records(first, second)
    items = sum(record.same_as is None for record in second.records.values())
    tasks = 0 if way == "searches" else items
    searches = 0 if way == "submit" else items
    reports = tasks if "wait" in way or way in ("views-deep", "deep-by-class", "submit") else 0
    uploads = before[0]["upload"] - (1 if "views" in way else 0)  # of one item each
    assert second.plan.reused_from == [TakenFrom("first", uploads, searches, tasks, reports)]
    drawings_of = {record.line_drawing for record in second.records.values()} - {""}
    for name in drawings_of:
        there, here = (tmp_path / "runs" / run / name for run in ("first", "second"))
        assert there.read_bytes() == here.read_bytes()
    assert bool(drawings_of) is (way == "submit")


def _same_records(first: Taken, second: Taken) -> None:
    """Each record says what the first one said, no call, and where it is from."""
    assert second.summary.items["settled"] == len(second.records) == len(first.records)
    for id_, record in second.records.items():
        before = first.records[id_]
        assert (record.status, record.search, record.task) == (before.status, before.search, before.task)
        assert bytes(record.raw_hits) == bytes(before.raw_hits)
        assert bytes(record.raw_report) == bytes(before.raw_report)
        assert (record.comparisons, record.line_drawing) == (before.comparisons, before.line_drawing)
        assert (record.image.url, record.image.sha256) == (before.image.url, before.image.sha256)
        assert [view.url for view in record.image.views] == [view.url for view in before.image.views]
        assert record.calls.total == 0
        reused = record.reused_from
        assert reused is not None
        assert (reused.run, reused.task, reused.report) == (
            "first",
            before.task is not None,
            before.status == "reported" or (before.status == "no_hits" and before.task is not None),
        )


def left_unread(folder: Path, server: SandboxServer, name: str = "first", **parts: Any) -> Taken:
    """Run once: its four tasks are paid and read by nobody, for its questions are used up before any is done.

    No question is asked before all four wait for one: a task is begun only while there are questions left.
    """
    until_next, most = report_turns.Turns.until_next, 0

    def once_all_wait(turns: report_turns.Turns) -> float:
        nonlocal most
        most = max(most, turns.awaited)
        return until_next(turns) if most == 4 else float("inf")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_turns.Turns, "until_next", once_all_wait)
        return take(folder, server.url, name, api={"budget": {"query_calls": 5}}, **LOCAL, **parts)


LATER: dict[str, dict[str, Any]] = {
    "search": {"task": {"report": "later"}},
    "submit": {**WAYS["submit"], "task": {"country": ["US", "EU"], "report": "later"}},
}


def collect(folder: Path, name: str) -> None:
    done = pipeline("collect", folder / "runs" / name, "-q", cwd=folder, **ACCOUNT)
    assert done.returncode == 0, done.stderr


@pytest.mark.proofs
@pytest.mark.parametrize("way", LATER)
@pytest.mark.parametrize("second_report", ["wait", "later"])
def test_a_report_that_was_collected_for_another_run_is_taken_with_its_record(
    tmp_path: Path, second_report: str, way: str
) -> None:
    """The first run paid for tasks, and somebody collected their reports: the second one is done without a call."""
    parts = {**LOCAL, **LATER[way]}
    with vendor(tmp_path, report_after_s=0) as server:
        take(tmp_path, server.url, "first", **parts)
        collect(tmp_path, "first")
        before = (paid(server), questions(server))
        parts["task"] = {**parts["task"], "report": second_report}
        second = take(tmp_path, server.url, "second", **parts)
        assert (paid(server), questions(server)) == before
    first = {record.item: record for record in read_records(tmp_path / "runs/first")}
    assert (second.plan.calls, second.plan.questions) == (FREE, 0)
    assert second.plan.reused_from == [
        TakenFrom("first", uploads=2, searches=4 * (way != "submit"), tasks=4, reports=4)
    ]
    for id_, record in second.records.items():
        before_ = first[id_]
        assert (record.status, record.task) == ("reported", before_.task)
        assert bytes(record.raw_report) == bytes(before_.raw_report)
        assert record.comparisons == before_.comparisons
        assert record.hits == before_.hits
        assert record.reused_from is not None
        assert (record.reused_from.task, record.reused_from.report) == (True, True)


@pytest.mark.proofs
@pytest.mark.parametrize("way", LATER)
def test_a_task_that_nobody_has_read_is_taken_and_its_report_collected_here(tmp_path: Path, way: str) -> None:
    parts = {**LOCAL, **LATER[way]}
    with vendor(tmp_path, report_after_s=0) as server:
        take(tmp_path, server.url, "first", **parts)
        before = paid(server)
        second = take(tmp_path, server.url, "second", **parts)
        assert (second.summary.items["tasked"], second.plan.questions) == (5, 4 * 100)
        collect(tmp_path, "second")
        assert paid(server) == before
        assert server.stats.executed["query"] == 4
    for record in read_records(tmp_path / "runs/second"):
        assert record.status == "reported"
        assert record.reused_from is not None
        assert (record.reused_from.run, record.reused_from.task, record.reused_from.report) == ("first", True, False)


@pytest.mark.proofs
def test_a_task_that_failed_when_its_report_was_collected_is_not_taken(tmp_path: Path) -> None:
    """Its search still is."""
    with vendor(tmp_path, report_after_s=0, reports=ReportPlan.parse("failed=1")) as server:
        rows = {"images": [{"url": url} for url in drawings(2)]}
        take(tmp_path, server.url, "first", **rows, **LATER["search"])
        assert pipeline("collect", tmp_path / "runs/first", "-q", cwd=tmp_path, **ACCOUNT).returncode == 1
        second = take(tmp_path, server.url, "second", **rows, **LATER["search"])
    assert second.plan.calls == {"upload": 0, "search": 0, "create": 2}


@pytest.mark.proofs
@pytest.mark.parametrize("way", ["off", "wait", "submit"])
def test_a_task_that_lives_is_asked_for_its_report_here_and_not_created_anew(tmp_path: Path, way: str) -> None:
    """Its report is not in when the first run ends, and is when the second begins."""
    later_s = [0.0]
    with vendor(tmp_path, report_after_s=3600, clock=lambda: time.time() + later_s[0]) as server:
        first = left_unread(tmp_path, server, **WAYS[way])
        assert first.summary.items["tasked" if way == "off" else "report_pending"] == 4 + (way == "off")
        before, later_s[0] = (paid(server), questions(server)), 7200
        second = take(tmp_path, server.url, "second", **LOCAL, **(WAYS[way] if way != "off" else WAIT))
        assert (paid(server), questions(server)) == (before[0], before[1] + 4)
    searches = 0 if way == "submit" else 4
    assert before[0] == {"upload": 2, "search": searches, "create": 4}
    assert (second.plan.calls, second.plan.reused) == (FREE, before[0])
    assert second.plan.reused_from == [TakenFrom("first", uploads=2, searches=searches, tasks=4)]
    assert second.plan.questions == 4 * 100
    assert second.summary.items["reported"] == 5
    for record in second.records.values():
        assert record.reused_from is not None
        assert (record.reused_from.run, record.reused_from.task, record.reused_from.report) == ("first", True, False)


@pytest.mark.proofs
def test_a_task_that_is_awaited_in_two_places_is_named_where_it_is_open(tmp_path: Path) -> None:
    """The second run takes the tasks and finds them running too: they are open there, and it says whose they are."""
    with vendor(tmp_path, report_after_s=3600) as server:
        left_unread(tmp_path, server, **WAIT)
        before = paid(server)
        second = left_unread(tmp_path, server, "second", **WAIT)
        assert paid(server) == before
    assert second.summary.items["report_pending"] == 4
    for record in lines(tmp_path / "runs/second/open.jsonl"):
        assert record["task"]["task_id"]
        assert record["reused_from"] == {"run": "first", "item": record["item"], "task": True} or record.get("same_as")


@pytest.mark.proofs
def test_a_failed_task_is_not_taken_and_a_retry_pays_for_one_of_its_own(tmp_path: Path) -> None:
    fails = ReportPlan.parse("failed=1")
    with vendor(tmp_path, report_after_s=0, reports=fails) as server:
        rows = {"images": [{"url": url} for url in drawings(2)]}
        first = take(tmp_path, server.url, "first", **rows)  # nobody reads that they failed
        assert first.summary.items["tasked"] == 2
        second = take(tmp_path, server.url, "second", **rows, **WAIT)
        assert (second.summary.items["report_failed"], server.stats.executed["create"]) == (2, 2)
        third = take(tmp_path, server.url, "third", **rows, **WAIT)
        assert third.summary.items["report_failed"] == 2  # taken of the first run, which cannot know
        assert server.stats.executed["create"] == 2
        retried = pipeline(
            "retry", tmp_path / "runs/third", "--only", "report-failed", "--yes", cwd=tmp_path, **ACCOUNT
        )
        assert server.stats.executed["create"] == 4, retried.stderr
    for record in lines(tmp_path / "runs/third/open.jsonl"):
        assert record["task"]["task_id"] not in {one.task.task_id for one in first.records.values() if one.task}
        assert record["reused_from"]["task"] is False  # its hits are of the first run, its task is its own


@pytest.mark.proofs
@pytest.mark.parametrize("way", ["wait", "submit"])
def test_a_held_report_is_taken_for_as_long_as_the_job_says(tmp_path: Path, way: str) -> None:
    """Its task is forgotten at the vendor after 8 hours, and is not needed any more."""
    nine = {**WAYS[way], "images": [{"url": drawings(1)[0]}], "search": {"reuse": "9h"}}
    with vendor(tmp_path, report_after_s=0) as server:
        take(tmp_path, server.url, "first", **nine)
        waits = load(tmp_path / "job.yaml", environment=ACCOUNT)
    seen = {}
    for hours in (0, 7.8, 8.8, 8.99, 9.01):
        now = time.time() + hours * 3600
        account = account_of(server.url, waits.credentials)
        with open_donors(waits.spec, tmp_path / "runs/other", account, now=time.time()) as donors:
            assert donors is not None
            found = donors.find(identity_of_url(drawings(1)[0]), paid=None, now=now)
        seen[hours] = found is not None and found.task is not None and found.task.report is not None
    assert seen == {0: True, 7.8: True, 8.8: True, 8.99: True, 9.01: False}
    assert TASK_LIFE_S < 8.8 * 3600


PAIRS = [[one, other] for one, other in zip(drawings(60)[::2], drawings(60)[1::2], strict=True)]
KILLED: dict[str, list[dict[str, Any]]] = {
    "wait": [{"url": url} for url in drawings(40)],
    "deep-wait": [{"url": url} for url in drawings(12)],
    "views-wait": [{"id": f"V{n}", "views": pair} for n, pair in enumerate(PAIRS)],
    "submit": [{"url": url} for url in drawings(40)],
    "asked here": [{"url": url} for url in drawings(40)],
}


@pytest.mark.proofs
@pytest.mark.parametrize("way", some(KILLED, "views-wait", "submit"))
def test_a_run_that_is_killed_while_it_takes_reports_goes_on_and_pays_nothing(tmp_path: Path, way: str) -> None:
    """Whatever is killed between a line and its commit, the next start and `status` take it for what it is."""
    parts = {**WAYS.get(way, WAIT), "images": KILLED[way], "api": {"max_in_flight": 2}}
    first = parts if way != "asked here" else {**parts, "task": {"report": "off"}}
    folder, number = tmp_path / "runs/second", len(KILLED[way])
    with vendor(tmp_path, report_after_s=0) as server:
        run(written(tmp_path, server, "first", first))
        before = paid(server)
        second = written(tmp_path, server, "second", parts)
        for goal in (0, number // 4, number // 2):
            with started("run", second, "--yes", cwd=tmp_path, **ACCOUNT) as process:
                while process.poll() is None and settled_or_paid(folder) <= goal:
                    time.sleep(0.01)
                process.kill()
                process.wait()
            assert pipeline("status", folder, "--verify", cwd=tmp_path).returncode in (0, 1)
        summary = run(second)
        assert paid(server) == before
    records = list(read_records(folder))
    assert summary.items["reported"] == len(records) == len({record.item for record in records}) == number
    assert all(record.reused_from is not None and record.reused_from.task for record in records)
    assert {record.reused_from.report for record in records if record.reused_from} == {way != "asked here"}


def written(folder: Path, server: SandboxServer, name: str, parts: dict[str, Any]) -> Path:
    parts = {"search": {"limit": 3, "reuse": "1h"}, **parts}
    return job(folder, url=server.url, pictures=0, output={"run": name}, **parts)


def run(path: Path) -> RunSummary:
    return LocalExecutor().run(load(path, environment=ACCOUNT), RunOptions(environment=ACCOUNT))


def settled_or_paid(folder: Path) -> int:
    """How many items are settled, or await their reports."""
    try:
        with closing(sqlite3.connect(f"file:{folder / JOURNAL}?mode=ro", uri=True)) as journal:
            return int(journal.execute("SELECT count(*) FROM items WHERE task_id IS NOT NULL").fetchone()[0])
    except sqlite3.OperationalError:  # it is not there, or its tables are being made
        return 0
