"""The page, the summary and open.jsonl made anew at any time, also beside a run that goes on. Sends nothing."""

import time
from pathlib import Path

from pipeline.errors import RunLocked
from pipeline.journal.sql.database import Database
from pipeline.journal.storage import reading_only
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.refresh import refresh
from pipeline.results.summary import RunSummary
from pipeline.run.directory import ENDED

_LOOK_EVERY_S = 0.5
_PATIENCE_S = 600.0  # a run that has ended writes the page of its own meanwhile


def make_report(folder: Path) -> RunSummary:
    """Make the files of a run directory anew; return its summary. Raises SpecError, JournalError or OSError.

    A run that is not under way is made whole first, as its next start would: what was on its way when it died is in
    doubt. Of one that is under way only the journal is read.
    """
    place = find_run(folder)
    try:
        return _at_rest(place)
    except RunLocked:
        summary = _beside_run(place)
    return _behind_its_end(place) or summary


def _at_rest(place: Place) -> RunSummary:
    with opened(place.folder) as disk:
        return refresh(place, disk.db, page_must=True)


def _beside_run(place: Place) -> RunSummary:
    with reading_only(place.folder) as db:
        db.do("BEGIN")  # one state of the journal for all three files
        return refresh(place, db, running=True, page_must=True)


def _behind_its_end(place: Place) -> RunSummary | None:
    """Make the files once more if the run came to its end meanwhile: ours may have replaced those that it wrote."""
    give_up = time.monotonic() + _PATIENCE_S
    while has_ended(place.folder) and time.monotonic() < give_up:
        try:
            return _at_rest(place)
        except RunLocked:
            time.sleep(_LOOK_EVERY_S)
    return None


def has_ended(folder: Path) -> bool:
    """Return whether the last run came to its end; the files for people may still be written."""
    with reading_only(folder) as db:
        return _noted_end(db)


def _noted_end(db: Database) -> bool:
    return db.meta(ENDED) is not None and db.meta(ENDED) == db.meta("started_at")
