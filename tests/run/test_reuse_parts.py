"""`search.reuse` where another run paid for a part of what is asked, or what it holds is not whole."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli
from pipeline.engine import report_turns
from pipeline.offline.foreseen_reuse import TakenFrom
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, started, vendor
from tests.support.journal_rows import pages_kept
from tests.support.processes import until
from tests.support.reusing import FREE, LOCAL, Taken, take

ONE = {"images": [{"id": "A", "url": drawings(1)[0]}]}
WAIT: dict[str, Any] = {"task": {"report": "wait"}}
SUBMIT: dict[str, Any] = {"method": "submit", "search": {"reuse": "1h"}, "task": {"country": ["US", "EU"]}}


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a report at once: these tests are not about the pace of questions."""
    monkeypatch.setattr(report_turns, "APART_S", 0.01)


def calls(search: int = 0, create: int = 0, upload: int = 0) -> dict[str, int]:
    return {"upload": upload, "search": search, "create": create}


@pytest.mark.proofs
@pytest.mark.parametrize("endpoint", ["P009", "P009-V2", "P060"])
def test_pages_of_a_run_that_was_killed_are_taken_and_the_next_one_is_asked_for(tmp_path: Path, endpoint: str) -> None:
    """The other run paid for two pages of three and never came to a task."""
    search = {"endpoint": endpoint, "depth": 300, "reuse": "1h"}
    with vendor(tmp_path, faults=FaultPlan.parse("search:hang.before@3", seed=1)) as server:
        path = job(tmp_path, url=server.url, pictures=0, search=search, output={"run": "first"}, **ONE)
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: server.stats.calls("search") == 3, by=process)
            until(lambda: pages_kept(tmp_path / "runs/first") == [2], by=process)
            process.kill()
            process.wait()
        second = take(tmp_path, server.url, "second", search=search, **ONE)
        assert server.stats.executed["search"] == 3
    assert (second.plan.calls, second.plan.at_most) == (calls(search=1, create=1), ["search"])
    assert second.plan.reused_from == [TakenFrom("first", searches=1)]
    [record] = second.records.values()
    assert record.search is not None
    assert [page.offset for page in record.search.pages] == [0, 100, 200]
    assert len({hit["patent_id"] for hit in record.hits}) == len(record.search.ranks) == 300
    assert (record.calls.search, record.reused_from is not None and record.reused_from.task) == (1, False)


@pytest.mark.proofs
def test_pages_that_the_other_run_left_out_for_its_score_are_asked_for(tmp_path: Path) -> None:
    """It asked for no page behind a hit below its `min_score`; a lower one asks for the pages behind that."""

    def of(score: float) -> dict[str, Any]:
        return {"depth": 400, "min_score": score, "reuse": "1h"}

    with vendor(tmp_path) as server:
        first = take(tmp_path, server.url, "first", search=of(0.9), **ONE)
        low = first.records["A"].search
        assert low is not None
        assert len(low.pages) == 1
        second = take(tmp_path, server.url, "second", search=of(0), **ONE)
        third = take(tmp_path, server.url, "third", search=of(0.9), **ONE)
        assert server.stats.executed["search"] == 4
    assert second.plan.calls == calls(search=3, create=1)
    assert third.plan.calls == FREE


@pytest.mark.proofs
@pytest.mark.parametrize("depth", [200, 400])
def test_a_search_of_another_depth_is_another_search(tmp_path: Path, depth: int) -> None:
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", search={"depth": 300, "reuse": "1h"}, **ONE)
        second = take(tmp_path, server.url, "second", search={"depth": depth, "reuse": "1h"}, **ONE)
        shallow = take(tmp_path, server.url, "shallow", search={"reuse": "1h"}, **ONE)
    assert second.plan.calls == calls(search=depth // 100, create=1)
    assert shallow.plan.calls == calls(search=1, create=1)


VIEWS = ["a.jpg", "b.jpg", "https://sandbox.invalid/products/mug-0.jpg"]


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("views", "paid"),
    [
        (["copy.jpg", *VIEWS[1:]], FREE),  # other files, the same pictures
        ([VIEWS[1], VIEWS[0], VIEWS[2]], calls(search=1, create=1, upload=2)),  # the first one decides the class
        (VIEWS[:2], calls(search=1, create=1, upload=2)),
        ([*VIEWS[:2], drawings(1)[0]], calls(search=1, create=1, upload=2)),
    ],
    ids=["same pictures", "other order", "one fewer", "another one"],
)
def test_views_are_one_picture_all_of_them_in_their_order(
    tmp_path: Path, views: list[str], paid: dict[str, int]
) -> None:
    search = {"endpoint": "P061", "limit": 3, "reuse": "1h"}
    with vendor(tmp_path) as server:
        take(tmp_path, server.url, "first", search=search, images=[{"id": "A", "views": VIEWS}], **LOCAL)
        second = take(tmp_path, server.url, "second", search=search, images=[{"id": "A", "views": views}], **LOCAL)
    assert second.plan.calls == paid
    assert (second.records["A"].reused_from is not None) is (paid == FREE)


