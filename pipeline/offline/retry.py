"""Open items that a person wants to pay for once more: which they are, and what that costs. Sends nothing."""

import difflib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import Candidate, candidates
from pipeline.journal.sql.items import counts
from pipeline.models import OF_REPORT, WAITING, Kind, State
from pipeline.offline.opening import Place, opened
from pipeline.offline.refresh import refuse_unseen, unseen
from pipeline.run.options import Again
from pipeline.system.fault import Fault
from pipeline.system.wording import count, listed
from pipeline.views import local_views

_STATES = {
    "failed": State.FAILED,
    "in-doubt": State.IN_DOUBT,
    "expired": State.EXPIRED,
    "report-failed": State.REPORT_FAILED,
    "report-lost": State.REPORT_LOST,
}


class Wanted(NamedTuple):
    """Open items that a person wants to have tried again."""

    state: State
    code: str | None = None  # their error code; None = any
    limit: int | None = None  # the first so many; None = all


def state_of(word: str) -> State:
    """Return the state that `--only` names. Raises SpecError when it names none."""
    if word not in _STATES:
        near = difflib.get_close_matches(word.lower().replace("_", "-"), _STATES, n=1)
        fix = f"--only {near[0]}" if near else ""
        raise SpecError(Fault(f"{word!r} is not allowed; allowed: {', '.join(_STATES)}", where="--only", fix=fix))
    return _STATES[word]


@dataclass(frozen=True, slots=True)
class Selection:
    """The items of a run directory that a retry works on."""

    kind: str  # `failed with 68300010`
    candidates: list[Candidate]
    waiting: int  # items that a run works on anyway
    risked: bool  # True when they are in doubt: each may be paid twice
    has_task: bool  # True when each was paid for a task that brought no report
    goes_on: str  # the command that goes on with the run

    def again(self, folder: Path) -> Again:
        """Return the option that makes a run work on these items alone."""
        return Again(folder.resolve(), tuple(one.ord for one in self.candidates), risked=self.risked)

    def text(self, spec: JobSpec) -> str:
        """Say how many items are paid for again, which, and with how many calls; or that there are none."""
        if not self.candidates:
            waiting, them = count(self.waiting, "item waits", "items wait"), "it" if self.waiting == 1 else "them"
            rest = f"; {waiting}, and `pipeline {self.goes_on}` works on {them}" if self.waiting else ""
            return f"no item of this run is {self.kind} and could be tried again; nothing was sent{rest}"
        number = len(self.candidates)
        calls = {
            Kind.UPLOAD: sum(len(local_views(one.source)) for one in self.candidates if one.to_upload),
            Kind.SEARCH: 0 if spec.submits else sum(_pages(one, spec) for one in self.candidates),
            Kind.CREATE: number if spec.task.enabled else 0,
        }
        by_kind = ", ".join(f"{calls_:,} {kind}" for kind, calls_ in calls.items())
        items = count(number, f"item that is {self.kind} is", f"items that are {self.kind} are")
        them = "It" if number == 1 else "Each of them"
        risk = f" {them} may be paid twice." if self.risked else ""
        risk += (
            f" {them} is paid for a new task; the old one brought no report and stays paid." if self.has_task else ""
        )
        most = "at most " if spec.search.pages_left(None) > 1 or spec.search.TAKES_VIEWS else ""
        names = listed([one.id for one in self.candidates])
        return (
            f"{items} tried again with {most}{count(sum(calls.values()), 'call')} ({by_kind}) to {spec.vendor}, and "
            f"what is repeated of them, which the account pays for: {names}.{risk}"
        )


def _pages(one: Candidate, spec: JobSpec) -> int:
    """Count the pages of an item's search that are asked for, at most."""
    if one.to_search:
        return spec.search.pages_left(None)
    return 0 if one.hits is None else spec.search.pages_left(one.hits)


def select(place: Place, wanted: Wanted) -> Selection:
    """Find the wanted items. Raises SpecError when some are in doubt that nobody was shown."""
    with opened(place.folder) as disk:
        if wanted.state is State.IN_DOUBT:
            refuse_unseen(place, disk.db, unseen(place.folder, disk.db))
        return selected(disk.db, wanted, goes_on="run")


def selected(db: Database, wanted: Wanted, *, goes_on: str) -> Selection:
    """Read the wanted items of a journal; `goes_on` is the command that goes on with its run."""
    state, code, limit = wanted
    return Selection(
        kind=state.word.replace("_", " ") + (f" with {code}" if code else ""),
        candidates=candidates(db, state, code=code, limit=limit, now=time.time()),
        waiting=sum(counts(db).get(one, 0) for one in WAITING),
        risked=state is State.IN_DOUBT,
        has_task=state in OF_REPORT,
        goes_on=goes_on,
    )
