"""Creates that are made of no hits, because they search by themselves: an intent, a doubt and a line like any other."""

from pathlib import Path

import pytest

from pipeline.endpoints.patsnap.ai39_submit import NAME
from pipeline.errors import JournalError
from pipeline.journal.paid_hits import open_with_hits
from pipeline.journal.places import RESULTS, SPOOL
from pipeline.journal.results_file import ResultsFile
from pipeline.journal.sql.rows import Line
from pipeline.models import Calls, Hits, State, Task, Work
from pipeline.reports import Progress, TaskNote, WholeReport
from pipeline.results.record import RecordLines
from tests.support.fakes import NOW, admitted, dead_copy, hits, item, job, look, open_journal, rows, states, work_of

pytestmark = pytest.mark.anyio

TASK = Task("t-1", NOW)
NOTE = TaskNote(0, 0, "en", ["US"])
NOTHING = Hits(b"[]", (), (), 0, "r-1", NOW, NAME)
FOUND = Hits(hits().array, hits().scores, hits().complete, hits().total, "r-1", NOW, NAME)


def line(folder: Path, found: Hits) -> tuple[State, bytes]:
    report = WholeReport(Progress.DONE, (), b'{"task_status":2}', "r-1", NOW, found, None)
    work = Work(1, item(1), Calls(0, 0, 1), hits=found)
    state, record = RecordLines(job(folder), "0" * 64).reported(work, TASK, NOTE, report, None, hits_lost=False)
    return state, bytes(record)


async def test_the_intent_of_a_submit_is_durable_and_a_death_leaves_a_doubt_without_hits(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await journal.steps.intend(work_of(1), None, request_id="asked", at=NOW)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    assert rows(dead, "state, intent, attempt, search, segment") == [(State.CREATING, "asked", 1, None, None)]
    async with open_journal(dead) as journal:
        (doubt,) = await look(journal, lambda disk: list(open_with_hits(disk.db, dead / SPOOL)))
        assert (doubt.state, doubt.work.hits, doubt.hits_lost) == (State.IN_DOUBT, None, False)


async def test_a_submit_that_was_provably_not_executed_is_where_it_began(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        work = work_of(1)
        await journal.steps.intend(work, None, request_id="asked", at=NOW)
        journal.steps.take_back(work, "asked")
        await look(journal, lambda disk: None)
        assert states(tmp_path) == {"SKU-1": State.PENDING}
        (again,) = await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)
        assert again.hits is None


async def test_a_create_with_paid_hits_keeps_them_when_it_is_taken_back(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        work = work_of(1)
        await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
        journal.steps.take_back(work, "asked")
        await look(journal, lambda disk: None)
        assert states(tmp_path) == {"SKU-1": State.SEARCHED}


@pytest.mark.parametrize(
    ("found", "state"), [(FOUND, State.REPORTED), (NOTHING, State.NO_HITS)], ids=["hits", "nothing found"]
)
async def test_the_line_of_a_report_that_was_not_committed_is_adopted(
    found: Hits, state: State, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    async with open_journal(folder) as journal:
        await admitted(journal, 1)
        work = work_of(1)
        await journal.steps.intend(work, None, request_id="asked", at=NOW)
        await journal.steps.await_report(work, TASK, NOTE)
    of, record = line(folder, found)
    assert of is state
    results = ResultsFile(folder / RESULTS)
    results.position(None if not (folder / RESULTS).stat().st_size else Line(0, 0, 0, 0))
    results.append([record])
    results.close()
    async with open_journal(folder) as journal:
        assert states(folder) == {"SKU-1": state}
        assert await journal.reports.awaited(after=0) == []
    assert rows(folder, "task_id, seq") == [("t-1", 0)]
    assert (folder / RESULTS).read_bytes() == record


async def test_the_line_of_another_task_is_not_adopted(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    async with open_journal(folder) as journal:
        await admitted(journal, 1)
        work = work_of(1)
        await journal.steps.intend(work, None, request_id="asked", at=NOW)
        await journal.steps.await_report(work, Task("t-2", NOW), NOTE)
        before = dead_copy(folder, tmp_path / "dead")
    (before / RESULTS).write_bytes(line(folder, NOTHING)[1])
    with pytest.raises(JournalError, match="task"):
        async with open_journal(before):
            pass
