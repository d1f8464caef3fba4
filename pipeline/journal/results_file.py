"""results.jsonl: append-only, never rewritten, torn-proof.

The journal says where each line lies. What lies beyond the last line it knows was written by a run that died before its
commit; `tail` reads it so that recovery can adopt whole lines (they carry paid task ids), and `cut` removes the rest.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import JournalError
from pipeline.models import Spliced
from pipeline.system.checksum import crc32
from pipeline.system.files import private, write_all

_CHUNK = 1 << 20


class Line(NamedTuple):
    """Where a record lies in results.jsonl: its number from 0, offset, length with the line break, and CRC-32."""

    seq: int
    offset: int
    length: int
    crc: int


class Sink:
    """The lines of one results.jsonl; used by the writer's thread alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._next = 0
        self._end = 0

    def position(self, last: Line | None) -> None:
        """Continue after the last line that the journal knows. Raises JournalError if that line is not there."""
        self._next = last.seq + 1 if last else 0
        self._end = last.offset + last.length if last else 0
        size = os.fstat(self._fd).st_size
        if size < self._end:
            lost = f"it ends at byte {size:,}, the journal knows {self._end:,}"
            repair = f"`pipeline repair {self.path.parent}`"
            raise JournalError(f"{self.path} was shortened ({lost}); put the whole file back, or run {repair}")
        if last and crc32(self._read_at(last.offset, last.length)) != last.crc:
            raise JournalError(
                f"{self.path} was changed: line {last.seq + 1} is not what was written; "
                f"put the original file back, or run `pipeline repair {self.path.parent}`"
            )

    def append(self, lines: Sequence[bytes | Spliced]) -> list[Line]:
        """Write whole lines and make them durable; return where they lie."""
        placed: list[Line] = []
        parts: list[bytes] = []
        for line in lines:
            crc, pieces = (line.crc, line.parts) if isinstance(line, Spliced) else (crc32(line), (line,))
            placed.append(Line(self._next, self._end, len(line), crc))
            parts += pieces
            self._next += 1
            self._end += len(line)
        write_all(self._fd, parts)
        _sync_data(self._fd)
        return placed

    def tail(self) -> Iterator[bytes]:
        """Yield the whole lines beyond the last known one."""
        offset = self._end
        rest = b""
        while chunk := self._read_at(offset, _CHUNK):
            offset += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line + b"\n"

    def adopt(self, line: bytes) -> Line:
        """Take the next line of the tail as written."""
        placed = Line(self._next, self._end, len(line), crc32(line))
        self._next += 1
        self._end += len(line)
        return placed

    def cut(self) -> int:
        """Remove what lies beyond the last known line; return how many bytes that were."""
        extra = os.fstat(self._fd).st_size - self._end
        if extra > 0:
            os.ftruncate(self._fd, self._end)
        os.fsync(self._fd)
        return max(0, extra)

    def read(self, line: Line) -> bytes:
        """Read one line back."""
        return self._read_at(line.offset, line.length)

    def _read_at(self, offset: int, size: int) -> bytes:
        os.lseek(self._fd, offset, os.SEEK_SET)  # O_APPEND: where we read has no bearing on where we write
        parts = []
        while size > 0 and (part := os.read(self._fd, size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _sync_data(fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(fd)
