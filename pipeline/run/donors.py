"""The other run directories under output.dir, whose searches and tasks of the same account may be reused.

They are only read, also while their own runs go on. Where one cannot be read, or a line in it is not what was written,
nothing of it is reused: what is reused must be as sure as what this run pays for itself.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from pipeline.engine.reuse import Found
from pipeline.errors import PipelineError
from pipeline.job.schema import JobSpec
from pipeline.journal.epochs import is_epoch
from pipeline.journal.journal import Journal
from pipeline.journal.places import JOURNAL, RESULTS, collection_of
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.sent_calls import ACCOUNTS
from pipeline.journal.storage import reading_only
from pipeline.paging import paging_of
from pipeline.run.donor import Donor

_log = logging.getLogger(__name__)
_UNREADABLE = (PipelineError, OSError, ValueError)


class Donors:
    """The other run directories, newest first (engine/reuse.Reuse)."""

    def __init__(self, donors: list[Donor]) -> None:
        self._donors = donors

    def find(self, identity: str, *, paid: str | None, now: float) -> Found | None:
        """Find what is paid for a picture; of several things the one that saves most, then the newest.

        Of an item that has hits already, `paid` names their search: others say nothing of them.
        """
        found: list[Found] = []
        for donor in list(self._donors):
            try:
                found += donor.found(identity, now=now)
            except _UNREADABLE as exc:
                _log.warning("reuse.not_read nothing of %s is reused: %s", donor.folder, exc)
                self._donors.remove(donor)
        return max((_of_search(one, paid) for one in found), key=_saves, default=None)


def _of_search(one: Found, paid: str | None) -> Found:
    """Leave hits of another search than the paid one, and their task, out of sight."""
    other = paid is not None and one.hits is not None and one.hits.request_id != paid
    return one._replace(hits=None, task=None) if other else one


def _saves(one: Found) -> tuple[bool, bool, bool, int, float, float]:
    hits, at = one.hits, 0.0
    pages = 0
    if hits is not None:
        paging, at = paging_of(hits), hits.at
        pages = 1 if paging is None or paging.next_offset is None else len(paging.pages) - paging.end
    has_report = one.task is not None and one.task.report is not None
    return has_report, one.task is not None, hits is not None, pages, at, one.upload.expires_at if one.upload else 0.0


@contextmanager
def open_donors(spec: JobSpec, folder: Path, account: str | None, *, now: float) -> Iterator[Donors | None]:
    """Open the run directories beside `folder` until the block ends; yield None where the job reuses nothing.

    Without an account, and on the embedded sandbox (each is an account of its own), nothing is reused.
    """
    age_s = spec.search.reuse_s
    if not age_s or account is None or spec.sandbox:
        yield None
        return
    with ExitStack() as opened:
        donors = []
        for other in sorted(folder.parent.glob(f"*/{JOURNAL}"), key=_changed_at, reverse=True):
            if other.parent == folder or is_epoch(other.parent) or _changed_at(other) < now - age_s:
                continue
            with suppress(*_UNREADABLE):
                db = opened.enter_context(reading_only(other.parent))
                donors.append(Donor(other.parent, db, spec, account, _collected(opened, other.parent)))
        yield Donors(donors)


def _collected(opened: ExitStack, folder: Path) -> Database | None:
    """Open the journal of the reports that were collected for a run directory; None where there is none."""
    with suppress(*_UNREADABLE):
        return opened.enter_context(reading_only(collection_of(folder)))
    return None


async def note_account(journal: Journal, account: str) -> None:
    """Note that an account runs here, before its first call: other runs take what is their account's alone."""
    known = ((await journal.recall([ACCOUNTS]))[ACCOUNTS] or "").split()
    if account not in known:
        await journal.remember({ACCOUNTS: " ".join([*known, account])})


def _changed_at(journal: Path) -> float:
    """Return when a run last wrote here; its log of changes is newer than the journal while it goes on."""
    times = [0.0]
    for path in (journal, journal.with_name(f"{JOURNAL}-wal"), journal.with_name(RESULTS)):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)
