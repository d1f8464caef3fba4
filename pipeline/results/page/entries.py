"""A record as the page shows it, with its best hits alone."""

from collections.abc import Iterable
from heapq import nlargest
from typing import Any, NamedTuple

import msgspec

from pipeline.results.reading import RecordView
from pipeline.results.survey import is_score

TOP_HITS = 5


class Hit(NamedTuple):
    """A hit; number, title and URL are the vendor's values, of any type."""

    score: float | None  # 0 to 1; None when the vendor sent none
    number: Any
    title: Any
    url: Any


class Entry(NamedTuple):
    """A record to show, without its hits but for the best ones."""

    record: RecordView
    hits: list[Hit]  # the highest score first


class _Shown(msgspec.Struct, gc=False):
    """Values of a hit that the page shows; its score is a number or missing."""

    score: float | None = None
    patent_pn: Any = None
    title: Any = None
    url: Any = None


_SHOWN = msgspec.json.Decoder(list[_Shown])


def entry_of(record: RecordView, *, top: int = TOP_HITS) -> Entry:
    """Take the best hits of a record."""
    # The vendor sorts by score unless the job asks for dates; the page always shows the most alike.
    best = nlargest(top, _hits(record), key=lambda hit: -1.0 if hit.score is None else hit.score)
    return Entry(record.without_hits(), best)


def _hits(record: RecordView) -> Iterable[Hit]:
    try:
        shown = _SHOWN.decode(record.raw_hits)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # not the usual ones: each is looked at
        return [Hit(_score(hit), hit.get("patent_pn"), hit.get("title"), hit.get("url")) for hit in record.hits]
    return [Hit(hit.score, hit.patent_pn, hit.title, hit.url) for hit in shown]


def _score(hit: dict[str, Any]) -> float | None:
    score = hit.get("score")
    return float(score) if is_score(score) else None  # type: ignore[arg-type]
