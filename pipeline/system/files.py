"""Files that only their owner can read, and that a crash leaves as they were or as they should be."""

import contextlib
import errno
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from pipeline.system.drafts import draft_of, hold

_PARTS_AT_ONCE = 512  # of one writev; Linux takes 1,024
_NOT_ASCII = re.compile(r"[^\x00-\x7e]")  # in JSON, letters inside strings alone
_NOT_SYNCABLE = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP)
_APPENDING = threading.Lock()  # while another thread writes a line, the file can seem to end in the middle of it


def private(path: Path, flags: int) -> int:
    """Open a file and return its descriptor; a file that is created is readable by its owner alone (mode 0600).

    Raises OSError where `path` is a symbolic link, which could lead to a file of someone else.
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o600)


def write_whole(
    path: Path, data: bytes | Iterable[bytes], *, durable: bool = True, several_writers: bool = False
) -> None:
    """Replace a file as a whole: after a crash or an error it is the old one or the new one, never half of one.

    `durable` syncs it before it takes its place; without it a power loss may leave an empty file, which only a cache
    can afford. Say `several_writers` where other processes may write the same file at the same time: the last one wins.
    """
    with replaced(path, durable=durable, several_writers=several_writers) as file:
        for part in [data] if isinstance(data, bytes) else data:
            file.write(part)


@contextlib.contextmanager
def replaced(path: Path, *, durable: bool = True, several_writers: bool = False) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of `path` once the block ends well, and none if it does not."""
    draft = draft_of(path, several_writers=several_writers)
    descriptor = private(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    hold(descriptor)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to report
            draft.unlink()
        raise
    if durable:
        sync_folder(path.parent)


def write_all(descriptor: int, parts: Sequence[bytes]) -> None:
    """Write the parts one after the other, also where the system takes less than all of them at once.

    They are joined, and so copied, only in that case: the parts of a group of records are a megabyte.
    """
    for at in range(0, len(parts), _PARTS_AT_ONCE):
        some = parts[at : at + _PARTS_AT_ONCE]
        written = os.writev(descriptor, some) if hasattr(os, "writev") else 0
        if written == sum(map(len, some)):
            continue
        rest = memoryview(b"".join(some))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def append_line(path: Path, line: bytes, *, durable: bool = True) -> None:
    """Append a line, which ends with a line feed; a line that a kill cut short is ended first. Raises OSError.

    Several threads may append to one file at the same time, several processes may not.
    """
    with _APPENDING:
        descriptor = private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            write_all(descriptor, [b"\n" + line if torn else line])
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if durable and not size:
            sync_folder(path.parent)  # a file that is synced can still lose its name


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a synced file can still lose its name. Does nothing on Windows."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: Path) -> None:
    """Make the names in a folder durable, and those of the folders that lead to it."""
    sync_folder(folder)
    for parent in folder.absolute().parents:
        try:
            sync_folder(parent)
        except OSError as exc:  # we did not make a folder that we may not read or sync
            if exc.errno not in _NOT_SYNCABLE:
                raise


def ascii_line(line: bytes) -> bytes:
    """Rewrite a JSON line in ASCII, for files that people print on terminals; what is ASCII already stays as it is."""
    return _NOT_ASCII.sub(_escaped, line.decode()).encode()


def _escaped(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
