"""The bill of a run: the vendor's statement of account beside our own counts, by day and endpoint.

A statement is of the whole account, so our counts are those of all run directories that are known here.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import anyio
import msgspec

from pipeline.calls.statement import ANSWER_S, Statements
from pipeline.calls.transport import PATIENCE_S, open_transport
from pipeline.endpoints.patsnap.credentials import setting
from pipeline.endpoints.patsnap.statement import Used, closes_at, day_of
from pipeline.errors import SpecError
from pipeline.job.load import load_as_run
from pipeline.journal.places import run_directories
from pipeline.models import Kind
from pipeline.results.comparison import Line, compare
from pipeline.run.directory import SPEC
from pipeline.run.load import Job, folder_of, load, load_again
from pipeline.run.sent import SentHere, find_sent
from pipeline.system.clock import iso
from pipeline.system.fault import Fault, typed


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One of the vendor's days."""

    day: str  # ISO 8601
    closed: bool  # False while the statement of this day is not complete
    complete_at: str  # when it is, ISO 8601 in UTC
    lines: list[Line]  # by endpoint


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The bill of a run; `bill --json` prints these fields."""

    run: str  # the path of the run directory
    vendor: str  # its host
    account: str = ""  # by the job's name for it, where it names one
    days: list[Day]  # on which the run sent calls
    runs: list[str]  # the paths of all run directories whose calls are in our counts
    not_read: list[str]  # run directories that could not be read, a sentence each
    not_noted: dict[str, int]  # calls by kind that may have been sent and are in no day: a process was killed
    agrees: bool  # whether our counts explain all closed days

    @property
    def exit_code(self) -> int:
        """Return 0 where our counts explain all closed days, else 1."""
        return 0 if self.agrees else 1


def make_bills(
    path: Path, *, environment: Mapping[str, str] | None = None, now: Callable[[], float] = time.time
) -> list[Bill]:
    """Ask for the statement of each account of a run directory or a job file, and compare it with our counts.

    Raises SpecError for an account that cannot ask, RunPaused or RunStopped when there is no statement to be had.
    """
    folder, jobs = _jobs_of(path, environment)
    bills = [bill for job in jobs if (bill := _bill_of(folder, job, now)) is not None]
    if not bills:
        what = "no calls of this account are noted in this run directory, so there is nothing to compare"
        raise SpecError(Fault(what, where=str(folder)))
    return bills


def _bill_of(folder: Path, job: Job, now: Callable[[], float]) -> Bill | None:
    """Make the bill of one account; None where it sent nothing."""
    _refuse_who_cannot_ask(job, folder)
    sent = find_sent(folder, job.account)
    days = sorted({day_of(row.hour * 3600) for row in sent.of_run})
    if not days:
        return None
    statements = anyio.run(_ask, job, days)
    compared = [_day(day, sent, used, now=now()) for day, used in zip(days, statements, strict=True)]
    agrees = all(line.explained for day in compared if day.closed for line in day.lines)
    return Bill(
        run=str(folder),
        vendor=job.spec.vendor,
        account=job.spec.api.account or "",
        days=compared,
        runs=sent.runs,
        not_read=sent.not_read,
        not_noted=dict(sent.not_noted),
        agrees=agrees,
    )


def _jobs_of(path: Path, environment: Mapping[str, str] | None) -> tuple[Path, list[Job]]:
    """Return the run directory that a path names, and its job with each account that it was run with."""
    folder = folder_of(path, environment=environment)
    if path.is_file():
        return folder, load(path, environment=environment).each_account()
    runs = run_directories(folder) or [folder]
    of_account = {load_as_run(run / SPEC).api.account: run for run in reversed(runs) if (run / SPEC).is_file()}
    return folder, [load_again(run, environment=environment) for run in of_account.values() or runs[:1]]


def _refuse_who_cannot_ask(job: Job, folder: Path) -> None:
    if job.spec.sandbox:
        what = "the sandbox of this job ended with its run, and its statement with it; start `pipeline sandbox` apart"
        raise SpecError(Fault(what, where=str(folder), fix=typed("sandbox")))
    if not job.credentials.client_secret:
        what = "the vendor gives its statement of account to a client id and secret alone, not to an API key"
        fix = setting(job.credentials.account, "CLIENT_ID", "CLIENT_SECRET")
        raise SpecError(Fault(what, where=job.credentials.variables, fix=fix))


async def _ask(job: Job, days: Sequence[date]) -> list[tuple[Used, ...]]:
    api = job.spec.api
    patience_s = {**PATIENCE_S, Kind.TOKEN: ANSWER_S}
    async with open_transport(api.base_url, proxy=api.proxy, ca_file=api.ca_file, patience_s=patience_s) as transport:
        statements = Statements(transport, job.credentials)
        return [await statements.of(day) for day in days]


def _day(day: date, sent: SentHere, used: Sequence[Used], *, now: float) -> Day:
    complete_at = closes_at(day)
    closed = now >= complete_at
    of_day = [row for row in sent.rows if day_of(row.hour * 3600) == day]
    lines = compare(of_day, used, doubts=sent.doubts.get(day, 0), not_noted=Counter(sent.not_noted), closed=closed)
    return Day(day=day.isoformat(), closed=closed, complete_at=iso(complete_at), lines=lines)
