"""The calls that all run directories known here sent with one account."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pipeline.endpoints.patsnap.statement import day_of
from pipeline.errors import JournalError, PipelineError
from pipeline.journal.identity import of_note
from pipeline.journal.places import JOURNAL, collection_of, is_superseded, run_directories, run_of
from pipeline.journal.sql import doubts, sent_calls
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.sent_calls import Sent
from pipeline.journal.storage import reading_only
from pipeline.run.directory import known_runs


@dataclass(slots=True)
class SentHere:
    """The calls of one account.

    rows       of all run directories, and `of_run` those of the run that was asked about
    runs       the paths of the run directories that have any
    not_read   those that could not be read, a sentence each
    not_noted  calls by kind that may have been sent and have no hour
    doubts     creates in doubt, by the day of their intent
    """

    rows: list[Sent] = field(default_factory=list)
    of_run: list[Sent] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    not_read: list[str] = field(default_factory=list)
    not_noted: Counter[str] = field(default_factory=Counter)
    doubts: Counter[date] = field(default_factory=Counter)


def find_sent(folder: Path, account: str) -> SentHere:
    """Read the calls of an account in `folder` and in all other run directories known here, also while runs go on.

    Those of a cluster run are the calls of all its shards. Raises JournalError when a run directory that stands alone
    cannot be read; others are named.
    """
    found = SentHere()
    mine = run_directories(folder)
    for run in mine:
        try:
            _read(found, run, account, of_run=True)
        except JournalError:
            if mine == [folder]:
                raise
            _read_or_name(found, run, account, of_run=True)
    own = {run.resolve() for run in mine}
    for other in _others(own):
        _read_or_name(found, other, account, of_run=run_of(other) in own)  # questions for its very reports
    return found


def _read_or_name(found: SentHere, run: Path, account: str, *, of_run: bool) -> None:
    try:
        _read(found, run, account, of_run=of_run)
    except (PipelineError, OSError) as exc:
        found.not_read.append(f"{run}: {exc}")


def _read(found: SentHere, run: Path, account: str, *, of_run: bool) -> None:
    with reading_only(run) as db:
        rows = sent_calls.noted(db, account)
        _add(found, run, rows, db)
    if of_run:
        found.of_run += rows


def _add(found: SentHere, folder: Path, rows: list[Sent], db: Database) -> None:
    if not rows:
        return
    found.rows += rows
    found.runs.append(str(folder))
    found.not_noted.update(sent_calls.uncounted(db))
    found.doubts.update(map(day_of, doubts.intended_at(db)))


def _others(own: set[Path]) -> list[Path]:
    """List the other run directories that are noted on this machine and are still there."""
    places, reports = known_runs(), [collection_of(run) for run in sorted(own)]
    others = [folder for folder in reports if (folder / JOURNAL).is_file()]
    seen = {*own, *others}
    for note in sorted(places.glob("*.json")) if places is not None and places.is_dir() else ():
        known = of_note(note)
        if known is None or not known.path or (path := Path(known.path)) in seen or not (path / JOURNAL).is_file():
            continue
        seen.add(path)
        if not is_superseded(path):  # its calls are in the one that follows it
            others.append(path)
    return others
