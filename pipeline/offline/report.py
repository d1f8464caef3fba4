"""The page, the summary and open.jsonl made anew at any time, also beside a run that goes on. Sends nothing."""

import time
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import RunLocked
from pipeline.journal.places import run_directories
from pipeline.journal.sql.database import Database
from pipeline.journal.storage import reading_only
from pipeline.offline.export import Asked, make_export
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.refresh import refresh
from pipeline.results.before import read_before
from pipeline.results.exports.selection import Wanted
from pipeline.results.fail_on import Condition, matching
from pipeline.results.page.view import Wishes
from pipeline.results.summary import RunSummary
from pipeline.run.client_page import is_of, write_client_page
from pipeline.run.directory import ENDED
from pipeline.run.page import page_of

LOOK_EVERY_S = 0.5
PATIENCE_S = 600.0  # a run that has ended writes the files of its own meanwhile


class Made(NamedTuple):
    """A page that was made."""

    summary: RunSummary  # of the whole run
    page: Path


def make_report(folder: Path, wishes: Wishes | None = None, *, unpacked: bool = False) -> Made:
    """Make the files of a run directory anew. Raises SpecError, JournalError or OSError.

    A run that is not under way is made whole first, as its next start would: what was on its way when it died is in
    doubt. Of one that is under way only the journal is read. Where `wishes` name a client, its page is made, too.
    Of an archive, `unpacked` for a while, nothing is noted.
    """
    place, wishes = find_run(folder), wishes or Wishes()
    try:
        summary = _at_rest(place, wishes, unpacked=unpacked)
    except RunLocked:
        summary = _beside_run(place, wishes)
        summary = _behind_its_end(place, wishes) or summary
    return Made(summary, page_of(folder, wishes.client))


def make_pdf(folder: Path, made: Made, wishes: Wishes) -> Path:
    """Write what a page shows as a PDF beside it, most alike first. Raises SpecError, JournalError or OSError."""
    asked = Asked(
        "pdf",
        wanted=Wanted(client=wishes.client or None),
        output=made.page.with_suffix(".pdf"),
        decisions=() if wishes.decisions is None else (wishes.decisions,),
        force=True,
        report=wishes.report,
    )
    before = read_before(folder, made.summary, wishes.since)
    return make_export(folder, asked, name=folder.resolve().name, before=before).file


def count_matching(folder: Path, wishes: Wishes, condition: Condition) -> int:
    """Count the products of a run, or of the client whose page was made, that meet a condition."""
    if not wishes.client:
        return matching(folder, condition)
    label = (wishes.report or find_run(run_directories(folder)[0]).spec.report).client_label
    return matching(folder, condition, only=is_of(label, wishes.client))


def _at_rest(place: Place, wishes: Wishes, *, unpacked: bool = False) -> RunSummary:
    with opened(place.folder, unpacked=unpacked) as disk:
        return _made(place, disk.db, wishes)


def _beside_run(place: Place, wishes: Wishes) -> RunSummary:
    with reading_only(place.folder) as db:
        db.do("BEGIN")  # one state of the journal for all files
        return _made(place, db, wishes, running=True)


def _made(place: Place, db: Database, wishes: Wishes, *, running: bool = False) -> RunSummary:
    summary = refresh(place, db, running=running, wishes=wishes)
    if wishes.client:
        write_client_page(place.folder, db, place.records, summary, wishes)
    return summary


def _behind_its_end(place: Place, wishes: Wishes) -> RunSummary | None:
    """Make the files once more if the run came to its end meanwhile: ours may have replaced those that it wrote."""
    give_up = time.monotonic() + PATIENCE_S
    while has_noted_end(place.folder) and time.monotonic() < give_up:
        try:
            return _at_rest(place, wishes)
        except RunLocked:
            time.sleep(LOOK_EVERY_S)
    return None


def has_noted_end(folder: Path) -> bool:
    """Return whether the last run has noted its end; the files for people may still be written."""
    with reading_only(folder) as db:
        return db.meta(ENDED) is not None and db.meta(ENDED) == db.meta("started_at")
