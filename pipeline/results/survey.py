"""A survey of files of records: one pass that keeps where each line lies, its best score, and what was asked.

A line costs 28 bytes of memory, so that a page or an export can go through any number of records in the order it wants.
"""

import contextlib
import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.models import OPEN, SETTLED, State
from pipeline.results.joining import Joined
from pipeline.results.late_details import LateLine
from pipeline.results.reading import RecordView, read_line
from pipeline.results.score import ten_thousandths

_STATUSES = frozenset(state.word for state in (*SETTLED, *OPEN))
_OPEN = frozenset(state.word for state in OPEN)
_LOOKED_AT = frozenset(state.word for state in (State.TASKED, State.REPORTED, State.NO_HITS))
_NO_SCORE = -1.0
DEPTH = "search.depth"  # stands among the parameters that were asked, where a search has several pages

_log = logging.getLogger(__name__)


class _Hit(msgspec.Struct, gc=False):
    score: float | None = None


_SCORES = msgspec.json.Decoder(list[_Hit])


@dataclass(slots=True)
class Asked:
    """The items that were searched with the same endpoint and parameters."""

    items: int = 0
    truncated: int = 0  # of them, those for which the vendor has more hits than it returned


class Part(NamedTuple):
    """A file of records, and what came after them: details, by item, and reports that were collected."""

    path: Path
    most: int | None = None  # lines that count; None = all
    late: Mapping[str, LateLine] | None = None
    joined: Joined | None = None

    def read(self, line: bytes) -> RecordView | None:
        """Read a record as it stands since; None where it is settled no longer. Raises ValueError for no record."""
        record = read_line(line)
        return record if self.joined is None else self.joined.of(record)


