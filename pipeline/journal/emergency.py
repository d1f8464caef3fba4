"""The emergency of a disk that fails in the middle of a run: lines that are paid are kept in a file of their own.

A run sets 16 MB of real blocks aside in `.ballast`. The first failed write gives them back, and the lines that could
not be written go to `emergency-<time>.jsonl`; the next start takes them in and renames the file to `.adopted`. When
even that fails, the task ids go to stderr, because they are paid for.
"""

import contextlib
import errno
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.results_file import read_line
from pipeline.system.files import private, write_all

BALLAST = ".ballast"
BALLAST_BYTES = 16 << 20
SPARE_BYTES = 64 << 20
ITEM_BYTES = 4 << 10
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BLOCK = b"\xa5" * (1 << 20)

_log = logging.getLogger(__name__)


def require_room(folder: Path, items: int) -> None:
    """Raise JournalError unless the disk has room for so many more items, and for what a run needs besides."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize + _size(folder / BALLAST)
    needed = SPARE_BYTES + items * ITEM_BYTES
    if free < needed:
        raise JournalError(
            f"{folder}: the disk has {_mb(free)} free and this job needs {_mb(needed)} for {items:,} items: free "
            f"{_mb(needed - free)} more, or set output.dir to another disk; no item that waits was sent"
        )


@contextlib.contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """Set 16 MB aside in the run directory until the block ends, for a disk that fills up. Raises JournalError."""
    path = folder / BALLAST
    try:
        _reserve(path)
    except OSError as exc:
        path.unlink(missing_ok=True)
        raise JournalError(
            f"{folder}: cannot set 16 MB aside: {exc.strerror}; free some space on this disk; nothing was sent"
        ) from None
    try:
        yield
    finally:
        drop_ballast(folder)


def drop_ballast(folder: Path) -> None:
    """Give the 16 MB back; never raises."""
    with contextlib.suppress(OSError):
        (folder / BALLAST).unlink(missing_ok=True)


def disk_error(exc: Exception) -> JournalError:
    """Say in one clear line that a write failed, and what to do."""
    code = getattr(exc, "sqlite_errorcode", None)
    if (isinstance(exc, OSError) and exc.errno in _FULL) or code == sqlite3.SQLITE_FULL:
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        return JournalError(
            f"the journal cannot be written: the disk is full ({why}); free 80 MB or more, then run again"
        )
    why = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc)
    if is_damage(exc):
        return JournalError(f"the journal is damaged: {why}; run `pipeline repair` on this run directory")
    return JournalError(f"the journal cannot be written: {why}; look after the disk, then run again")


def is_damage(exc: Exception) -> bool:
    """Return whether SQLite says that the file is not what it wrote."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Emergency:
    """The lines of one run that its journal could not take; used by the writing thread alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fd: int | None = None
        self._name = ""
        self.kept = 0
        self.shown = 0

    def keep(self, lines: Sequence[bytes]) -> None:
        """Make room, then write the lines where the next start finds them; never raises."""
        drop_ballast(self._folder)
        if not lines:
            return
        try:
            self._write(lines)
            self.kept += len(lines)
        except OSError as exc:
            _log.error("emergency.failed %s", exc.strerror)
            self.shown += len(lines)
            _show(lines)

    def text(self) -> str:
        """Say where the lines are, for the one line that the run ends with; "" when there are none."""
        texts = []
        if self.kept:
            texts.append(f"{self.kept:,} paid results are kept in {self._name}, the next run takes them in")
        if self.shown:
            texts.append(f"the tasks of {self.shown:,} paid results could not be written anywhere: they are above")
        return "; ".join(texts)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._fd is None:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            self._name = f"emergency-{stamp}-{os.getpid()}.jsonl"
            self._fd = private(self._folder / self._name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        write_all(self._fd, lines)
        os.fsync(self._fd)


def _show(lines: Sequence[bytes]) -> None:
    for line in lines:
        with contextlib.suppress(Exception):
            view = read_line(line)
            if view is None:
                continue
            task = view.task and view.task.task_id
            text = f"not recorded: item={view.item!a} status={view.status!a} task_id={task!a}\n"
            sys.stderr.write(text)
            sys.stderr.flush()


def left_over(folder: Path) -> list[Path]:
    """Find the emergency files of earlier runs, oldest first."""
    return sorted(folder.glob("emergency-*.jsonl"))


def retire(files: Sequence[Path]) -> None:
    """Rename files whose lines are in the journal now."""
    for path in files:
        path.rename(path.with_name(f"{path.name}.adopted"))


def _reserve(path: Path) -> None:
    """Write a file whose blocks are really there: one of zeros alone may be a hole."""
    with open(private(path, os.O_RDWR | os.O_CREAT), "r+b") as file:
        if hasattr(os, "posix_fallocate"):
            with contextlib.suppress(OSError):  # not every file system can; a disk that is full says so again below
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        if _size(path) < BALLAST_BYTES:
            for _ in range(BALLAST_BYTES // len(_BLOCK)):
                file.write(_BLOCK)


def _size(path: Path) -> int:
    """Return the bytes that a file takes on the disk."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return 0
    return getattr(status, "st_blocks", status.st_size // 512) * 512


def _mb(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB"
