"""The emergency of a disk that fails in the middle of a run: lines that are paid are kept in a file of their own.

A run sets 16 MB of real blocks aside in `.ballast`. The first failed write gives them back, and the lines that could
not be written go to `emergency-<time>.jsonl`, as do creates that provably were not executed; the next start takes them
in and renames the file to `.adopted`. The file lies beside the run directory where that is gone, and in the person's
state folder where its parent is gone or out of reach, too (journal/kept_files.py). When even that fails, the task ids
go to stderr, because they are paid for.
"""

import contextlib
import errno
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.kept_files import is_here, left_over, open_new
from pipeline.journal.kept_lines import Kept, NotExecuted, kept_in, parts_of
from pipeline.journal.results_file import read_line
from pipeline.models import State
from pipeline.reports import PaidTask
from pipeline.system.checksum import RecordLine
from pipeline.system.fault import Fault, typed
from pipeline.system.files import private, write_all
from pipeline.system.wording import count

BALLAST = ".ballast"
BALLAST_BYTES = 16 << 20
SPARE_BYTES = 64 << 20
ITEM_BYTES = 4 << 10
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEAST_BYTES = 1 << 20  # with less, no journal can be begun
_BLOCK = b"\xa5" * (1 << 20)

_log = logging.getLogger(__name__)


_TO_ANOTHER_DISK = (
    "To use another disk, move the whole run directory there and name its new folder in output.dir: output.dir alone "
    "begins a new run, which pays for everything again"
)


def require_room(folder: Path, items: int) -> None:
    """Raise JournalError unless the disk has room for so many more items, and for what a run needs besides.

    Where nothing is left to be paid for, little is written, and no room is asked for.
    """
    if not items:
        return
    free = _free(folder) + _size(folder / BALLAST)
    needed = SPARE_BYTES + items * ITEM_BYTES
    if free < needed:
        what = f"the disk has {_mb(free)} free and this job needs {_mb(needed)} for {count(items, 'item')}: free "
        what += f"{_mb(needed - free)} more; no item that waits was sent. {_TO_ANOTHER_DISK}"
        raise JournalError(Fault(what, where=str(folder)))


@contextlib.contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """Set 16 MB aside in the run directory until the block ends, for a disk that fills up. Raises JournalError."""
    path = folder / BALLAST
    try:
        _reserve(path)
    except OSError as exc:
        path.unlink(missing_ok=True)
        what = f"cannot set 16 MB aside: {exc.strerror}; free some space on this disk; nothing was sent"
        raise JournalError(Fault(what, where=str(folder))) from None
    try:
        yield
    finally:
        drop_ballast(folder)


def drop_ballast(folder: Path) -> None:
    """Give the 16 MB back; never raises."""
    with contextlib.suppress(OSError):
        (folder / BALLAST).unlink(missing_ok=True)


def disk_error(exc: BaseException, folder: Path) -> JournalError:
    """Say in one clear line that a write in a run directory failed, and what to do."""
    cannot = "the journal cannot be written"
    if isinstance(exc, MemoryError):
        what = (
            f"{cannot}: this machine has no memory left; end other programs or lower api.max_in_flight, then run again"
        )
        return JournalError(Fault(what, where=str(folder)))
    if _is_full(exc):
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        what = f"{cannot}: the disk is full ({why}); free 80 MB or more, then run again"
        return JournalError(Fault(what, where=str(folder)))
    why = (exc.strerror or str(exc)) if isinstance(exc, OSError) else str(exc) or type(exc).__name__
    if is_damage(exc):
        return JournalError(Fault(f"the journal is damaged: {why}", where=str(folder), fix=typed("repair", folder)))
    return JournalError(Fault(f"{cannot}: {why}; look after the disk, then run again", where=str(folder)))


def cannot_open(folder: Path, exc: OSError | sqlite3.Error) -> JournalError:
    """Say in one clear line why a run directory cannot be opened, before anything was sent, and what to do."""
    # SQLite calls it an error of input or output where the disk has no room for the file by which processes share.
    of_disk = getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    if _is_full(exc) or (of_disk and _free(folder) < _LEAST_BYTES):
        lacks = "all inodes are taken: delete files" if _no_inodes(folder) else "free 80 MB or more"
        what = f"no space left on the device ({_mb(_free(folder))} free): {lacks}, then run again; nothing was sent. "
        return JournalError(Fault(f"{what}{_TO_ANOTHER_DISK}", where=str(folder)))
    if isinstance(exc, OSError):
        what = f"the run directory cannot be written: {exc.strerror or exc}; check the disk and the permissions"
        return JournalError(Fault(what, where=str(folder)))
    fix = typed("repair", folder) if is_damage(exc) else ""
    return JournalError(Fault(f"the journal cannot be read: {exc}", where=str(folder / "journal.sqlite"), fix=fix))


