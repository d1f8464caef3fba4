"""The whole, valid lines of a results.jsonl that may hold foreign bytes, and a copy with these lines alone."""

import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.models import Calls, State
from pipeline.offline.salvage import Salvage

MOST_BYTES = 64 << 20  # far beyond any real line; more without a line break is not ours
_STATES = {"tasked": State.TASKED, "no_hits": State.NO_HITS, "searched": State.SEARCH_ONLY}


class Image(msgspec.Struct):
    """Which picture a line is about."""

    source: str
    url: str | None
    sha256: str | None
    labels: dict[str, str]


class _Task(msgspec.Struct):
    task_id: str
    at: datetime


class View(msgspec.Struct):
    """What a repair needs of a line."""

    schema: int
    job: str
    item: str
    status: str
    image: Image
    calls: Calls
    task: _Task | None = None
    same_as: str | None = None

    @property
    def state(self) -> State:
        """The state it settles its item in."""
        return _STATES[self.status]


class Found(NamedTuple):
    """A valid line: what it says, where it lay and where it lies now, its length and CRC."""

    view: View
    was_at: int
    offset: int
    length: int
    crc: int


class Damage:
    """What of a file is not ours."""

    def __init__(self) -> None:
        self.places = 0
        self.bytes = 0
        self._last_end = -1

    def add(self, offset: int, length: int) -> None:
        """Count bytes that are left out; neighbours are one place."""
        self.places += offset != self._last_end
        self.bytes += length
        self._last_end = offset + length


_DECODER = msgspec.json.Decoder(View)


def take_lines(path: Path, accept: Callable[[View, bytes], bool], take: Callable[[Found], bool]) -> Damage:
    """Give `take` every line that `accept` knows as ours, in order; what neither wants is damage."""
    damage = Damage()
    offset = end = 0
    with path.open("rb") as file:
        while raw := file.readline(MOST_BYTES):
            view = _view(raw)
            ours = view is not None and accept(view, raw)
            if ours and view is not None and take(Found(view, offset, end, len(raw), zlib.crc32(raw))):
                end += len(raw)
            else:
                damage.add(offset, len(raw))
            offset += len(raw)
    return damage


def job_of(path: Path) -> str:
    """The job that most of the valid lines name, "" where there is none: bytes of others are few among them."""
    jobs: Counter[str] = Counter()
    if path.is_file():
        with path.open("rb") as file:
            while raw := file.readline(MOST_BYTES):
                if (view := _view(raw)) is not None:
                    jobs[view.job] += 1
    return max(jobs, key=jobs.__getitem__, default="")


def is_ours(old: Salvage | None, job: str) -> Callable[[View, bytes], bool]:
    """Tell lines that this run wrote: by the CRC that the old journal knows, else by what they say.

    A sound journal knows every line but those that a run wrote after its last commit: they lie beyond the last one.
    """
    sound = old is not None and old.sound
    last = old.last_line if old is not None else None
    at_the_end = last is None

    def accept(view: View, raw: bytes) -> bool:
        nonlocal at_the_end
        known, length, crc = old.line_of(view.item) if old is not None else (False, None, None)
        if crc is not None:
            at_the_end = at_the_end or (view.item, crc) == last
            return (length, crc) == (len(raw), zlib.crc32(raw))
        return view.job == job and ((known and at_the_end) or not sound)

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


def _view(raw: bytes) -> View | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        view = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if view.schema != 1 or view.status not in _STATES or (view.status == "tasked") != (view.task is not None):
        return None
    return view
