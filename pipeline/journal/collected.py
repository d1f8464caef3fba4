"""The reports that `collect` reads for a run directory, joined with what the run's own journal knows.

The run's records say `tasked` for good. What became of those tasks since stands in the journal of the reports, which is
read here without disturbing whoever writes it; of a run that never collected any nothing is read.
"""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pipeline.errors import JournalError
from pipeline.journal.begun import has_begun
from pipeline.journal.places import REPORTS_FOLDER, collection_of, is_collection, run_of
from pipeline.journal.sql import collected, items
from pipeline.journal.sql.calls import counted
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.money import Priced, noted
from pipeline.journal.storage import reading_only
from pipeline.models import OPEN, TASK_LIFE_S, Kind, Problem, State, Work

LATER_SINCE = "later_since"  # a key in the journal: when the job first asked for reports to be read later
_BATCH = 1000

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def has_collection(run: Path) -> bool:
    """Return whether reports were, or are, collected for a run. Raises JournalError if their journal is lost."""
    try:  # most runs have no such folder, and to list the names takes less time than all that would be asked about it
        if not any(name.startswith(REPORTS_FOLDER) for name in os.listdir(run)):
            return False
    except OSError:
        pass
    return has_begun(collection_of(run))


def joined(db: Database, folder: Path, counts: Mapping[State, int], removed: int) -> tuple[dict[State, int], int]:
    """Return the counts of a run's items with each task as it stands since; twins share the task and its report.

    Open ones count also where the job lists their items no longer: they are paid, and not read.
    """
    now = Counter(counts)
    left = removed
    try:
        for state, ids in _became(folder):
            in_view, others = collected.count_of(db, ids)
            now[State.TASKED] -= in_view
            now[state] += in_view
            if state in OPEN:
                now[state] += others
                left -= others
    except JournalError as error:
        return _not_read(error, dict(counts)), removed
    return dict(now), left


def is_joined(folder: Path) -> bool:
    """Return whether what became of a run's tasks can be read, if reports were collected for it."""
    try:
        for _ in _became(folder):
            pass
        spent_beside(folder)
    except JournalError:
        return False
    return True


def _not_read(error: JournalError, instead: _T) -> _T:
    """Log that the journal of reports cannot be read: whoever collects them is told, and a run stands without them."""
    _log.error("reports.not_joined without the reports that were collected: %s", error)
    return instead


def unread(db: Database, folder: Path, *, now: float) -> list[float]:
    """List when the tasks were created that live and of which nothing became yet, the earliest first.

    They are those of a run that were not taken in, and those that were, or that were paid for anew since.
    """
    since = now - TASK_LIFE_S
    known, pending = frozenset[str](), list[float]()
    try:
        if has_collection(folder):
            with reading_only(collection_of(folder)) as reports:
                known, pending = collected.ids(reports), collected.pending(reports, since=since)
    except JournalError as error:
        _not_read(error, None)
    return sorted([*collected.unread(db, but=known, since=since), *pending])


def _became(folder: Path) -> Iterator[tuple[State, list[str]]]:
    if not has_collection(folder):
        return
    after = 0
    with reading_only(collection_of(folder)) as db:
        while batch := collected.became(db, after=after, limit=_BATCH):
            after = batch[-1][0]
            by_state = defaultdict(list)
            for _, id_, state in batch:
                by_state[state].append(id_)
            yield from by_state.items()


def open_reports(folder: Path, *, limit: int) -> list[tuple[Work, State, Problem]]:
    """Read the first items of a run directory whose reports failed or are lost, or whose new task is open."""
    try:
        return _open_reports(folder, limit=limit)
    except JournalError as error:
        return _not_read(error, [])


def _open_reports(folder: Path, *, limit: int) -> list[tuple[Work, State, Problem]]:
    if not has_collection(folder):
        return []
    with reading_only(collection_of(folder)) as db:
        return items.open_items(db, after=0, limit=limit, but=State.REPORT_PENDING)


def spent_beside(folder: Path) -> tuple[dict[Kind, tuple[int, int]], dict[Kind, Priced]]:
    """Read what the other of the two spent, a run or the collecting of its reports: calls (reserved, sent) and money.

    Budgets are one for both.
    """
    other = run_of(folder) if is_collection(folder) else collection_of(folder) if has_collection(folder) else None
    if other is None:
        return {}, {}
    with reading_only(other) as db:
        return counted(db), noted(db)
