"""The hits of a run against those of an earlier one: new, risen, the same, or gone; and items that cannot be compared.

A hit is the same by item and patent number. An item whose search asked something else (endpoint, limit, filters) is not
compared: what it did not find then, it may not have looked for.

    earlier = read_earlier(folder)      # a run directory
    found = earlier.compare(record)     # of a record of this run
    found.marks                         # for each hit, in the record's order: NEW, RISEN or SAME; [] where unknown
"""

import hashlib
import itertools
from array import array
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from heapq import nlargest
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.results.reading import RecordView, SearchView
from pipeline.results.records import read_records
from pipeline.results.score import ten_thousandths

NEW, RISEN, SAME = "new", "risen", "same"
RISEN_BY = 200  # ten thousandths; a smaller change is one of the vendor's index, not of the design
NOT_SEARCHED = "not searched"
NOT_THEN = "not searched in the earlier run"
OTHERWISE = "searched otherwise in the earlier run"
_BEST = 5  # hits of an item whose names are remembered, so that those that are gone can be named
_MOST = 2**31 - 1
_ROUNDING = 1e-9


class Found(msgspec.Struct, gc=False):
    """The parts of a hit that are compared."""

    patent_pn: str | None = None
    patent_id: str | None = None
    score: float | None = None

    @property
    def name(self) -> str:
        """The number that tells it from others."""
        return self.patent_pn or self.patent_id or ""


_HITS = msgspec.json.Decoder(list[Found])


class Gone(NamedTuple):
    """A hit that was among the best of the earlier run, and was not found again."""

    number: str
    score: int  # then, in ten thousandths; -1 without one


@dataclass(frozen=True, slots=True)
class Compared:
    """The hits of one item against those of the earlier run.

    marks   for each hit, in the record's order: NEW, RISEN or SAME; [] where the item is not compared
    before  for each hit its score then, in ten thousandths; -1 where it had none or was not there
    gone    best hits of the earlier run that are not there any more
    reason  why the item is not compared, "" where it is
    """

    marks: list[str] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    reason: str = ""

    def any_new(self, scores: Iterable[float | None], at_least: float) -> bool:
        """Return whether a hit that is new, or has risen, scores at least so much."""
        return any_at_least((score for mark, score in zip(self.marks, scores, strict=False) if mark != SAME), at_least)

    def best_new(self, scores: Iterable[float | None]) -> int:
        """Return the highest score of a hit that is new, or has risen, in ten thousandths; -1 without one.

        Where the item is not compared it is that of all hits: nobody has looked at them.
        """
        marks = itertools.repeat(NEW) if self.reason else self.marks
        return max((ten_thousandths(one) for mark, one in zip(marks, scores, strict=False) if mark != SAME), default=-1)


@dataclass(slots=True)
class _Item:
    """The hits that the earlier run found for an item: twelve bytes each, so that a million fit into memory."""

    asked: bytes
    patents: "array[int]"
    scores: "array[int]"
    best: bytes  # the names of the best ones, a line each

    def by_patent(self) -> dict[int, int]:
        """Return the scores by patent; of one that is there twice the higher one."""
        return dict(zip(self.patents, self.scores, strict=True))


class Earlier:
    """The hits of an earlier run, by item. `name` is that of its directory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[str, _Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: str) -> bool:
        return item in self._items

    def take(self, record: RecordView) -> None:
        """Take in a record of that run; one that was not searched, or whose hits are gone, says nothing."""
        hits = hits_of(record)
        if record.search is None or record.hits_lost or hits is None:
            return
        scored = [(hit.name, min(ten_thousandths(hit.score), _MOST)) for hit in hits]
        best = nlargest(_BEST, scored, key=lambda one: one[1])
        rows = sorted((hash(name), score) for name, score in scored)
        patents, scores = array("q", [key for key, _ in rows]), array("i", [score for _, score in rows])
        names = "\n".join(dict.fromkeys(name.replace("\n", " ") for name, _ in best if name))
        self._items[record.item] = _Item(_asked(record.search), patents, scores, names.encode(errors="replace"))

    def has_new(self, record: RecordView, at_least: float) -> bool:
        """Return whether a record has a hit that is new, or has risen, and scores at least so much.

        One that cannot be compared counts by all its hits: nobody has looked at them.
        """
        scores = scores_of(record)
        compared = self.compare(record)
        return any_at_least(scores, at_least) if compared.reason else compared.any_new(scores, at_least)

    def compare(self, record: RecordView) -> Compared:
        """Compare the hits of a record of this run."""
        known, hits = self._items.get(record.item), hits_of(record)
        if record.search is None or record.hits_lost or hits is None:
            return Compared(reason=NOT_SEARCHED)
        if known is None:
            return Compared(reason=NOT_THEN)
        if known.asked != _asked(record.search):
            return Compared(reason=OTHERWISE)
        then = known.by_patent()
        before = [then.get(hash(hit.name)) for hit in hits]
        marks = [_mark(score, hit.score) for score, hit in zip(before, hits, strict=True)]
        scores = [-1 if score is None else score for score in before]
        return Compared(marks, scores, _gone(known, then, hits, record.search))

    def score_of(self, item: str, number: str) -> int | None:
        """Return the score of a hit then, in ten thousandths, -1 without one; None where the item had no such hit."""
        known = self._items.get(item)
        return None if known is None else known.by_patent().get(hash(number))


def read_earlier(folder: Path, *, only: Collection[str] | None = None) -> Earlier:
    """Read the hits of an earlier run, of some items alone if `only` names them.

    Raises JournalError where it cannot be read.
    """
    earlier = Earlier(folder.name)
    for record in read_records(folder, include_open=True):
        if only is None or record.item in only:
            earlier.take(record)
    return earlier


def scores_of(record: RecordView) -> list[float | None]:
    """Return the scores of a record's hits, in its order."""
    return [hit.score for hit in hits_of(record) or []]


def any_at_least(scores: Iterable[float | None], at_least: float) -> bool:
    """Return whether one of the scores is at least so high."""
    return any(score is not None and score >= at_least - _ROUNDING for score in scores)


def hits_of(record: RecordView) -> list[Found] | None:
    """Decode the parts of a record's hits that are compared; None when they are of no known shape."""
    try:
        return _HITS.decode(record.raw_hits)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _mark(before: int | None, now: float | None) -> str:
    if before is None:
        return NEW
    return RISEN if has_risen(before, ten_thousandths(now)) else SAME


def has_risen(before: int, now: int) -> bool:
    """Return whether a score, in ten thousandths, rose by enough to be told; -1 is none."""
    return before >= 0 and now - before >= RISEN_BY


def _gone(known: _Item, then: dict[int, int], hits: list[Found], search: SearchView) -> list[Gone]:
    """List the best hits of then that are not among those of now.

    What scored less than all that came back this time may still be there: the vendor has more than it sent.
    """
    found = {hash(hit.name) for hit in hits}
    whole = not search.truncated and len(hits) >= search.hits
    least = -1 if whole else min((ten_thousandths(hit.score) for hit in hits), default=-1)
    gone = [Gone(name, then[hash(name)]) for name in known.best.decode().split("\n") if name]
    return [one for one in gone if hash(one.number) not in found and (whole or one.score > least)]


def _asked(search: SearchView) -> bytes:
    """Return what a search asked, as bytes that are equal for equal questions; its picture is no part of it."""
    params: dict[str, Any] = {key: value for key, value in search.params.items() if not key.startswith("url")}
    question = msgspec.json.encode([search.endpoint, params, search.depth], order="sorted")
    return hashlib.blake2b(question, digest_size=8).digest()
