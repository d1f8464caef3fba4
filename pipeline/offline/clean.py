"""Run directories that nobody needs any more: found first, and removed only then. What is open or in doubt is kept."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import JournalError, RunLocked
from pipeline.journal.begun import refuse_lost_journal
from pipeline.journal.collected import has_collection
from pipeline.journal.identity import of_journal
from pipeline.journal.kept_files import left_over
from pipeline.journal.places import (
    JOURNAL,
    PREPARED,
    REPORT,
    RESULTS,
    SPLIT,
    collection_of,
    is_collection,
    run_directories,
)
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import expiries
from pipeline.journal.sql.items import in_view
from pipeline.journal.storage import reading_only
from pipeline.models import WAITING, State
from pipeline.offline.refresh import read_summary
from pipeline.results.records import read_records
from pipeline.results.summary import item_counts
from pipeline.run.directory import is_locked, known_runs, lock
from pipeline.system.fault import typed
from pipeline.system.wording import count

CLIENT = "client"  # the label that names an item's client
DAY_S = 86_400.0
# What shows pictures. The page is among them: `pipeline report` makes it anew, without those that are gone.
_SHOWS_PICTURES = ("pictures", "drawings", "sandbox", "report", "clients", REPORT)
_GONE = ".removed-"  # how a directory is called while it is removed, with eight digits behind it
_IS_GONE = re.compile(re.escape(_GONE) + "[0-9a-f]{8}")


class Wanted(NamedTuple):
    """The runs that a person wants removed.

    older_s   runs whose last use is at least so many seconds ago
    client    only runs that hold items of this client, and of no other; None = whoever they are of
    pictures  their pictures and pages alone; records, summary and journal stay
    """

    older_s: float
    client: str | None = None
    pictures: bool = False


class Found(NamedTuple):
    """A run directory that is old enough, and what removing would free; `kept` says why it stays, "" = it goes."""

    folder: Path
    used_at: float  # seconds since the epoch
    size: int  # bytes
    kept: str


def find(runs: Path, wanted: Wanted, *, now: float) -> list[Found]:
    """Find what is wanted among the run directories in a folder, by their names. Nothing is changed.

    So are what first passes over pictures made beside them (cluster/prepared.py).
    """
    found = [_prepared(folder, wanted) for folder in sorted((runs / PREPARED).glob("*")) if folder.is_dir()]
    found = [one for one in found if now - one.used_at >= wanted.older_s]
    for folder in sorted(path for path in runs.iterdir() if is_run(path) or is_split(path)):
        used_at = _used_at(folder)
        if now - used_at >= wanted.older_s:
            size = sum(map(_size, _parts(folder) if wanted.pictures else [folder]))
            found.append(Found(folder, used_at, size, _kept(folder, wanted, now=now)))
    return [one for one in found if one.size or one.kept]


def remove(found: Found, wanted: Wanted, *, now: float) -> str:
    """Remove what was found; return "", or why it stays after all: a run may have begun since. Raises OSError.

    A directory is renamed first, so that half of it is never taken for a run; what a kill leaves of it goes next time.
    """
    folder = found.folder
    if folder.parent.name == PREPARED:
        shutil.rmtree(folder)
        return ""
    try:
        with contextlib.ExitStack() as locks:
            for one in _journals(folder):
                locks.enter_context(lock(one))
            if now - _used_at(folder) < wanted.older_s:
                return "it was used a moment ago"
            if kept := _kept(folder, wanted, now=now, own=True):
                return kept
            if wanted.pictures:
                for part in _parts(folder):
                    shutil.rmtree(part) if part.is_dir() else part.unlink()
                return ""
            notes = [note for one in _journals(folder) if (note := _note(one)) is not None]
            gone = folder.with_name(f"{_GONE}{secrets.token_hex(4)}")
            folder.rename(gone)
    except RunLocked:
        return "it is in use"
    shutil.rmtree(gone)
    for note in notes:
        note.unlink(missing_ok=True)
    return ""


def sweep_removed(runs: Path) -> None:
    """Delete what a kill left of directories that were being removed."""
    for path in runs.glob(f"{_GONE}*"):
        if _IS_GONE.fullmatch(path.name):  # a person's own folder may be called nearly so
            shutil.rmtree(path, ignore_errors=True)


def _prepared(folder: Path, wanted: Wanted) -> Found:
    """Return what a first pass made for a job: pictures among it, whoever they are of; it can be made again at once."""
    used_at = max(os.stat(file).st_mtime for file in (folder, *folder.glob("*.jsonl")))
    kept = "" if wanted.client is None else "it holds pictures of all clients of its job; remove it without --client"
    return Found(folder, used_at, _size(folder), kept)


def is_split(path: Path) -> bool:
    """Return whether a path is the folder of a run of many machines."""
    return not path.is_symlink() and (path / SPLIT).is_file() and not _IS_GONE.fullmatch(path.name)


def is_run(path: Path) -> bool:
    """Return whether a path is a run directory, whole or damaged; its folder of collected reports is none."""
    if path.is_symlink() or not path.is_dir() or _IS_GONE.fullmatch(path.name) or is_collection(path):
        return False
    return (path / JOURNAL).is_file() or (path / RESULTS).is_file()


def _used_at(folder: Path) -> float:
    """Return when a run was last worked on: its files say it, and its summary, for a copy may have newer files."""
    summary = read_summary(folder)
    if summary is not None:
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(summary.finished_at).timestamp()
    files = [run / name for run in run_directories(folder) for name in (JOURNAL, RESULTS)]
    times = [path.stat().st_mtime for path in (*files, folder / SPLIT) if path.is_file()]
    return max(times, default=time.time())


def _kept(folder: Path, wanted: Wanted, *, now: float, own: bool = False) -> str:
    """Say why a run directory stays; "" when nothing in it is open and all of it is wanted."""
    if is_split(folder):
        return f"it is of many machines; stop them, pack it (`{typed('pack', folder)}`), then remove the folder"
    try:
        if not own and any(map(is_locked, _journals(folder))):
            return "a run goes on in it"
        for one in (folder, collection_of(folder)):
            refuse_lost_journal(one)
            if left_over(one):
                return "what was paid when a disk failed is not taken in yet"
        for one in _journals(folder):
            with reading_only(one, own=own) as db:
                if open_ := _open(db, now=now):
                    return open_
        if wanted.client is not None:
            return _others(folder, wanted.client)
    except JournalError as error:
        return f"it cannot be read ({error!s:.80})"
    return ""


def _open(db: Database, *, now: float) -> str:
    counts, removed = in_view(db)
    items = item_counts(counts, removed=removed)
    unfinished = counts.get(State.CREATING, 0)
    open_ = items["open"] + unfinished
    if open_:
        return f"{count(open_, 'item is', 'items are')} open"
    if left := sum(counts.get(state, 0) for state in WAITING if state is not State.CREATING):
        return f"{count(left, 'item was', 'items were')} not started"
    if "tasks" in expiries(db, now=now):
        return "its tasks can still be read at the vendor"
    return ""


def _others(folder: Path, client: str) -> str:
    """Say that a run holds items that are not this client's; "" when all are."""
    records = list(read_records(folder, include_open=True))
    others = sum(record.image.labels.get(CLIENT) != client for record in records)
    if others == len(records):
        return f"no item has the label {CLIENT}: {client}"
    return f"{count(others, 'item is', 'items are')} of other clients" if others else ""


def _journals(folder: Path) -> list[Path]:
    """List the folders of a run directory that have a journal: itself, and that in which its reports are collected."""
    return [folder, *([collection_of(folder)] if has_collection(folder) else [])]


def _parts(folder: Path) -> list[Path]:
    return [folder / name for name in _SHOWS_PICTURES if (folder / name).exists()]


def _size(path: Path) -> int:
    return sum(map(os.path.getsize, _files(path)))


def _files(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield str(path)
        return
    for where, _, names in os.walk(path):
        for name in names:
            if not os.path.islink(file := os.path.join(where, name)):
                yield file


def _note(folder: Path) -> Path | None:
    """Return the note of a run directory in the user's state folder."""
    places = known_runs()
    with contextlib.suppress(JournalError), reading_only(folder, own=True) as db:
        known = of_journal(db)
        if places is not None and known is not None:
            return places / f"{known.id}.json"
    return None
