"""The collecting of reports for a run directory, as an execution of its own: also while the run goes on.

It has a run directory inside that of the run (journal/places.py). The run's journal is only read: every task in it is
taken in once, and asked for its report as a run does that waits for them.
"""

from dataclasses import dataclass
from pathlib import Path

import anyio

from pipeline.job.schema import JobSpec
from pipeline.journal.collected import LATER_SINCE
from pipeline.journal.journal import Journal
from pipeline.journal.sql import collected
from pipeline.journal.storage import reading_only
from pipeline.models import TASK_LIFE_S, Kind
from pipeline.reports import TaskNote
from pipeline.run.directory import JOB_FOLDER, is_locked
from pipeline.run.options import Again, RunOptions
from pipeline.system.mounts import network_file_system

_BATCH = 500


def as_collected(spec: JobSpec) -> JobSpec:
    """Return the job of a run as its reports are collected: details stand in the run's records already."""
    return spec.model_copy(update={"task": spec.task.model_copy(update={"report": "wait"}), "details": None})


def why_alone(spec: JobSpec, folder: Path, *, paying: bool) -> str:
    """Say why the reports of a run cannot be collected while it goes on; "" where they can."""
    if paying:
        return "a task is paid for anew by budgets that are one for both"
    if spec.api.budget.money is not None and spec.price_of(Kind.QUERY):
        return "api.budget.money is one cap for its calls and for questions, which have a price"
    if spec.awaits_reports:
        return "it asks for reports itself"
    if spec.sandbox:
        return "the sandbox inside it is there for it alone; with `pipeline sandbox` both can go on"
    if network_file_system(folder) is not None:
        return "its journal lies on a network file system, where it is not read meanwhile"
    return ""


@dataclass(slots=True)
class Following:
    """The tasks of one run, taken in while it goes on. `journal` is that of its reports."""

    spec: JobSpec
    again: Again
    journal: Journal
    after: int = -1  # the last record that was looked at

    async def begin(self) -> None:
        """Note what the journal of reports is for, and take in all tasks that are paid."""
        noted = {JOB_FOLDER: str(self.spec.folder), "vendor": self.spec.host, "generation": str(collected.GENERATION)}
        await self.journal.remember(noted)
        await self._take_in()

    async def more(self) -> bool:
        """Take in the tasks that were paid meanwhile; return whether more may come. Raises JournalError."""
        assert self.again.of is not None
        goes_on = not self.again.alone and await anyio.to_thread.run_sync(is_locked, self.again.of)
        await self._take_in()
        return goes_on

    async def _take_in(self) -> None:
        task = self.spec.task
        note = TaskNote(0, 0, task.report_lang, task.country)
        while rows := await anyio.to_thread.run_sync(self._read):
            await self.journal.reports.take_in(rows, note)
            self.after = rows[-1].seq

    def _read(self) -> list[collected.PaidRow]:
        """Read tasks of the run that are not taken in; each look is a short one, so that the run can tidy its log."""
        assert self.again.of is not None
        with reading_only(self.again.of) as db:
            since = float(db.meta(LATER_SINCE) or 0) - TASK_LIFE_S
            return collected.paid(db, after=self.after, since=since, limit=_BATCH)


async def follow(spec: JobSpec, journal: Journal, options: RunOptions) -> Following | None:
    """Begin to take in the tasks of the run whose reports are collected; None for a run itself."""
    if options.again is None or options.again.of is None:
        return None
    following = Following(spec, options.again, journal)
    await following.begin()
    return following
