"""A shard's new run directory where the one before is damaged: a copy of it, repaired before it takes its place.

The damaged one stays as it is: its owner may be taken for dead and yet write into it, and its late lines are found as
those of every earlier epoch. What a repair that ends in the middle leaves is a draft that nobody reads.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

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
from pipeline.cluster.late_lines import bring_back, hand_in
from pipeline.cluster.takeover import copy_rest, end_of_lines
from pipeline.errors import JournalError
from pipeline.journal.begun import AS_RUN, REPAIRING
from pipeline.journal.copying import become_another, copy_file, copy_journal, finished_in
from pipeline.journal.identity import NOTE as IDENTITY
from pipeline.journal.kept_files import in_and_beside
from pipeline.journal.places import JOURNAL, RESULTS, collection_of
from pipeline.system.fault import Fault


class Copy(NamedTuple):
    """A copy of a damaged epoch, in the draft of the next one.

    source  the epoch that was copied
    newest  False where a later one is gone, so that what it paid is in no journal
    noted   False where its note was lost, without which nobody takes it over
    """

    draft: Path
    source: Path
    newest: bool
    noted: bool


Mend = Callable[[Copy], bool]  # returns False where nothing is damaged


def newest_there(shard: Path, most: int) -> int:
    """Return the newest epoch up to `most` of which anything is left that says what was paid; 0 for none."""
    return next((epoch for epoch in range(most, 0, -1) if any(_traces(folder_of(shard, epoch)))), 0)


def _traces(folder: Path) -> Iterator[bool]:
    yield any((folder / name).exists() for name in (JOURNAL, RESULTS, AS_RUN, REPAIRING))
    yield any(folder.glob(f"{JOURNAL}.damaged-*"))
    yield any(True for _ in in_and_beside(folder))


def renew(shard: Path, claim: Claim, *, worker: str, mend: Mend) -> Path | None:
    """Make the run directory of a claim of a damaged shard; return it, None where nothing is damaged.

    Raises JournalError where nothing is left to make it of, or where it can never be, because we were taken for dead.
    """
    base = newest_begun(shard, claim.tried, claim.base)
    if not base:
        return None  # nobody has begun it
    there = newest_there(shard, base)
    if not there:
        what = "the run directory of this shard is gone, and nothing is left that says what was paid; put it back"
        raise JournalError(Fault(what, where=str(folder_of(shard, base))))
    source = folder_of(shard, there)
    with epoch_draft(shard, claim.epoch) as draft:
        _copy(source, draft)
        _bring_job(shard, there, draft)
        before = _note_of(source)
        earlier = _earlier(shard, there, before, draft)
        note = EpochNote(epoch=claim.epoch, base=there, worker=worker, earlier=earlier)
        write_note(draft, note)
        if not mend(Copy(draft, source, newest=there == base, noted=before is not None)):
            return None
        _finish(draft, note)
        if not take_place(draft, shard, claim.epoch):
            what = "another machine took this shard over meanwhile, and what was repaired does not count; look"
            raise JournalError(Fault(what, where=str(shard)))
    return folder_of(shard, claim.epoch)


def _copy(source: Path, draft: Path) -> None:
    """Copy an epoch as it lies there: the journal, then the lines, then all else."""
    reports, target = collection_of(source), collection_of(draft)
    if reports.is_dir():
        target.mkdir(mode=0o700)
        _copy_journal(reports, target)
    _copy_journal(source, draft)
    copy_file(source / RESULTS, draft / RESULTS)
    copy_rest(source, draft)


def _copy_journal(source: Path, target: Path) -> None:
    copy_journal(source, target)
    for name in (REPAIRING, IDENTITY):
        copy_file(source / name, target / name)


def _bring_job(shard: Path, newest: int, draft: Path) -> None:
    """Bring the job as it was run, from the newest epoch that has it."""
    for epoch in range(newest, 0, -1):
        if (folder_of(shard, epoch) / AS_RUN).is_file():
            copy_file(folder_of(shard, epoch) / AS_RUN, draft / AS_RUN)
            return


def _note_of(folder: Path) -> EpochNote | None:
    try:
        return read_note(folder)
    except JournalError:
        return None


def _earlier(shard: Path, there: int, before: EpochNote | None, draft: Path) -> list[Earlier]:
    """List the epochs before with what is read of them; where the note of the last is lost, nothing is."""
    earlier = [Earlier(one, 0) for one in range(1, there) if folder_of(shard, one).is_dir()]
    earlier = earlier if before is None else before.earlier
    return [*earlier, Earlier(there, end_of_lines(draft / RESULTS))]


def find_lines(draft: Path) -> int:
    """Bring all lines of earlier epochs that a damaged copy lacks; return the number of those that it had lost."""
    hand_in(draft)
    return bring_back(draft)


def _finish(draft: Path, note: EpochNote) -> None:
    """Let a repaired copy be another journal than the original."""
    counts = become_another(draft)
    if (collection_of(draft) / JOURNAL).exists():
        become_another(collection_of(draft))
    for folder in (draft, collection_of(draft)):
        (folder / IDENTITY).unlink(missing_ok=True)
    write_note(draft, msgspec.structs.replace(note, finished=finished_in(counts)))
