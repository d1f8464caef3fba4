"""The questions for one task's report: counted, limited in number, and learned from."""

from pathlib import Path

import anyio
import pytest

from pipeline.engine.promises import Promises
from pipeline.engine.report_meter import MOST_POLLS, ReportMeter
from pipeline.engine.report_turns import Turns, Waiting
from pipeline.errors import Code, ItemRefused
from pipeline.journal.journal import Journal
from pipeline.models import Kind, State, Task
from tests.support.fakes import NOW, open_journal, work_of

pytestmark = pytest.mark.anyio

QUERY = Kind.QUERY


def waiting(journal: Journal, number: int, *, age: float = 0.0) -> Waiting:
    """Make a task of this age that is asked for its report."""
    work = work_of(number)
    meter = ReportMeter(work, journal.budget, Promises(journal.budget, tasks=True, reports=True))
    return Waiting(work, State.REPORT_PENDING, Task(f"t-{number}", NOW - age), meter)


async def ask(one: Waiting, times: int) -> None:
    """Send so many questions for a task."""
    for _ in range(times):
        await one.meter.before(QUERY, "asked")
        one.meter.sent(QUERY)


async def test_a_task_is_asked_about_a_hundred_times_in_a_run_at_most_repetitions_included(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        one = waiting(journal, 1)
        await ask(one, MOST_POLLS - 1)
        assert one.meter.may_ask
        await ask(one, 1)
        assert not one.meter.may_ask
        with pytest.raises(ItemRefused, match="asked about 100 times in this run") as refused:
            await ask(one, 1)
        assert (refused.value.code, refused.value.sent) == (Code.REPORT_PENDING, False)
        assert journal.budget.calls[QUERY].sent == one.work.calls.query == 100


async def test_the_tasks_that_can_be_read_in_time_are_reckoned_by_the_questions_that_reports_took(
    tmp_path: Path,
) -> None:
    async with open_journal(tmp_path) as journal:
        turns = Turns(now=lambda: NOW, qps=0.001)
        assert turns.most == 12  # 7 hours at 0.001 a second, two questions each until more is known
        for number, questions in ((1, 3), (2, 7)):
            one = waiting(journal, number)
            await ask(one, questions)
            turns.done(one)
        assert turns.most == 5


@pytest.mark.parametrize(("questions", "first_after_s"), [(1, 90.0), (2, 100.0)])
async def test_a_task_is_first_asked_about_when_others_were_done_and_sooner_if_these_were_found_so_at_once(
    questions: int, first_after_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_journal(tmp_path) as journal:
        turns = Turns(now=lambda: NOW, qps=10)
        found = waiting(journal, 1, age=100.0)
        await ask(found, questions)
    monkeypatch.setattr(anyio, "current_time", lambda: 1000.0)  # the loop's clock stands: nothing is awaited any more
    turns.done(found)
    turns.add(waiting(journal, 2))
    assert turns.until_next() == first_after_s
