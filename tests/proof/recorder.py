"""Writes down, in order, everything a run does to the disk.

The journal's SQLite runs on an apsw VFS that notes each write, sync, truncation and deletion on its way to the real
file; everything else is noted at the calls of `os`. `meddle`, asked before each of them, may make it fail.
"""

import errno
import itertools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.proof.tape import Tape

Meddle = Callable[[str], str]
_numbers = itertools.count()


class Connection:
    """An apsw connection as the journal wants it; its errors are those of the standard library's sqlite3."""

    def __init__(self, path: Path, vfs: str, meddle: Meddle) -> None:
        self._meddle = meddle
        with _translated():
            self._inner = apsw.Connection(str(path), vfs=vfs)
            self._inner.set_busy_timeout(5000)
            self._inner.execute("PRAGMA wal_autocheckpoint=25").fetchall()  # checkpoints, too, come often

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        with _translated():
            if sql == "COMMIT" or (sql.startswith("UPDATE") and not self._inner.in_transaction):
                _fail_sqlite(self._meddle("commit"))
            return _Rows(self._inner.execute(sql, tuple(parameters)))

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> None:
        for row in rows:
            self.execute(sql, row)

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def close(self) -> None:
        with _translated():
            self._inner.close()


class _Rows:
    def __init__(self, cursor: apsw.Cursor) -> None:
        self._cursor = cursor
        self.rowcount = cursor.connection.changes()

    def fetchone(self) -> Any:
        with _translated():
            return self._cursor.fetchone()

    def fetchall(self) -> Any:
        with _translated():
            return self._cursor.fetchall()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as exc:
        error = sqlite3.OperationalError(str(exc))
        error.sqlite_errorcode = getattr(exc, "result", 0)
        raise error from None


@contextmanager
def recording(tape: Tape, meddle: Meddle = lambda _: "") -> Iterator[Callable[[Path], Connection]]:
    """Note what happens below the tape's root; yields what opens the journal.

    `meddle` gets the name of each call and answers "" (go on), "eio", "enospc" or "short".
    """
    name = f"tape-{next(_numbers)}"
    vfs = _Vfs(name, tape, meddle)
    with pytest.MonkeyPatch.context() as patch:
        _Calls(tape, meddle).install(patch)
        try:
            yield lambda path: Connection(path, name, meddle)
        finally:
            vfs.unregister()


