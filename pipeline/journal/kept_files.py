"""The places of the lines of an emergency: the run directory, beside it, or this person's state folder on this machine.

The name of a file in the state folder ends with a digest of its run directory, so that the next start on this machine
finds it: a shared folder that was out of reach comes back.
"""

import contextlib
import errno
import glob
import os
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from pipeline.system.files import private
from pipeline.system.folders import state_folder

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND


def open_new(folder: Path, is_there: Callable[[], bool]) -> tuple[int, Path]:
    """Begin a file in the first place that takes one; return its descriptor and path. Raises OSError.

    It goes into the run directory only where `is_there` says so: one that was replaced is another's.
    """
    name = f"emergency-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.jsonl"
    beside = folder.with_name(f"{folder.name}.{name}")
    with contextlib.suppress(OSError):  # also of the question: a folder out of reach answers none
        if is_there():
            return private(folder / name, _NEW), folder / name
    with contextlib.suppress(OSError):
        return private(beside, _NEW), beside
    if (kept := _kept_here()) is None:  # paid task ids then go to stderr, as where nothing can be written
        raise FileNotFoundError(errno.ENOENT, "no home folder is known")
    far = kept / f"{beside.stem}-{digest_of(folder)}{beside.suffix}"
    far.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return private(far, _NEW), far


def is_here(path: Path) -> bool:
    """Return whether a file of an emergency lies in the state folder of this machine."""
    return path.parent == _kept_here()


def kept_here() -> dict[str, list[Path]]:
    """Find the files in the state folder by the digests of their run directories."""
    found: dict[str, list[Path]] = {}
    if (kept := _kept_here()) is not None:
        for file in sorted(kept.glob("*.emergency-*-*-*.jsonl")):
            found.setdefault(file.stem.rpartition("-")[2], []).append(file)
    return found


def left_over(folder: Path) -> list[Path]:
    """Find the emergency files of earlier runs: in the run directory, beside it, and in this machine's state folder.

    They come in this order, those of each place from the oldest on.
    """
    folder = folder.absolute()
    return [*in_and_beside(folder), *kept_here().get(digest_of(folder), ())]


def in_and_beside(folder: Path) -> Iterator[Path]:
    """Find the files of a run directory that everybody sees who sees the directory."""
    yield from sorted(folder.glob("*emergency-*.jsonl"))
    yield from sorted(folder.parent.glob(f"{glob.escape(folder.name)}.emergency-*.jsonl"))


def retire(files: Sequence[Path]) -> None:
    """Rename files whose lines are in the journal now."""
    for path in files:
        path.rename(path.with_name(f"{path.name}.adopted"))


def digest_of(folder: Path) -> str:
    """Name a run directory by its path."""
    return blake2b(os.fsencode(folder.absolute()), digest_size=8).hexdigest()


def _kept_here() -> Path | None:
    state = state_folder()
    return None if state is None else state / "emergency"
