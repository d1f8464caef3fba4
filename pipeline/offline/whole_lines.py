"""The valid lines of a results.jsonl that may also hold damaged and foreign bytes."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.journal.results_file import LineView, read_line
from pipeline.journal.tail_check import WrittenGroup
from pipeline.offline.salvage import Salvage
from pipeline.system.checksum import crc32

MOST_BYTES = 64 << 20  # far beyond any real line; more without a line break is not ours


class Found(NamedTuple):
    """A valid line of a results file.

    was_at   its offset in the damaged file
    offset   its offset among the valid lines alone
    length   in bytes, with the line break
    """

    view: LineView
    was_at: int
    offset: int
    length: int
    crc: int


class Damage:
    """The bytes of a results.jsonl that are not valid lines of this run, and in how many places they lie."""

    def __init__(self) -> None:
        self.places = 0
        self.bytes = 0
        self._last_end = -1

    def add(self, offset: int, length: int) -> None:
        """Count bytes that are left out; neighbours are one place."""
        self.places += offset != self._last_end
        self.bytes += length
        self._last_end = offset + length


def take_lines(path: Path, accept: Callable[[LineView, bytes], bool], take: Callable[[Found], bool]) -> Damage:
    """Pass every line that `accept` knows as ours to `take`, in order; return the bytes that neither wanted."""
    damage = Damage()
    offset = end = 0
    with path.open("rb") as file:
        while raw := file.readline(MOST_BYTES):
            view = read_line(raw)
            ours = view is not None and accept(view, raw)
            if ours and view is not None and take(Found(view, offset, end, len(raw), crc32(raw))):
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
                if (view := read_line(raw)) is not None:
                    jobs[view.job] += 1
    return max(jobs, key=jobs.__getitem__, default="")


def is_ours(old: Salvage | None, job: str, written: WrittenGroup | None) -> Callable[[LineView, bytes], bool]:
    """Return a function that tells whether this run wrote a line; call it for every line, in order.

    The CRC that the old journal knows decides, else the name of the job in the line. A sound journal knows every line
    but those that a run wrote after its last commit: they lie beyond the last one that it knows, and `written` is their
    check (journal/tail_check.py).
    """
    sound = old is not None and old.sound
    last = old.last_line if old is not None else None
    at_the_end = last is None
    if old is not None and written is not None:
        started_at = dict(old.table("meta") or ()).get("started_at")
        if not (sound and written.is_of_tail(last[2] if last is not None else 0, started_at=started_at)):
            written = None

    def accept(view: LineView, raw: bytes) -> bool:
        nonlocal at_the_end
        known, length, crc = old.line_of(view.item) if old is not None else (False, None, None)
        if crc is not None:
            at_the_end = at_the_end or (last is not None and (view.item, crc) == last[:2])
            return (length, crc) == (len(raw), crc32(raw))
        if not sound:
            return view.job == job
        return view.job == job and known and at_the_end and (written is None or written.has(raw))

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
