"""A task that is paid and whose report is awaited: durable before anything else happens, and never lost."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Cursor
from pipeline.journal.storage import connect
from pipeline.models import Calls, Problem, State, Task
from pipeline.reports import TaskNote
from tests.support.fakes import NOW, admitted, dead_copy, hits, look, open_journal, states, work_of

pytestmark = pytest.mark.anyio


TASK = Task("t-1", NOW)
NOTE = TaskNote(2, 0, "en", ["US"])


async def test_task_whose_report_is_awaited_is_durable_with_its_hits_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        work = work_of(1, calls=Calls(0, 1, 1))
        await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
        await journal.steps.await_report(work, TASK, NOTE)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        (found,) = await journal.reports.awaited(after=0)
        assert (found.state, found.task, found.work.calls) == (State.REPORT_PENDING, TASK, Calls(0, 1, 1))
        whole, note, lost = await journal.reports.whole(1)
        assert (whole.hits, note, lost) == (hits(), NOTE, False)
        assert await journal.reports.awaited(after=1) == []


class Full:
    """A real connection on a disk that has no room for a task."""

    def __init__(self, path: Path) -> None:
        self._real = connect(path)
        self.close = self._real.close

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor:
        if sql.startswith(f"UPDATE items SET state = {State.REPORT_PENDING:d}"):
            raise sqlite3.OperationalError("database or disk is full")
        return self._real.execute(sql, parameters)


async def pay_on_a_full_disk(folder: Path) -> None:
    async with open_journal(folder, connect=Full) as journal:
        await admitted(journal, 1)
        work = work_of(1, calls=Calls(0, 1, 0))
        await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
        await journal.steps.await_report(work, TASK, NOTE)


async def test_task_that_a_failing_disk_refused_is_kept_and_awaited_by_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(JournalError, match="1 paid result is kept in emergency-"):
        await pay_on_a_full_disk(folder)
    async with open_journal(folder) as journal:
        (found,) = await journal.reports.awaited(after=0)
        assert (found.state, found.task) == (State.REPORT_PENDING, TASK)
        assert (await journal.reports.whole(1))[0].hits == hits()
    assert [path.suffix for path in folder.glob("emergency-*")] == [".adopted"]


async def test_task_that_comes_after_the_journal_failed_is_kept_and_awaited_by_the_next_start(tmp_path: Path) -> None:
    async def pay() -> None:
        async with open_journal(tmp_path) as journal:
            await admitted(journal, 1)
            work = work_of(1, calls=Calls(0, 1, 0))
            await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
            with pytest.raises(JournalError):
                await look(journal, lambda disk: disk.db.do("no SQL"))
            with pytest.raises(JournalError):
                await journal.steps.await_report(work, TASK, NOTE)

    with pytest.raises(JournalError, match="1 paid result is kept in emergency-"):
        await pay()
    async with open_journal(tmp_path) as journal:
        (found,) = await journal.reports.awaited(after=0)
        assert (found.state, found.task) == (State.REPORT_PENDING, TASK)


async def test_a_kept_task_that_a_start_meets_twice_is_taken_in_once(tmp_path: Path) -> None:
    """A start that dies before it has renamed the file meets it again, when the report may have failed."""
    folder = tmp_path / "run"
    with pytest.raises(JournalError):
        await pay_on_a_full_disk(folder)
    (kept,) = folder.glob("emergency-*.jsonl")
    again = kept.read_bytes()
    async with open_journal(folder) as journal:
        (found,) = await journal.reports.awaited(after=0)
        failed = Problem("report", "report_failed", "it failed", "fail", False)
        await journal.steps.leave_open(found.work, State.REPORT_FAILED, failed, None)
    kept.write_bytes(again)
    async with open_journal(folder):
        assert states(folder) == {"SKU-1": State.REPORT_FAILED}