@dataclass(slots=True)
class Survey:
    """The lines of one file, or of several in their order.

    asked          per endpoint and parameters (JSON), the items that were searched so
    unread         open items whose task is paid and whose report is not in
    not_searched   items without a search; not those that are `unread`
    left_out       hits that did not go into a task, of items that are tasked or came to none of their hits
    left_out_of    the number of these items
    only           which records count; None = all
    keep           the most records that can be read again, those with the best scores; None = all
    taken          all records that count
    """

    parts: Sequence[Part] = ()
    asked: dict[tuple[str, bytes], Asked] = field(default_factory=dict)
    unread: int = 0
    not_searched: int = 0
    left_out: int = 0
    left_out_of: int = 0
    unreadable: int = 0  # lines that are no record
    first_expiry: str = ""  # ISO 8601, of the tasks; empty when there is none
    statuses: Counter[str] = field(default_factory=Counter)
    only: Callable[[RecordView], bool] | None = None
    keep: int | None = None
    taken: int = 0
    _dropped: Counter[int] = field(default_factory=Counter)  # scores of records that are not kept, in ten thousandths
    _scores: "array[float]" = field(default_factory=lambda: array("d"))
    _offsets: "array[int]" = field(default_factory=lambda: array("q"))
    _lengths: "array[int]" = field(default_factory=lambda: array("q"))
    _parts: "array[int]" = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self._scores)

    def in_order(self) -> Iterator[RecordView]:
        """Read the records again as the files have them, one at a time."""
        return (record for _, record in self._read(range(len(self))))

    def by_score(self) -> Iterator[RecordView]:
        """Read the records again by the score of their best hit, the highest first; equal ones in the files' order."""
        return (record for _, record in self.scored())

    def scored(self) -> Iterator[tuple[float, RecordView]]:
        """Read the records again as `by_score` does, each with the score of its best hit (-1 without one)."""
        best_first = sorted(range(len(self)), key=self._scores.__getitem__, reverse=True)
        return ((self._scores[number], record) for number, record in self._read(best_first))

    def at_least(self, score: float) -> int:
        """Count the records whose best hit scores at least so much, as pages show it."""
        line = ten_thousandths(score)
        kept = sum(ten_thousandths(best) >= line for best in self._scores if best >= 0)
        return kept + sum(number for best, number in self._dropped.items() if best >= line)

    def take(self, line: bytes, offset: int, part: int) -> None:
        """Take a line of a part in. Raises ValueError when it is no record."""
        record = self.parts[part].read(line)
        if record is None:
            return
        if record.status not in _STATUSES:
            raise ValueError(f"status {record.status!r} is none of this version")
        score = _best_score(record)
        if self.only is not None and not self.only(record):
            return
        self._scores.append(score)
        self._offsets.append(offset)
        self._lengths.append(len(line))
        self._parts.append(part)
        self.taken += 1
        self._count(record)
        if self.keep is not None and len(self) >= 2 * self.keep:
            self.drop()

    def drop(self) -> None:
        """Let those go that are not among the best to `keep`."""
        if self.keep is None or len(self) <= self.keep:
            return
        best = sorted(range(len(self)), key=self._scores.__getitem__, reverse=True)
        self._dropped.update(ten_thousandths(self._scores[at]) for at in best[self.keep :] if self._scores[at] >= 0)
        kept = sorted(best[: self.keep])
        self._scores = array("d", [self._scores[at] for at in kept])
        self._offsets, self._lengths, self._parts = (
            array(values.typecode, [values[at] for at in kept])
            for values in (self._offsets, self._lengths, self._parts)
        )

    def _count(self, record: RecordView) -> None:
        search, task = record.search, record.task
        self.statuses[record.status] += 1
        if task is not None and task.expires_at:
            self.first_expiry = min(self.first_expiry or task.expires_at, task.expires_at)
        unread = task is not None and record.status in _OPEN
        self.unread += unread
        if search is None:
            self.not_searched += not unread
            return
        params = {**search.params, DEPTH: search.depth} if search.depth else search.params
        asked = self.asked.setdefault((search.endpoint, msgspec.json.encode(params)), Asked())
        asked.items += 1
        asked.truncated += search.truncated
        if record.status in _LOOKED_AT:
            left_out = max(0, search.hits - (task.hits if task is not None else 0))
            self.left_out += left_out
            self.left_out_of += left_out > 0

    def _read(self, order: Iterable[int]) -> Iterator[tuple[int, RecordView]]:
        for at, numbers in groupby(order, key=self._parts.__getitem__):
            part = self.parts[at]
            with part.path.open("rb") as file:
                for number in numbers:
                    file.seek(self._offsets[number])
                    with contextlib.suppress(ValueError):  # it was a record when it was taken in
                        record = part.read(file.read(self._lengths[number]))
                        if record is not None:
                            yield number, record if part.late is None else record.with_late(part.late)


def survey(*parts: Part, only: Callable[[RecordView], bool] | None = None, keep: int | None = None) -> Survey:
    """Go through files of records once, one after the other; a line that is no record is counted and logged.

    A file that is not there has no lines; a last line that is not whole yet is left out. `only` says which records
    count; all are counted, and `keep` the best of them, so that memory stays as it is however many there are.
    """
    found = Survey(parts, only=only, keep=keep)
    for at, part in enumerate(parts):
        with contextlib.suppress(FileNotFoundError), part.path.open("rb") as lines:
            _take_in(found, at, lines)
    found.drop()
    return found


def _take_in(found: Survey, at: int, lines: Iterable[bytes]) -> None:
    offset, part = 0, found.parts[at]
    for number, line in enumerate(lines, start=1):
        if not line.endswith(b"\n") or number - 1 == part.most:
            break
        try:
            found.take(line, offset, at)
        except ValueError as exc:
            found.unreadable += 1
            _log.error(
                "report.line_unreadable %s:%s: a line that cannot be read is left out (%s)", part.path.name, number, exc
            )
        offset += len(line)


def _best_score(record: RecordView) -> float:
    """Find the highest score of a record's hits. Raises ValueError when they are no list."""
    try:
        return max((hit.score for hit in _SCORES.decode(record.raw_hits) if hit.score is not None), default=_NO_SCORE)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # not the usual hits: each is looked at
        scores = (hit.get("score") for hit in record.hits)
        return max((float(score) for score in scores if is_score(score)), default=_NO_SCORE)  # type: ignore[arg-type]


def is_score(value: object) -> bool:
    """Return whether a vendor's value is a score: a number, and no boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)
