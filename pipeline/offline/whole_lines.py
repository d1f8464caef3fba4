"""The valid lines of a results.jsonl that may also hold damaged and foreign bytes."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pipeline.models import SETTLED, State
from pipeline.offline.salvage import Salvage
from pipeline.results.reading import RecordView, read_line
from pipeline.results.record import SCHEMA
from pipeline.system.checksum import crc32

MOST_BYTES = 64 << 20  # far beyond any real line; more without a line break is not ours
_STATES = {state.word: state for state in SETTLED}


class Found(NamedTuple):
    """A valid line of a results file."""

    record: RecordView
    state: State  # in which it settles its item
    task_at: float | None  # seconds since the epoch; None without a task
    was_at: int  # its offset in the damaged file
    offset: int  # its offset among the valid lines alone
    length: int  # in bytes, with the line break
    crc: int


class Damage:
    """Bytes of a results.jsonl that are not valid lines of this run."""

    def __init__(self) -> None:
        self.places = 0
        self.bytes = 0
        self._last_end = -1

    def add(self, offset: int, length: int) -> None:
        """Count bytes that are left out; neighbours are one place."""
        self.places += offset != self._last_end
        self.bytes += length
        self._last_end = offset + length


def take_lines(path: Path, accept: Callable[[RecordView, bytes], bool], take: Callable[[Found], bool]) -> Damage:
    """Pass every line that `accept` knows as ours to `take`, in order; return the bytes that neither wanted."""
    damage = Damage()
    offset = end = 0
    with path.open("rb") as file:
        while raw := file.readline(MOST_BYTES):
            record = _record(raw)
            if record is not None and accept(record, raw) and take(_found(record, offset, end, raw)):
                end += len(raw)
            else:
                damage.add(offset, len(raw))
            offset += len(raw)
    return damage


def job_of(path: Path) -> str:
    """Return the job that most of the valid lines name, "" without a valid line: lines of another job are few."""
    jobs: Counter[str] = Counter()
    if path.is_file():
        with path.open("rb") as file:
            while raw := file.readline(MOST_BYTES):
                if (record := _record(raw)) is not None:
                    jobs[record.job] += 1
    return max(jobs, key=jobs.__getitem__, default="")


def is_ours(old: Salvage | None, job: str) -> Callable[[RecordView, bytes], bool]:
    """Return a function that tells whether this run wrote a line; call it for every line, in order.

    The CRC that the old journal knows decides, else the name of the job in the line. A sound journal knows every line
    but those that a run wrote after its last commit: they lie beyond the last one that it knows.
    """
    sound = old is not None and old.sound
    last = old.last_line if old is not None else None
    at_the_end = last is None

    def accept(record: RecordView, raw: bytes) -> bool:
        nonlocal at_the_end
        known, length, crc = old.line_of(record.item) if old is not None else (False, None, None)
        if crc is not None:
            at_the_end = at_the_end or (record.item, crc) == last
            return (length, crc) == (len(raw), crc32(raw))
        return record.job == job and ((known and at_the_end) or not sound)

    return accept


def lines_at(path: Path, places: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the bytes of a file at each (offset, length)."""
    with path.open("rb") as file:
        for offset, length in places:
            file.seek(offset)
            yield file.read(length)


def keep_aside(path: Path, name: Path) -> None:
    """Give a file a second name, so that the first can be replaced as a whole."""
    try:
        os.link(path, name)
    except OSError:  # a file system without links
        shutil.copy2(path, name)


def _record(raw: bytes) -> RecordView | None:
    """Read a line; None when it is torn, foreign, or does not settle an item."""
    if not raw.endswith(b"\n"):
        return None
    try:
        record = read_line(raw)
        if record.task is not None:
            datetime.fromisoformat(record.task.at)
    except ValueError:
        return None
    whole = record.schema == SCHEMA and record.status in _STATES
    return record if whole and (record.status == "tasked") == (record.task is not None) else None


def _found(record: RecordView, was_at: int, offset: int, raw: bytes) -> Found:
    task_at = datetime.fromisoformat(record.task.at).timestamp() if record.task else None
    return Found(record, _STATES[record.status], task_at, was_at, offset, len(raw), crc32(raw))