@contextlib.contextmanager
def opening(folder: Path) -> Iterator[None]:
    """Raise what the disk refuses in the block as the JournalError that `cannot_open` makes of it."""
    try:
        yield
    except (OSError, sqlite3.Error) as exc:
        raise cannot_open(folder, exc) from exc


def _is_full(exc: BaseException) -> bool:
    full = isinstance(exc, OSError) and exc.errno in _FULL
    return full or getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _disk_of(folder: Path) -> os.statvfs_result:
    """Ask for the disk of a folder, or of the nearest one around it that is there."""
    return os.statvfs(next(place for place in (folder, *folder.absolute().parents) if place.exists()))


def _free(folder: Path) -> int:
    disk = _disk_of(folder)
    return disk.f_bavail * disk.f_frsize


def _no_inodes(folder: Path) -> bool:
    disk = _disk_of(folder)
    return disk.f_files > 0 and disk.f_favail == 0


def is_damage(exc: BaseException) -> bool:
    """Return whether SQLite says that the file is not what it wrote."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Emergency:
    """The lines of one run that its journal could not take; used by the writing thread, and after its end by nobody
    else at the same time.

    kept, shown, taken_back   records in the file, records of which stderr tells, creates that were not executed
    """

    def __init__(self, folder: Path, *, is_there: Callable[[], bool] = lambda: True) -> None:
        """Keep lines in the run directory, or near it when `is_there` says that it is gone."""
        self._folder = folder.absolute()
        self._is_there = is_there
        self._fd: int | None = None
        self._path: Path | None = None
        self.kept = 0
        self.shown = 0
        self.taken_back = 0

    def keep(self, lines: Sequence[Kept]) -> None:
        """Make room, then write the lines where the next start finds them; never raises."""
        drop_ballast(self._folder)
        if not lines:
            return
        records = [line for line in lines if not isinstance(line, NotExecuted)]
        try:
            self._write(lines)
            self.kept += len(records)
            self.taken_back += len(lines) - len(records)
        except Exception as exc:  # whatever it is, MemoryError too: what is paid is at least told
            with contextlib.suppress(Exception):
                _log.error("emergency.failed %s", getattr(exc, "strerror", None) or type(exc).__name__)
            self.shown += len(records)
            _show(records)

    def rescue(self, chunks: Iterable[bytes]) -> None:
        """Write a copy of lines whose file nobody finds any more; never raises."""
        try:
            rest = b""
            for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                self._write([line + b"\n" for line in lines])
                self.kept += len(lines)
        except Exception as exc:  # as in `keep`
            _log.error("emergency.rescue_failed %s", getattr(exc, "strerror", None) or type(exc).__name__)

    def text(self) -> str:
        """Say where the lines are, for the one line that the run ends with; "" when there are none."""
        texts, path = [], self._path
        name = "" if path is None else path.name if path.parent == self._folder else str(path)
        if self.kept:
            them = "it" if self.kept == 1 else "them"
            here = " on this machine" if path is not None and is_here(path) else ""
            kept = count(self.kept, "paid result is", "paid results are")
            texts.append(f"{kept} kept in {name}, the next run{here} takes {them} in")
        if self.taken_back:
            creates = count(self.taken_back, "create that was not executed is", "creates that were not executed are")
            texts.append(f"{creates} noted in {name}")
        if self.shown:
            results = count(self.shown, "paid result")
            texts.append(f"the tasks of {results} could not be written anywhere: they are above")
        return "; ".join(texts)

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _write(self, lines: Sequence[Kept]) -> None:
        if self._fd is None:
            self._fd = self._open()
        write_all(self._fd, [part for line in lines for part in parts_of(line)])
        os.fsync(self._fd)

    def _open(self) -> int:
        """Begin a file, or go on with the one that was closed with the thread."""
        if self._path is not None:
            return private(self._path, os.O_WRONLY | os.O_APPEND)
        descriptor, self._path = open_new(self._folder, self._is_there)
        return descriptor


def _show(lines: Sequence[bytes | RecordLine | PaidTask]) -> None:
    for line in lines:
        with contextlib.suppress(Exception):
            task: str | None
            if isinstance(line, PaidTask):
                item, status, task = line.item, State.REPORT_PENDING.word, line.task_id
            elif (view := read_line(bytes(line))) is not None:
                item, status, task = view.item, view.status, view.task.task_id if view.task else None
            else:
                continue
            sys.stderr.write(f"not recorded: item={item!a} status={status!a} task_id={task!a}\n")
            sys.stderr.flush()


def known_not_executed(folder: Path) -> set[tuple[str, str]]:
    """Read which creates an emergency says were not executed: ids of items, each with a request id."""
    told = (line for line in kept_in(left_over(folder)) if isinstance(line, NotExecuted))
    return {(line.item, line.request_id) for line in told}


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
