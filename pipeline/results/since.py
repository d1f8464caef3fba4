"""The hits of a run against those of an earlier one: new, risen, the same, or gone; and runs that cannot be compared.

A hit is the same by item and patent number. An item whose search asked something else (endpoint, limit, filters) is not
compared: what it did not find then, it may not have looked for.

    earlier = read_earlier(folder)      # a run directory
    found = earlier.compare(record)     # of a record of this run
    found.marks                         # for each hit, in the record's order: NEW, RISEN or SAME; None where unknown
"""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline.results.reading import RecordView, SearchView
from pipeline.results.records import read_records

NEW, RISEN, SAME = "new", "risen", "same"
RISEN_BY = 0.02  # a smaller change is one of the vendor's index, not of the design
_ROUNDING = 1e-9


class _Hit(msgspec.Struct, gc=False):
    patent_pn: str | None = None
    patent_id: str | None = None
    score: float | None = None


_HITS = msgspec.json.Decoder(list[_Hit])


@dataclass(frozen=True, slots=True)
class Compared:
    """The hits of one item against those of the earlier run.

    marks   for each hit, in the record's order: NEW, RISEN or SAME; [] where the item is not compared
    gone    how many hits of the earlier run are not there any more
    reason  why the item is not compared, "" where it is
    """

    marks: list[str] = field(default_factory=list)
    gone: int = 0
    reason: str = ""

    def any_new(self, scores: Iterable[float | None], at_least: float) -> bool:
        """Return whether a hit that is new, or has risen, scores at least so much."""
        return any_at_least((score for mark, score in zip(self.marks, scores, strict=False) if mark != SAME), at_least)


@dataclass(slots=True)
class _Item:
    """The hits that the earlier run found for an item: 12 bytes each, so that a million fit into memory."""

    asked: bytes
    patents: "array[int]"
    scores: "array[float]"


class Earlier:
    """The hits of an earlier run, by item. `name` is that of its directory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[str, _Item] = {}

    def __len__(self) -> int:
        return len(self._items)

    def take(self, record: RecordView) -> None:
        """Take in a record of that run; one that was not searched, or whose hits are gone, says nothing."""
        hits = hits_of(record)
        if record.search is None or record.hits_lost or hits is None:
            return
        rows = sorted((_key(hit), -1.0 if hit.score is None else hit.score) for hit in hits)
        patents, scores = array("Q", [key for key, _ in rows]), array("f", [score for _, score in rows])
        self._items[record.item] = _Item(_asked(record.search), patents, scores)

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
            return Compared(reason="not searched")
        if known is None:
            return Compared(reason="not in the earlier run")
        if known.asked != _asked(record.search):
            return Compared(reason="searched otherwise in the earlier run")
        before = dict(zip(known.patents, known.scores, strict=True))
        marks = [_mark(before.pop(_key(hit), None), hit.score) for hit in hits]
        return Compared(marks, len(before))


def read_earlier(folder: Path) -> Earlier:
    """Read the hits of an earlier run. Raises JournalError where it cannot be read."""
    earlier = Earlier(folder.name)
    for record in read_records(folder, include_open=True):
        earlier.take(record)
    return earlier


def scores_of(record: RecordView) -> list[float | None]:
    """Return the scores of a record's hits, in its order."""
    return [hit.score for hit in hits_of(record) or []]


def any_at_least(scores: Iterable[float | None], at_least: float) -> bool:
    """Return whether one of the scores is at least so high."""
    return any(score is not None and score >= at_least - _ROUNDING for score in scores)


def hits_of(record: RecordView) -> list[_Hit] | None:
    """Decode the parts of a record's hits that are compared; None when they are of no known shape."""
    try:
        return _HITS.decode(record.raw_hits)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _mark(before: float | None, now: float | None) -> str:
    if before is None:
        return NEW
    return RISEN if now is not None and before >= 0 and now - before >= RISEN_BY - 1e-6 else SAME


def _key(hit: _Hit) -> int:
    """Return 8 bytes that stand for a patent: two of a run are taken for one once in 10^13 pairs."""
    name = hit.patent_pn or hit.patent_id or ""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="replace"), digest_size=8).digest())


def _asked(search: SearchView) -> bytes:
    """Return what a search asked, as bytes that are equal for equal questions; its picture is no part of it."""
    params: dict[str, Any] = {key: value for key, value in search.params.items() if not key.startswith("url")}
    question = msgspec.json.encode([search.endpoint, params, search.depth], order="sorted")
    return hashlib.blake2b(question, digest_size=8).digest()
