"""Run directories that nobody needs any more: found first, and removed only then. What is open or in doubt is kept."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.directories import in_a_line
from pipeline.errors import JournalError, PipelineError, RunLocked
from pipeline.journal.identity import of_journal
from pipeline.journal.places import JOURNAL, PREPARED, REPORT, RESULTS, SPLIT, is_collection, run_directories
from pipeline.journal.storage import reading_only
from pipeline.offline.open_parts import journals, open_parts, others
from pipeline.offline.refresh import read_summary
from pipeline.offline.shards import removal
from pipeline.run.directory import is_locked, known_runs, lock

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


def remove(found: Found, wanted: Wanted, *, now: float, say: Callable[[str], None] = lambda _: None) -> str:
    """Remove what was found; return "", or why it stays after all: a run may have begun since. Raises OSError.

    A directory is renamed first, so that half of it is never taken for a run; what a kill leaves of it goes next time.
    """
    folder = found.folder
    if folder.parent.name == PREPARED:
        shutil.rmtree(folder)
        return ""
    if is_split(folder):
        return _remove_split(folder, wanted, now=now, say=say)
    try:
        with contextlib.ExitStack() as locks:
            for one in journals(folder):
                locks.enter_context(lock(one))
            if now - _used_at(folder) < wanted.older_s:
                return "it was used a moment ago"
            if kept := _kept(folder, wanted, now=now, own=True):
                return kept
            if wanted.pictures:
                return _remove_parts(folder)
            notes, gone = _notes([folder]), _name_of_gone(folder)
            folder.rename(gone)
    except RunLocked:
        return "it is in use"
    return _delete(gone, notes)


def _remove_split(folder: Path, wanted: Wanted, *, now: float, say: Callable[[str], None]) -> str:
    """Remove a run of many machines as `remove` does, all of whose shards are owned meanwhile."""
    try:
        with removal.owned(folder, now=now, say=say) as whole:
            if now - _used_at(folder) < wanted.older_s:
                return "it was used a moment ago"
            if wanted.client is not None and (kept := others(folder, wanted.client)):
                return kept
            if wanted.pictures:
                return _remove_parts(folder)
            notes, gone = _notes(removal.epochs_in(folder)), _name_of_gone(folder)
            removal.let_go(folder, gone, whole)
    except PipelineError as error:
        return in_a_line(error)
    return _delete(gone, notes)


def _name_of_gone(folder: Path) -> Path:
    return folder.with_name(f"{_GONE}{secrets.token_hex(4)}")


def _delete(gone: Path, notes: list[Path]) -> str:
    shutil.rmtree(gone)
    for note in notes:
        note.unlink(missing_ok=True)
    return ""


def _remove_parts(folder: Path) -> str:
    for part in _parts(folder):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
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
    try:
        if is_split(folder):
            why = removal.kept(folder, now=now)
        elif not own and any(map(is_locked, journals(folder))):
            why = "a run goes on in it"
        else:
            why = open_parts(folder, now=now, own=own)
        return why or ("" if wanted.client is None else others(folder, wanted.client))
    except JournalError as error:
        return f"it cannot be read ({error!s:.80})"


def _parts(folder: Path) -> list[Path]:
    """List what shows pictures: of a run of many machines beside its shards, and in each of their epochs."""
    folders = [folder, *(removal.epochs_in(folder) if is_split(folder) else [])]
    return [one / name for one in folders for name in _SHOWS_PICTURES if (one / name).exists()]


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


def _notes(folders: list[Path]) -> list[Path]:
    """List the notes of run directories in the user's state folder."""
    return [note for folder in folders for one in journals(folder) if (note := _note(one)) is not None]


def _note(folder: Path) -> Path | None:
    """Return the note of a run directory in the user's state folder."""
    places = known_runs()
    with contextlib.suppress(JournalError), reading_only(folder, own=True) as db:
        known = of_journal(db)
        if places is not None and known is not None:
            return places / f"{known.id}.json"
    return None
