"""The check of lines that are written but not committed yet: the CRC of each line of the last group, in a small file.

A committed line has its CRC in the journal. Between the write and the commit nothing else than this file could tell
that a bit of a line has changed, and a changed line can still be JSON and name another item that waits. It is written
before the lines, over the check of the group before, and not synced: a kill leaves it whole, and after a power loss it
may be missing or old, which its own CRC and the offset tell. Lines without a check are taken as they stand.
"""

import contextlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.journal.sql.rows import Line
from pipeline.system.checksum import crc32
from pipeline.system.clock import iso
from pipeline.system.files import private

CHECK = ".results.check"
_HEAD = struct.Struct(">dQI")  # when the directory was opened, the first line's offset, the number of lines
_LINE = struct.Struct(">II")  # length and CRC-32 of a line
_SUM = struct.Struct(">I")  # CRC-32 of all that stands before it
_MOST_BYTES = 16 << 20


class WrittenGroup(NamedTuple):
    """The lines of the group that was written last.

    opened_at   when the process that wrote them opened the run directory (epoch seconds)
    offset      of the first line in results.jsonl
    lines       per line, its length with the line break and its CRC-32
    """

    opened_at: float
    offset: int
    lines: tuple[tuple[int, int], ...]

    def is_of_tail(self, end: int, *, started_at: str | None) -> bool:
        """Return whether this is the check of the lines beyond byte `end`, where the lines end that the journal knows.

        It is not when a run has started since (`started_at`, as the journal remembers it): one of an earlier version of
        this program writes no check.
        """
        return self.offset == end and (started_at is None or iso(self.opened_at) >= started_at)

    def has(self, line: bytes) -> bool:
        """Return whether this line is one of the group, as it was written."""
        return (len(line), crc32(line)) in self.lines


class TailCheck:
    """The check file of one process; used by the writing thread alone."""

    def __init__(self, path: Path, *, opened_at: float) -> None:
        self._path = path
        self._opened_at = opened_at
        self._fd = private(path, os.O_RDWR | os.O_CREAT)
        try:
            os.ftruncate(self._fd, 0)
            os.fsync(self._fd)  # an old check must not come back after a power loss, beside new lines at its offset
        except BaseException:
            self.close()
            raise

    def write(self, lines: Sequence[Line]) -> None:
        """Write the check of a group of lines that is about to be written."""
        head = _HEAD.pack(self._opened_at, lines[0].offset, len(lines))
        data = head + b"".join(_LINE.pack(line.length, line.crc) for line in lines)
        data += _SUM.pack(crc32(data))
        written = 0
        while written < len(data):
            written += _write_at(self._fd, data[written:], written)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def remove(self) -> None:
        """Close the file and delete it: every line is committed."""
        self.close()
        with contextlib.suppress(OSError):  # an old check does no harm
            self._path.unlink()


def read_check(path: Path) -> WrittenGroup | None:
    """Read the check that a process has left; None when there is none, or it is not what was written."""
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError:
        return None
    if len(data) < _HEAD.size:
        return None
    opened_at, offset, count = _HEAD.unpack_from(data)
    end = _HEAD.size + count * _LINE.size
    if len(data) < end + _SUM.size or _SUM.unpack_from(data, end)[0] != crc32(data[:end]):
        return None
    return WrittenGroup(opened_at, offset, tuple(_LINE.iter_unpack(data[_HEAD.size : end])))


def _write_at(fd: int, data: bytes, offset: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(fd, data, offset)
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)
