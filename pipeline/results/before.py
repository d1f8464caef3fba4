"""The earlier run that the results of a run are compared with, or the reason why they are compared with none."""

import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import JournalError, SpecError
from pipeline.results.earlier_runs import LAST, NONE, KnownRun, run_before, run_of_name
from pipeline.results.since import Earlier, read_earlier
from pipeline.results.summary import RunSummary
from pipeline.system.fault import Fault

NOT_WANTED, NO_EARLIER, UNREADABLE = "not_wanted", "no_earlier", "unreadable"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The run before.

    run      None where there is none, or none is wanted
    earlier  its hits; None where nothing is compared
    why_not  why nothing is compared: NOT_WANTED, NO_EARLIER or UNREADABLE; "" where something is
    """

    run: KnownRun | None = None
    earlier: Earlier | None = None
    why_not: str = NO_EARLIER

    @property
    def name(self) -> str:
        """The name of its directory; "" where nothing is compared."""
        return "" if self.run is None or self.why_not else self.run.run

    @property
    def at(self) -> str:
        """The time of its end, ISO 8601 in UTC; "" where nothing is compared."""
        return "" if self.run is None or self.why_not else self.run.finished_at or self.run.started_at


NOTHING_BEFORE = Before()


def run_to_compare(folder: Path, since: str | None, here: KnownRun) -> KnownRun | None:
    """Find the run before: `none`, `last` or a run directory; without a word the last one where there is one.

    Raises SpecError where one is asked for and is not there.
    """
    if since == NONE:
        return None
    try:
        return run_before(folder, since or LAST, here)
    except SpecError:
        if since is not None:
            raise
        return None


def require_before(folder: Path, since: str | None, here: KnownRun) -> str:
    """Look for the run before, if one is asked for, while nothing is paid yet.

    Returns a remark where there is no last one: the first run of a job goes on without. Raises SpecError where another
    one is named that is not there.
    """
    try:
        run_to_compare(folder, since, here)
    except SpecError as error:
        fault = error.lines[0]
        if since != LAST or not isinstance(fault, Fault):
            raise
        return f"{fault.what}: {fault.fix}"
    return ""


def read_before(folder: Path, summary: RunSummary, since: str | None) -> Before:
    """Read the run before, as `run_to_compare` finds it. Raises SpecError where one is asked for and is not there."""
    run = run_to_compare(folder, since, known(summary))
    if run is None:
        return Before(why_not=NOT_WANTED if since == NONE else NO_EARLIER)
    try:
        return Before(run=run, earlier=read_earlier(run.folder), why_not="")
    except (JournalError, OSError) as error:
        _log.warning("since.not_compared run=%s error=%s", run.run, error)
        return Before(run=run, why_not=UNREADABLE)


def read_named(folder: Path, since: str) -> Before:
    """Read the run that a person names. Raises SpecError where it is not there, JournalError where it is damaged."""
    if since == NONE:
        return Before(why_not=NOT_WANTED)
    run = run_of_name(folder, since)
    return Before(run=run, earlier=read_earlier(run.folder), why_not="")


def known(summary: RunSummary) -> KnownRun:
    """Return what another run must have in common with this one to be an earlier one of it."""
    return KnownRun(
        job=summary.job,
        run=summary.run,
        started_at=summary.started_at,
        vendor=summary.vendor,
        rehearsal=summary.rehearsal,
    )