@pytest.mark.proofs
@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_a_report_whose_drawing_is_not_whole_is_asked_for_again_while_its_task_lives(tmp_path: Path, harm: str) -> None:
    with vendor(tmp_path, report_after_s=0) as server:
        first = take(tmp_path, server.url, "first", **SUBMIT, **ONE)
        drawing = tmp_path / "runs/first" / first.records["A"].line_drawing
        whole = drawing.read_bytes()
        drawing.unlink() if harm == "gone" else drawing.write_bytes(whole[:-1])
        second = take(tmp_path, server.url, "second", **SUBMIT, **ONE)
        assert (server.stats.executed["create"], server.stats.executed["query"]) == (1, 2)
    record = second.records["A"]
    assert (second.plan.calls, record.status) == (FREE, "reported")
    assert record.reused_from is not None
    assert (record.reused_from.task, record.reused_from.report) == (True, False)
    assert (tmp_path / "runs/second" / record.line_drawing).read_bytes() == whole


@pytest.mark.proofs
@pytest.mark.parametrize(
    "change",
    [
        {"task": {"country": ["US"]}},
        {"task": {"country": ["US", "EU"], "report_lang": "cn"}},
        {"search": {"reuse": "1h", "filters": {"main_field": "lamp"}}},
    ],
    ids=["country", "language", "filter"],
)
def test_a_submit_that_asked_something_else_is_not_taken(tmp_path: Path, change: dict[str, Any]) -> None:
    with vendor(tmp_path, report_after_s=0) as server:
        take(tmp_path, server.url, "first", **SUBMIT, **ONE)
        second = take(tmp_path, server.url, "second", **{**SUBMIT, **change}, **ONE)
    assert second.plan.calls == calls(create=1)
    assert [record.reused_from for record in second.records.values()] == [None]


@pytest.mark.proofs
def test_a_run_takes_of_the_run_that_saves_most_and_of_what_that_took_itself(tmp_path: Path) -> None:
    """The newest has the search alone; an older one has the report, and a third one takes it of the second."""
    with vendor(tmp_path, report_after_s=0) as server:
        take(tmp_path, server.url, "with-report", **ONE, **WAIT)
        newest = take(tmp_path, server.url, "search-alone", task={"enabled": False}, **ONE)
        assert newest.plan.calls == FREE
        before = dict(server.stats.executed)
        second = take(tmp_path, server.url, "second", **ONE, **WAIT)
        assert dict(server.stats.executed) == {**before, "token": server.stats.executed["token"]}
    assert _named(second) == ("with-report", True, True)


def _named(taken: Taken) -> tuple[str, bool, bool]:
    [record] = taken.records.values()
    assert record.reused_from is not None
    return record.reused_from.run, record.reused_from.task, record.reused_from.report


@pytest.mark.proofs
def test_a_task_is_taken_only_while_the_budget_has_a_question_for_it(tmp_path: Path) -> None:
    """Two of four: the others are left out, and `plan` says so."""
    with vendor(tmp_path, report_after_s=0) as server:
        rows = {"images": [{"url": url} for url in drawings(4)]}
        take(tmp_path, server.url, "first", **rows)
        second = take(tmp_path, server.url, "second", api={"budget": {"query_calls": 2}}, **rows, **WAIT)
        assert server.stats.executed["create"] == 4
    assert (second.plan.left_out, second.summary.items["reported"], second.summary.exit_code) == (2, 2, 4)
    assert second.plan.questions == 2
    assert second.plan.reused_from == [TakenFrom("first", searches=2, tasks=2)]


def test_plan_and_check_say_in_words_what_is_taken_and_where_nothing_can_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path, report_after_s=0) as server:
        path = job(tmp_path, url=server.url, pictures=2, output={"run": "first"}, **WAIT)
        LocalExecutor().run(load(path, environment=ACCOUNT), RunOptions(environment=ACCOUNT))
        path = job(
            tmp_path, url=server.url, pictures=2, search={"reuse": "2h", "limit": 3}, output={"run": "b"}, **WAIT
        )
        assert cli.run(["plan", str(path)]) == 0
    assert "taken of the run first: 2 searches, 2 tasks (2 with their reports)" in capsys.readouterr().out
    path = job(tmp_path, url="sandbox", pictures=2, search={"reuse": "2h"}, output={"hits": 10})
    assert cli.run(["check", str(path)]) == 0
    said = capsys.readouterr().out
    assert "search.reuse: each run on the embedded sandbox is a new account" in said
    assert "search.reuse: output.hits keeps the first 10 hits of each search" in said