class _Calls:
    """The calls of `os` that change files, noted when they concern ours."""

    def __init__(self, tape: Tape, meddle: Meddle) -> None:
        self._tape = tape
        self._meddle = meddle
        self._fds: dict[int, int] = {}
        self._lock = threading.RLock()
        self._noted: set[int] = set()
        self._real = {
            name: getattr(os, name)
            for name in (
                *("open", "close", "write", "writev", "pwrite", "fsync", "fdatasync"),
                *("ftruncate", "unlink", "rename", "replace", "mkdir"),
            )
        }

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in self._real:
            patch.setattr(os, name, getattr(self, name))

    def open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        with self._lock:  # a folder that another thread makes is ours once it is there
            parent = self._tape.parent(os.fspath(path)) if isinstance(path, str | os.PathLike) else None
            known = self._tape.node(path) if isinstance(path, str | os.PathLike) else None
        if parent is None and known is None:
            return int(self._real["open"](path, flags, *arguments, **options))
        _fail(self._meddle("open"))
        with self._lock:
            fd = int(self._real["open"](path, flags, *arguments, **options))
            known = self._tape.node(path)  # another thread may have made it meanwhile
            if known is None:
                known = self._tape.created(path)
            elif flags & os.O_TRUNC:
                self._tape.cut(known, 0)
            self._fds[fd] = known
        return fd

    def close(self, fd: int) -> None:
        self._fds.pop(fd, None)
        self._real["close"](fd)

    def write(self, fd: int, data: Any) -> int:
        return self._write(fd, data, None)  # all files that are written so are appended to

    def _write(self, fd: int, data: Any, offset: int | None) -> int:
        node = self._fds.get(fd)
        if node is None:
            return self._really(fd, data, offset)
        what = self._meddle("write")
        data = bytes(data)
        if what == "short":
            data = data[: len(data) // 2]
        else:
            _fail(what)
        with self._lock:
            written = self._really(fd, data, offset)
            self._noted.add(node)
            self._tape.wrote(node, offset, data[:written])
        return written

    def _really(self, fd: int, data: Any, offset: int | None) -> int:
        return int(self._real["write"](fd, data) if offset is None else self._real["pwrite"](fd, data, offset))

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        return self._write(fd, data, offset)

    def writev(self, fd: int, parts: Sequence[bytes]) -> int:
        return self.write(fd, b"".join(parts))

    def fsync(self, fd: int) -> None:
        self._sync(fd, "fsync")

    def fdatasync(self, fd: int) -> None:
        self._sync(fd, "fdatasync")

    def _sync(self, fd: int, name: str) -> None:
        node = self._fds.get(fd)
        if node is not None:
            _fail(self._meddle(name))
            if node not in self._noted and node not in self._tape.folders:  # written through a file object
                path = os.readlink(f"/proc/self/fd/{fd}")
                content = Path(path).read_bytes()
                if len(content) != self._tape.size(node):
                    self._tape.wrote(node, 0, content)
        self._real[name](fd)
        self._tape.synced(node)

    def ftruncate(self, fd: int, size: int) -> None:
        node = self._fds.get(fd)
        if node is not None:
            _fail(self._meddle("ftruncate"))
        self._real["ftruncate"](fd, size)
        if node is not None:
            self._tape.cut(node, size)

    def unlink(self, path: Any, **options: Any) -> None:
        if self._tape.node(path) is not None:
            _fail(self._meddle("unlink"))
        self._real["unlink"](path, **options)
        self._tape.deleted(path)

    def rename(self, old: Any, new: Any, **options: Any) -> None:
        self._move("rename", old, new, **options)

    def replace(self, old: Any, new: Any, **options: Any) -> None:
        self._move("replace", old, new, **options)

    def _move(self, name: str, old: Any, new: Any, **options: Any) -> None:
        if self._tape.node(old) is not None:
            _fail(self._meddle("rename"))
        with self._lock:
            self._real[name](old, new, **options)
            if self._tape.node(old) is not None:
                self._tape.renamed(old, new)

    def mkdir(self, path: Any, *arguments: Any, **options: Any) -> None:
        ours = self._tape.parent(os.fspath(path)) is not None
        if ours:
            _fail(self._meddle("mkdir"))
        with self._lock:
            self._real["mkdir"](path, *arguments, **options)
            if ours:
                self._tape.created(path, folder=True)


def _fail(what: str) -> None:
    if what:
        number = errno.EIO if what == "eio" else errno.ENOSPC
        raise OSError(number, os.strerror(number))


class _Vfs(apsw.VFS):
    """The platform's VFS, with an eye on it."""

    def __init__(self, name: str, tape: Tape, meddle: Meddle) -> None:
        self._tape = tape
        self._meddle = meddle
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        _fail_sqlite(self._meddle("sqlite open"))
        if name is None:  # a temporary file of SQLite's: it has no name, and nothing of it survives
            return apsw.VFSFile("", None, flags)
        return _File(self._tape, self._meddle, name, flags)

    def xDelete(self, name: str, sync: bool) -> None:
        _fail_sqlite(self._meddle("sqlite delete"))
        super().xDelete(name, sync)
        self._tape.deleted(name)
        if sync:
            self._tape.synced(self._tape.parent(name))


class _File(apsw.VFSFile):
    def __init__(self, tape: Tape, meddle: Meddle, name: Any, flags: list[int]) -> None:
        self._tape = tape
        self._meddle = meddle
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("", name, flags)
        self._path = path
        known = tape.node(path)
        # As os_unix.c: the first sync of a new log or journal syncs its folder as well.
        logs = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
        self._new_log = known is None and bool(flags[0] & logs)
        self._node = tape.created(path) if known is None else known

    def xWrite(self, data: bytes, offset: int) -> None:
        what = self._meddle("sqlite write")
        if what == "short":
            half = bytes(data[: len(data) // 2])
            super().xWrite(half, offset)
            self._tape.wrote(self._node, offset, half)
        _fail_sqlite(what)
        super().xWrite(data, offset)
        self._tape.wrote(self._node, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        _fail_sqlite(self._meddle("sqlite truncate"))
        super().xTruncate(size)
        self._tape.cut(self._node, size)

    def xSync(self, flags: int) -> None:
        _fail_sqlite(self._meddle("sqlite sync"))
        super().xSync(flags)
        self._tape.synced(self._node)
        if self._new_log:
            self._new_log = False
            self._tape.synced(self._tape.parent(self._path))


def _fail_sqlite(what: str) -> None:
    if what == "eio":
        raise apsw.IOError("disk I/O error")
    if what:
        raise apsw.FullError("database or disk is full")
