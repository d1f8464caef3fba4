"""The epochs of a shard on disk: each ownership has a folder of its own, which appears whole, or is closed for good.

A folder is made as a draft and renamed; a name that is taken is never taken again, by whomever. So when a claim ended
with its owner's death, either its folder is there, or it is closed here and can never come: an owner who wakes up in
the middle of its copy finds its name taken, whatever a cached listing showed meanwhile.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.epochs import NOTE
from pipeline.system.fault import Fault
from pipeline.system.files import sync_folder, write_whole
from pipeline.system.structs import decode

_CLOSED = "closed"


class Earlier(msgspec.Struct, frozen=True):
    """An epoch before, and up to which byte of its results.jsonl its lines are in this one's."""

    epoch: int
    read: int


class EpochNote(msgspec.Struct, frozen=True, kw_only=True):
    """The note of an epoch, written once before its run begins.

    base      the epoch that it goes on with; 0 for none
    earlier   all epochs before, whose late lines may still end a doubt
    deaths    owners that died one after the other without an item coming to its end, that of `base` included
    finished  items that had come to their end when it began
    """

    epoch: int
    base: int = 0
    worker: str = ""
    earlier: list[Earlier] = []
    deaths: int = 0
    finished: int = 0


def folder_of(shard: Path, epoch: int) -> Path:
    """Return the run directory of an epoch."""
    return shard / f"e{epoch}"


def read_note(folder: Path) -> EpochNote | None:
    """Read the note of an epoch; None for a folder without one, such as a closed epoch. Raises JournalError."""
    try:
        return decode((folder / NOTE).read_bytes(), EpochNote)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as exc:
        raise JournalError(Fault(f"cannot be read: {exc}", where=str(folder / NOTE))) from None


def write_note(folder: Path, note: EpochNote) -> None:
    """Write the note of an epoch into its draft."""
    write_whole(folder / NOTE, msgspec.json.encode(note) + b"\n")


@contextlib.contextmanager
def epoch_draft(shard: Path, epoch: int) -> Iterator[Path]:
    """Make a draft of an epoch's folder, and remove what is left of it in the end."""
    draft = shard / f".e{epoch}-{secrets.token_hex(4)}"
    draft.mkdir(mode=0o700)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def take_place(draft: Path, shard: Path, epoch: int) -> bool:
    """Let a draft, which is not empty, become the folder of an epoch; return False where the name is taken."""
    sync_folder(draft)
    try:
        draft.rename(folder_of(shard, epoch))
    except OSError:
        if folder_of(shard, epoch).is_dir():
            return False
        raise
    sync_folder(shard)
    return True


def there_or_closed(shard: Path, epoch: int) -> bool:
    """Return whether an epoch has a run directory; if it has none, it never will from now on."""
    folder = folder_of(shard, epoch)
    if not folder.is_dir():
        with epoch_draft(shard, epoch) as draft:
            write_whole(draft / _CLOSED, b"its owner died before it began\n")
            if take_place(draft, shard, epoch):
                return False
    return not (folder / _CLOSED).exists()


def newest_begun(shard: Path, tried: Sequence[int], base: int) -> int:
    """Return the newest epoch of those `tried` after `base` that has a folder; `base` where none has, 0 for none."""
    return next((epoch for epoch in reversed(tried) if there_or_closed(shard, epoch)), base)
