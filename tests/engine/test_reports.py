"""Reports read beside the work on items: in virtual time, over a real journal."""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from pipeline.engine.engine import Engine
from pipeline.engine.report_meter import ReportMeter
from pipeline.engine.report_turns import MOST_S, Turns, Waiting
from pipeline.errors import CallError, ItemRefused, RunPaused, RunStopped, TryAgain
from pipeline.models import TASK_LIFE_S, Item, Kind, State, Task
from pipeline.reports import APART_S, Comparison, Progress, Report, WholeReport
from pipeline.results.records import read_records
from tests.support.engine_runs import many, problems
from tests.support.fakes import (
    NOW,
    FakeVendor,
    assert_index_matches,
    assert_settled_once,
    engine_of,
    hits,
    item,
    job,
    open_journal,
    records,
    report_of,
    states,
    url,
    work_of,
)
from tests.support.virtual_time import run_virtually

WAIT = {"task": {"report": "wait"}}
RUNNING, FAILED, UNSAID = Progress.RUNNING, Progress.FAILED, Progress.UNSAID
Answer = Progress | CallError


@dataclass
class Asked(FakeVendor):
    """A vendor whose tasks answer in turn what `answers` says of their picture; then they are done.

    forever True when the last of these answers stays
    asked   the tasks that were asked about, each with the loop's time
    """

    answers: dict[str, Sequence[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    forever: bool = False
    offset: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turn: dict[str, int] = defaultdict(int)

    @property
    def now(self) -> float:  # type: ignore[override]
        return NOW + self.offset + asyncio.get_running_loop().time() - 1000.0

    @now.setter
    def now(self, value: float) -> None:
        self.offset = value - NOW

    def report(self, task_id: str) -> Report:
        self.asked.append((task_id, asyncio.get_running_loop().time()))
        picture = next(picture for picture, known in self.executed if known == task_id)
        left = self.answers.get(picture, ())
        turn, self._turn[picture] = self._turn[picture], self._turn[picture] + 1
        if self.forever and left:
            turn = min(turn, len(left) - 1)
        said = left[turn] if turn < len(left) else None
        if isinstance(said, CallError):
            raise said
        return report_of(task_id, Progress.DONE if said is None else said, at=self.now)


def run(
    folder: Path,
    vendor: Asked,
    items: Sequence[Item],
    *,
    generation: int = 1,
    budgets: dict[Kind, int] | None = None,
    during: Callable[[Engine], Any] | None = None,
    **parts: Any,
) -> Engine:
    """Run a job that waits for its reports, or go on with it."""

    async def once() -> Engine:
        async with open_journal(folder, budgets=budgets) as journal:
            await journal.requeue_failed()
            spec = job(folder, **(WAIT | parts))
            engine = await engine_of(spec, journal, vendor, items, generation=generation)
            async with anyio.create_task_group() as around:
                if during is not None:
                    around.start_soon(during, engine)
                await engine.run()
                around.cancel_scope.cancel()
            await journal.finish()
        return engine

    engine: Engine = run_virtually(once)
    assert_index_matches(folder)
    assert_settled_once(folder)
    return engine


@dataclass
class LacksHits(Asked):
    """A vendor whose first `lacking` reports compare patents, count hits and bring none."""

    lacking: int = 0

    def report(self, task_id: str) -> Report:
        said = super().report(task_id)
        found = hits(0.9, at=self.now)
        lacks = len(self.asked) <= self.lacking
        nothing = msgspec.structs.replace(found, array=b"[]", scores=(), complete=(), total=156)
        parts = {name: getattr(said, name) for name in ("progress", "data", "request_id", "at")}
        compared = (Comparison(patent_id="p0", score=80),)
        return WholeReport(
            **parts, comparisons=compared, hits=nothing if lacks else found, drawing=None, lacks_hits=lacks
        )


@pytest.mark.parametrize(("lacking", "lost"), [(2, False), (99, True)])
def test_hits_that_lack_in_a_report_are_waited_for_as_long_as_tasks_take(
    lacking: int, lost: bool, tmp_path: Path
) -> None:
    vendor = LacksHits(lacking=lacking)
    task = {"country": ["US"], "settle_s": 60}
    run(tmp_path, vendor, many(1), method="submit", search={}, task=task)
    [record] = records(tmp_path)
    assert (record["status"], record.get("hits_lost", False), bool(record["hits"])) == ("reported", lost, not lost)
    assert record["comparisons"][0]["patent_id"] == "p0"
    waited = vendor.asked[-1][1] - vendor.asked[0][1]
    assert (waited >= 50) is lost
    assert len({task_id for task_id, _ in vendor.asked}) == 1


def test_every_item_ends_with_the_report_of_its_task(tmp_path: Path) -> None:
    vendor = Asked(answers={url(2): [RUNNING, RUNNING]})
    engine = run(tmp_path, vendor, many(3))
    assert set(states(tmp_path).values()) == {State.REPORTED}
    assert {state: count for state, count in engine.items().items() if count} == {State.REPORTED: 3}
    for line in records(tmp_path):
        assert (line["status"], line["report"]["task_id"]) == ("reported", line["task"]["task_id"])
        assert line["comparisons"][0] == {
            "patent_id": "0",
            "hit": 0,
            "score": 80.0,
            "score_of_1": 0.8,
            "risk_level": "High",
        }
        assert line["calls"]["query"] == (3 if line["item"] == "SKU-2" else 1)
        assert len(line["hits"]) == 2
    assert [record.report is not None for record in read_records(tmp_path)] == [True] * 3


def test_no_task_is_asked_about_twice_within_two_seconds(tmp_path: Path) -> None:
    vendor = Asked(answers={url(1): [RUNNING] * 12})
    run(tmp_path, vendor, many(1))
    times = [at for _, at in vendor.asked]
    assert len(times) == 13
    assert all(later - earlier >= APART_S - 1e-6 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize(
    ("answers", "code"),
    [([FAILED], "report_failed"), ([UNSAID], "no_answer"), ([ItemRefused("no", code="68300004")], "68300004")],
    ids=["failed", "no answer", "unknown"],
)
def test_what_brings_no_report_is_open_and_never_created_again(
    answers: list[Answer], code: str, tmp_path: Path
) -> None:
    vendor = Asked(answers={url(1): answers}, forever=True)
    run(tmp_path, vendor, many(1), task={"report": "wait", "settle_s": 60})
    assert states(tmp_path) == {"SKU-1": State.REPORT_FAILED}
    assert problems(tmp_path)["SKU-1"].code == code
    again = Asked(run="again", answers=vendor.answers, forever=True, executed=list(vendor.executed))
    again.now = vendor_now_after(vendor, 100)
    run(tmp_path, again, many(1), generation=1)
    assert not [kind for kind, _ in again.sent if kind is not Kind.QUERY]
    assert len(again.asked) == (0 if code == "report_failed" else 1)  # one that the vendor calls failed is not asked


def vendor_now_after(vendor: Asked, seconds: float) -> float:
    return NOW + max((at for _, at in vendor.asked), default=1000.0) - 1000.0 + seconds


def test_a_report_that_comes_after_all_is_taken(tmp_path: Path) -> None:
    vendor = Asked(answers={url(1): [UNSAID]}, forever=True)
    run(tmp_path, vendor, many(1), task={"report": "wait", "settle_s": 60})
    again = Asked(run="again", executed=list(vendor.executed))
    again.now = vendor_now_after(vendor, 100)
    run(tmp_path, again, many(1))
    assert states(tmp_path) == {"SKU-1": State.REPORTED}


def test_a_task_that_expired_unread_is_lost_and_sends_nothing(tmp_path: Path) -> None:
    vendor = Asked(answers={url(1): [RUNNING]}, forever=True)

    async def end(engine: Engine) -> None:
        await anyio.sleep(30)
        engine.drain(RunPaused("enough", code="test"))

    run(tmp_path, vendor, many(1), during=end)
    assert states(tmp_path) == {"SKU-1": State.REPORT_PENDING}
    again = Asked(run="again", executed=list(vendor.executed))
    again.now = NOW + TASK_LIFE_S + 60
    run(tmp_path, again, many(1))
    assert states(tmp_path) == {"SKU-1": State.REPORT_LOST}
    assert again.sent == []


def test_a_running_task_is_waited_for_until_it_expires(tmp_path: Path) -> None:
    vendor = Asked(answers={url(1): [RUNNING]}, forever=True)

    async def end(engine: Engine) -> None:
        await anyio.sleep(10)
        engine.drain(RunPaused("enough", code="test"))

    run(tmp_path, vendor, many(1), during=end)
    again = Asked(run="again", answers=vendor.answers, forever=True, executed=list(vendor.executed))
    again.now = NOW + TASK_LIFE_S - 60
    run(tmp_path, again, many(1))
    assert states(tmp_path) == {"SKU-1": State.REPORT_LOST}
    assert 1 <= len(again.asked) <= 3


def test_errors_of_a_question_are_asked_over_and_cost_no_task(tmp_path: Path) -> None:
    vendor = Asked(answers={url(1): [TryAgain("busy", code="67200100"), RUNNING]})
    run(tmp_path, vendor, many(1))
    assert states(tmp_path) == {"SKU-1": State.REPORTED}
    assert len(vendor.executed) == 1


def test_without_permission_for_reports_no_more_tasks_are_paid_for_and_it_is_said_what_does_the_same(
    tmp_path: Path,
) -> None:
    class Slow(Asked):
        async def call(self, endpoint: Any, asked: Any, meter: Any) -> Any:
            if endpoint.kind is Kind.CREATE:
                await anyio.sleep(1)
            return await super().call(endpoint, asked, meter)

    denied = RunStopped("no permission (67200004)", code="67200004")
    vendor = Slow(answers={url(n): [denied] for n in range(1, 31)}, forever=True)
    engine = run(tmp_path, vendor, many(30), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "no more tasks are paid for" in engine.ended_by.message
    assert "write `task: {report: off}`" in engine.ended_by.message
    paid = len(vendor.executed)
    assert 1 <= paid <= 4
    assert list(states(tmp_path).values()).count(State.REPORT_PENDING) == paid


def test_a_budget_of_questions_is_never_exceeded_and_lets_no_task_begin_that_it_cannot_ask_about(
    tmp_path: Path,
) -> None:
    vendor = Asked(answers={url(1): [RUNNING, RUNNING]})
    engine = run(tmp_path, vendor, many(5), budgets={Kind.QUERY: 4})
    assert len(vendor.asked) <= 4
    assert len(vendor.executed) <= 4
    assert "api.budget.query_calls" in str(engine.ended_by)


def test_a_kill_while_reports_are_awaited_creates_nothing_again(tmp_path: Path) -> None:
    vendor = Asked(answers={url(n): [RUNNING] for n in range(1, 4)}, forever=True)

    async def end(engine: Engine) -> None:
        await anyio.sleep(10)
        engine.stop_calls(RunPaused("killed", code="test"))

    run(tmp_path, vendor, many(3), during=end)
    assert set(states(tmp_path).values()) == {State.REPORT_PENDING}
    again = Asked(run="again", executed=list(vendor.executed))
    again.now = vendor_now_after(vendor, 5)
    run(tmp_path, again, many(3))
    assert set(states(tmp_path).values()) == {State.REPORTED}
    assert {kind for kind, _ in again.sent} == {Kind.QUERY}


def test_questions_of_a_run_that_brought_no_report_count_in_the_record_that_a_later_run_writes(tmp_path: Path) -> None:
    vendor = Asked(answers={url(1): [RUNNING]}, forever=True)

    async def end(engine: Engine) -> None:
        while len(vendor.asked) < 3:
            await anyio.sleep(1)
        engine.drain(RunPaused("enough", code="test"))

    run(tmp_path, vendor, many(1), during=end)
    again = Asked(run="again", executed=list(vendor.executed))
    again.now = vendor_now_after(vendor, 5)
    run(tmp_path, again, many(1))
    [record] = records(tmp_path)
    assert (len(vendor.asked), len(again.asked)) == (3, 1)
    assert record["calls"] == {"upload": 0, "search": 1, "create": 1, "query": 4}


def test_a_task_that_was_asked_about_too_often_waits_for_the_next_run_and_holds_up_the_end_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.engine.report_meter.MOST_POLLS", 3)
    vendor = Asked(answers={url(1): [RUNNING] * 3})
    engine = run(tmp_path, vendor, many(1))
    assert engine.ended_by is None
    assert len(vendor.asked) == 3
    assert states(tmp_path) == {"SKU-1": State.REPORT_PENDING}
    again = Asked(run="again", executed=list(vendor.executed))
    again.now = vendor_now_after(vendor, 5)
    run(tmp_path, again, many(1))
    assert states(tmp_path) == {"SKU-1": State.REPORTED}


def test_a_report_that_is_read_when_the_run_is_cancelled_is_written(tmp_path: Path) -> None:
    """A second signal: the answer is there, and only its record was still to be written."""

    scopes: list[anyio.CancelScope] = []

    class Cut(Asked):
        def report(self, task_id: str) -> Report:
            scopes[0].cancel()  # heard while this answer arrives
            return super().report(task_id)

    async def once() -> dict[State, int]:
        async with open_journal(tmp_path) as journal:
            engine = await engine_of(job(tmp_path, task=WAIT["task"]), journal, Cut(), many(1))
            with anyio.CancelScope() as work:
                scopes.append(work)
                await engine.run()
            await journal.finish()
        assert work.cancelled_caught
        return engine.items()

    assert run_virtually(once)[State.REPORTED] == 1
    assert states(tmp_path) == {"SKU-1": State.REPORTED}
    assert [line["status"] for line in records(tmp_path)] == ["reported"]


def test_a_lost_report_is_paid_for_anew_by_a_persons_choice_alone_and_names_the_task_it_replaces(
    tmp_path: Path,
) -> None:
    vendor = Asked(answers={url(1): [FAILED]}, forever=True)
    run(tmp_path, vendor, many(2))
    ((_, old),) = [pair for pair in vendor.executed if pair[0] == url(1)]
    again = Asked(run="again")

    async def retry() -> None:
        async with open_journal(tmp_path) as journal:
            await journal.waiting.choose([1], risked=False)
            engine = await engine_of(job(tmp_path, **WAIT), journal, again, ())
            engine._intake.skip()
            await engine.run()
            await journal.finish()

    run_virtually(retry)
    assert [kind for kind, _ in again.sent] == [Kind.CREATE, Kind.QUERY]  # its hits live
    line = records(tmp_path)[-1]
    assert (line["status"], line["replaces"]) == ("reported", old)
    assert line["task"]["task_id"] == again.executed[0][1]


def test_items_with_one_picture_share_the_report(tmp_path: Path) -> None:
    twins = [item(1), item(2, source=url(1))]
    run(tmp_path, Asked(), twins)
    first, second = records(tmp_path)
    assert (second["same_as"], second["status"]) == ("SKU-1", "reported")
    assert (first["report"], first["comparisons"]) == (second["report"], second["comparisons"])


def test_creates_are_held_back_while_more_tasks_could_not_be_read_in_time() -> None:
    async def room() -> tuple[int, bool, bool]:
        turns = Turns(now=lambda: NOW, qps=0.001)
        return turns.most, turns.has_room(turns.most - 1), turns.has_room(turns.most)

    assert anyio.run(room) == (12, True, False)  # 7 hours at 0.001 a second, two questions each


def test_a_run_holds_creates_back_and_says_so_until_reports_are_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for two tasks at a time: never more are unread, and all five are read in the end."""
    monkeypatch.setattr(Turns, "most", 2)
    vendor, unread, said = Asked(answers={url(n): [RUNNING] for n in range(1, 6)}), [], list[str]()
    create = vendor.note_executed

    async def noted(url: str, task_id: str, choice: Any) -> None:
        await create(url, task_id, choice)
        unread.append(len(vendor.executed) - len(records(tmp_path)))

    monkeypatch.setattr(vendor, "note_executed", noted)

    async def once() -> None:
        async with open_journal(tmp_path) as journal:
            engine = await engine_of(job(tmp_path, **WAIT), journal, vendor, many(5))
            assert engine._reports is not None
            monkeypatch.setattr(engine._reports, "_ports", replace(engine._ports, say=said.append))
            await engine.run()
            await journal.finish()

    run_virtually(once)
    assert set(states(tmp_path).values()) == {State.REPORTED}
    assert max(unread) <= 2
    assert len(said) == 1
    assert said[0].startswith("creates wait: 2 tasks are as many as can be read")


def test_what_is_paid_is_read_also_when_the_budget_of_tasks_is_used_up(tmp_path: Path) -> None:
    items = [item(n) for n in range(1, 6)]
    vendor = Asked(answers={url(n): [Progress.RUNNING] * 3 for n in range(1, 6)})
    engine = run(tmp_path, vendor, items, budgets={Kind.CREATE: 2})
    assert "create_calls" in str(engine.ended_by)
    assert Counter(states(tmp_path).values()) == {State.REPORTED: 2, State.PENDING: 3}


def test_of_the_tasks_whose_turn_has_come_the_one_that_expires_first_is_asked_about() -> None:
    async def asked() -> list[int]:
        now = [NOW]
        turns = Turns(now=lambda: now[0], qps=10)
        for ord_, age in ((1, 60.0), (2, TASK_LIFE_S - 60.0), (3, 3600.0)):
            meter = ReportMeter(work_of(ord_), None, None)  # type: ignore[arg-type]  # nothing is reserved here
            turns.add(Waiting(work_of(ord_), State.REPORT_PENDING, Task(f"t-{ord_}", NOW - age), meter))
        await anyio.sleep(MOST_S)
        assert turns.until_next() == 0
        return [turns.take().work.ord for _ in range(3)]

    assert run_virtually(asked) == [2, 3, 1]
