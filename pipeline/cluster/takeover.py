"""The takeover of a shard: its new owner goes on in a folder of its own, with a copy of all that the one before had.

The copy is made in this order: the journal, then the lines, then all else. Each is later than what refers to it, so
that nothing which the journal knows is missing. Every create that the owner before sent had its intent in the journal
before the lease of that owner ended, and so it is in the copy: as `creating`, which the journal's own recovery puts in
doubt. Lines that come after the copy stay in the old folder, which its owner alone writes; `late_lines.py` finds them.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.claims import Claim
from pipeline.cluster.epochs import (
    Earlier,
    EpochNote,
    epoch_draft,
    folder_of,
    newest_begun,
    read_note,
    take_place,
    write_note,
)
from pipeline.errors import JournalError
from pipeline.journal.begun import AS_RUN, has_begun, refuse_lost_journal
from pipeline.journal.copying import become_another, copy_file, copy_journal, finished_in, known_of
from pipeline.journal.emergency import opening
from pipeline.journal.epochs import NOTE
from pipeline.journal.identity import NOTE as IDENTITY
from pipeline.journal.identity import OlderCopy, of_note, refuse_older_copy
from pipeline.journal.kept_files import left_over
from pipeline.journal.places import JOURNAL, OPEN_FILE, PROGRESS, REPORT, RESULTS, SUMMARY, collection_of
from pipeline.models import State
from pipeline.run.directory import LOCK, LOG
from pipeline.system.fault import Fault
from pipeline.system.files import sync_folder

MOST_DEATHS = 3  # owners that died one after the other without bringing an item to its end
CACHES_S = 60.0  # the caches of network file systems are a minute old at most
_AGAIN_S = 2.0
_BACK = 1 << 20
# Of the owner before alone, written anew by each, or copied before all else.
_NOT_COPIED = {LOCK, LOG, IDENTITY, SUMMARY, REPORT, NOTE, AS_RUN, OPEN_FILE, PROGRESS}
_FIRST = {JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-journal", f"{JOURNAL}-shm", RESULTS}


class TakenOver(NamedTuple):
    """A shard's new run directory; `poisoned` when so many of its owners died that it is to be left alone."""

    folder: Path
    poisoned: bool


def take_over(shard: Path, claim: Claim, *, worker: str) -> TakenOver | None:
    """Make the run directory of a claim; None where it can never be, because we were taken for dead meanwhile."""
    base = newest_begun(shard, claim.tried, claim.base)
    with epoch_draft(shard, claim.epoch) as draft:
        note = EpochNote(epoch=claim.epoch, base=base, worker=worker, deaths=_without_folder(claim, base))
        if base:
            note = _copied(shard, claim, base, draft, note)
        write_note(draft, note)
        if not take_place(draft, shard, claim.epoch):
            return None
    return TakenOver(folder_of(shard, claim.epoch), note.deaths >= MOST_DEATHS)


def _without_folder(claim: Claim, base: int) -> int:
    """Count the owners after `base` that died before they had a folder."""
    return sum(epoch > base for epoch in claim.tried)


def _copied(shard: Path, claim: Claim, base: int, draft: Path, note: EpochNote) -> EpochNote:
    """Copy the epoch before; return the note of the new one."""
    source = folder_of(shard, base)
    before = read_note(source)
    if before is None:
        what = "the run directory of this shard is gone, and what was paid in it with it; put it back"
        raise JournalError(Fault(what, where=str(source)))
    counts = _take_journal(source, draft)
    _copy_reports(source, draft)
    copy_file(source / RESULTS, draft / RESULTS)
    copy_rest(source, draft)
    finished = finished_in(counts)
    deaths = note.deaths
    if base in claim.tried:  # its owner died, too
        deaths += 1 + (before.deaths if finished <= before.finished else 0)
    return EpochNote(
        epoch=note.epoch,
        base=base,
        worker=note.worker,
        earlier=[*before.earlier, Earlier(base, end_of_lines(draft / RESULTS))],
        deaths=deaths,
        finished=finished,
    )


def _take_journal(source: Path, target: Path) -> dict[State, int]:
    """Copy a journal; return its items by state. Raises JournalError where it is lost, older, or cannot be read.

    It is read again for CACHES_S before it counts as older: what this machine had read of it before may be shown.
    """
    until = time.monotonic() + CACHES_S
    while True:
        try:
            return _taken(source, target)
        except OlderCopy:
            if time.monotonic() >= until:
                raise
        time.sleep(_AGAIN_S)


def _taken(source: Path, target: Path) -> dict[State, int]:
    """Copy a journal as it is shown now.

    An owner that died before its journal was laid out has sent nothing: then there is none in the copy, either.
    """
    noted = of_note(source / IDENTITY)
    if (source / JOURNAL).exists():
        copy_journal(source, target)
    if not has_begun(target):
        refuse_lost_journal(source)
        for file in target.glob(f"{JOURNAL}*"):
            file.unlink()
        return {}
    with opening(source):
        refuse_older_copy(source, known_of(target), noted=noted)
        return become_another(target)


def end_of_lines(file: Path) -> int:
    """Return where the last whole line of a file ends: what was written of the next one is read once it is whole."""
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        end = at = lines.seek(0, os.SEEK_END)
        while at > 0:
            at = max(0, at - _BACK)
            lines.seek(at)
            if (found := lines.read(end - at).rfind(b"\n")) >= 0:
                return at + found + 1
            end = at
    return 0


def _copy_reports(source: Path, draft: Path) -> None:
    """Copy the journal of the reports that were collected for it, which becomes another one, too."""
    reports, target = collection_of(source), collection_of(draft)
    if (reports / JOURNAL).exists():
        target.mkdir(mode=0o700)
        _take_journal(reports, target)


def copy_rest(source: Path, draft: Path) -> None:
    """Copy all other files: hits under way, lines of an emergency, details, drawings, pictures."""
    for file in _files(source, source):
        target = draft / file.relative_to(source)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_file(file, target)
    for file in left_over(source):
        if file.parent != source:  # beside it, where it could not be written inside
            copy_file(file, draft / file.name)
    for folder, _, _ in os.walk(draft, topdown=False):
        sync_folder(Path(folder))


def _files(folder: Path, top: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _files(path, top)
        elif entry.is_file(follow_symlinks=False) and not _is_left_out(entry.name, folder, top):
            yield path


def _is_left_out(name: str, folder: Path, top: Path) -> bool:
    if folder == collection_of(top):
        return name in {LOCK, IDENTITY} or name in _FIRST
    return folder == top and (
        name in _NOT_COPIED or name in _FIRST or (name.startswith(".") and name != ".results.check")
    )
