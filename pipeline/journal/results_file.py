"""results.jsonl: append-only, never rewritten, torn-proof; and its lines as the journal reads them.

The journal says where each line lies. Lines beyond the last one it knows were written by a run that died before its
commit; `tail` reads them so that recovery can adopt whole lines (they carry paid task ids), and `cut` removes the rest.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.places import folder_of
from pipeline.journal.sql.rows import Line
from pipeline.journal.tail_check import TailCheck
from pipeline.models import SETTLED, Calls, State, Task
from pipeline.system.checksum import RecordLine, crc32
from pipeline.system.fault import Fault, typed
from pipeline.system.files import private, write_all

_CHUNK = 1 << 20


class ImageView(msgspec.Struct):
    """The picture that a line is about."""

    source: str
    url: str | None
    sha256: str | None
    labels: dict[str, str]


class _TaskView(msgspec.Struct):
    task_id: str
    at: datetime


class _ReusedView(msgspec.Struct):
    task: bool = False


class LineView(msgspec.Struct):
    """The part of a settled item's line that recovery, repair and the emergency need; `read_line` makes it."""

    schema: Literal[1]
    job: str
    item: str
    status: str
    image: ImageView
    calls: Calls
    task_part: _TaskView | None = msgspec.field(default=None, name="task")
    same_as: str | None = None
    reused_from: _ReusedView | None = None
    replaces: str | None = None

    @property
    def reuses_task(self) -> bool:
        """True when another run paid for the line's task: the item had no create of its own."""
        return self.reused_from is not None and self.reused_from.task

    @property
    def state(self) -> State:
        """The state that the line settles its item in."""
        state = State.of_word(self.status)
        assert state is not None
        return state

    @property
    def task(self) -> Task | None:
        """The line's task."""
        part = self.task_part
        return None if part is None else Task(part.task_id, part.at.timestamp())


_DECODER = msgspec.json.Decoder(LineView)


def read_line(raw: bytes) -> LineView | None:
    """Read a line of results.jsonl; None when it is not a whole record of a settled item."""
    if not raw.endswith(b"\n"):
        return None
    try:
        view = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    state = State.of_word(view.status)
    has_task = state in (State.TASKED, State.REPORTED)
    fits = state is State.NO_HITS or has_task == (view.task_part is not None)  # a submit's task may have found nothing
    return view if state in SETTLED and fits else None


class ResultsFile:
    """The lines of one results.jsonl; used by the writing thread alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._next = 0
        self._end = 0
        self._check: TailCheck | None = None

    @property
    def end(self) -> int:
        """The offset behind the last line that the journal knows."""
        return self._end

    def begin_check(self, path: Path, *, opened_at: float) -> None:
        """Keep a check of the lines of each group from now on, see journal/tail_check.py."""
        self._check = TailCheck(path, opened_at=opened_at)

    def end_check(self) -> None:
        """Delete the check: every line is committed."""
        if self._check is not None:
            self._check.remove()
            self._check = None

    def position(self, last: Line | None) -> None:
        """Continue after the last line that the journal knows. Raises JournalError if that line is not there."""
        self._next = last.seq + 1 if last else 0
        self._end = last.offset + last.length if last else 0
        size = os.fstat(self._fd).st_size
        if size < self._end:
            lost = f"it ends at byte {size:,}, the journal knows {self._end:,}"
            raise self._changed(f"the file was shortened ({lost}); put the whole file back")
        if last and crc32(self._read_at(last.offset, last.length)) != last.crc:
            what = f"the file was changed: line {last.seq + 1:,} is not what was written; put the original file back"
            raise self._changed(what)

    def _changed(self, what: str) -> JournalError:
        repair = typed("repair", folder_of(self.path))
        return JournalError(Fault(f"{what}, or go on with what it holds", where=str(self.path), fix=repair))

    def append(self, lines: Sequence[bytes | RecordLine]) -> list[Line]:
        """Write whole lines and make them durable; return where they lie."""
        placed: list[Line] = []
        parts: list[bytes] = []
        for line in lines:
            crc, pieces = (crc32(line), (line,)) if isinstance(line, bytes) else (line.crc, line.parts)
            placed.append(Line(self._next, self._end, len(line), crc))
            parts += pieces
            self._next += 1
            self._end += len(line)
        if self._check is not None:
            self._check.write(placed)
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
        """Count the next line of the tail as written."""
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

    def chunks(self, end: int) -> Iterator[bytes]:
        """Yield what lies before byte `end`, also when the file has no name any more."""
        for offset in range(0, end, _CHUNK):
            yield self._read_at(offset, min(_CHUNK, end - offset))

    def _read_at(self, offset: int, size: int) -> bytes:
        os.lseek(self._fd, offset, os.SEEK_SET)  # O_APPEND: where we read has no bearing on where we write
        parts = []
        while size > 0 and (part := os.read(self._fd, size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file, and the check, which stays for the next start."""
        if self._check is not None:
            self._check.close()
        os.close(self._fd)


def _sync_data(fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(fd)
