"""The hold of one process on a run directory: a lock on the journal's own open file, and proof that nothing was taken.

The lock lies on the file itself, so that no file that somebody takes for stale and removes lets a second run in. It is
flock's, which on Linux knows nothing of the locks that SQLite sets on the same file. Those are of POSIX's kind, and the
system drops them all as soon as a process closes any descriptor of the file; so ours is closed after the connection.

A file that is removed or replaced while it is open goes on taking what is written, and nobody finds it again. So before
a group of changes counts, each name must still lead to what was opened (measured: 17 us of the 3 ms of a group).
"""

import contextlib
import os
import sys
import time
from pathlib import Path

from pipeline.errors import JournalError, RunLocked
from pipeline.system.fault import Fault, typed
from pipeline.system.files import private
from pipeline.system.mounts import network_file_system

PATIENCE_S = 1.0  # `status` takes the lock for a moment to see whether a run is under way
_POLL_S = 0.02
_Identity = tuple[int, int] | None  # device and inode; None where there is nothing


class Hold:
    """The hold on one run directory; used by the writing thread alone."""

    def __init__(self, folder: Path, journal: Path, *, locks: bool) -> None:
        """Lock the journal, unless `locks` is false, and know it and its folder from now on. Raises RunLocked."""
        self._folder = folder
        self._known: dict[Path, _Identity] = {}
        self._fd = private(journal, os.O_RDWR | os.O_CREAT)
        try:
            if locks and not _lock(self._fd, patience_s=PATIENCE_S):
                what = f"in use by another process, which has its {journal.name} open; wait for it, or stop it"
                raise RunLocked(Fault(what, where=str(folder), fix=typed("status", folder)))
            self.watch(folder, journal)
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        """The run directory."""
        return self._folder

    def watch(self, *paths: Path) -> None:
        """Know these files from now on."""
        self._known |= {path: _identity(path) for path in paths}

    def prove(self) -> None:
        """Raise JournalError if the folder or a file is no longer the one that was opened."""
        for path, known in self._known.items():
            if _identity(path) != known:
                raise JournalError(self._taken(path))

    def has(self, path: Path) -> bool:
        """Return whether a file or the folder is still the one that was opened."""
        return _identity(path) == self._known.get(path)

    def _taken(self, path: Path) -> Fault:
        gone = _identity(path) is None
        what = f"it was {'removed or moved away' if gone else 'replaced by another'} while this run went on"
        if path == self._folder:
            what += "; put it back, then run again; if it is gone for good, make it anew from what is kept"
        else:
            what += ", by an editor or a sync tool perhaps; keep such tools away from a run, then repair it"
        return Fault(what, where=str(path), fix=typed("repair", self._folder))

    def close(self) -> None:
        """Let go of the journal; to be called after its connection is closed."""
        os.close(self._fd)


def is_held(journal: Path) -> bool:
    """Return whether a process holds this journal, whatever has become of the file `lock` beside it."""
    if not _can_lock(journal.parent):
        return False
    try:
        descriptor = private(journal, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor, patience_s=0.0)
    finally:
        os.close(descriptor)


def _can_lock(folder: Path) -> bool:
    """Return whether flock is there, and apart from the locks of SQLite: it is neither on a network nor elsewhere."""
    return sys.platform == "linux" and network_file_system(folder) is None


def _lock(descriptor: int, *, patience_s: float) -> bool:
    """Lock an open file for us alone; return False if another process has it."""
    if sys.platform != "linux":
        return True
    import fcntl

    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_S)
        except OSError:
            return True  # a file system without locks: the file `lock` is all there is
        else:
            return True


def _identity(path: Path) -> _Identity:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        status = os.stat(path, follow_symlinks=False)
        return status.st_dev, status.st_ino
    return None
