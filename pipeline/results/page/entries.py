"""A record as the page shows it, with its best hits alone."""

import itertools
from collections.abc import Iterable
from heapq import nlargest
from typing import Any, NamedTuple

import msgspec

from pipeline.endpoints.details import PatentDetail
from pipeline.results.reading import RecordView
from pipeline.results.survey import is_score

TOP_HITS = 5


class Hit(NamedTuple):
    """A hit; number, title and URL are the vendor's values, of any type."""

    score: float | None  # 0 to 1; None when the vendor sent none
    number: Any
    title: Any
    url: Any
    detail: PatentDetail | None = None  # None where the run asked for none
    rank: int = 0  # its place in the vendor's order, from 1; 0 where that is the order in which the hits are shown


class Entry(NamedTuple):
    """A record to show, without its hits but for the best ones."""

    record: RecordView
    hits: list[Hit]  # the highest score first


class _Shown(msgspec.Struct, gc=False):
    """Values of a hit that the page shows; its score is a number or missing."""

    score: float | None = None
    patent_id: Any = None
    patent_pn: Any = None
    title: Any = None
    url: Any = None


_SHOWN = msgspec.json.Decoder(list[_Shown])


def entry_of(record: RecordView, *, top: int = TOP_HITS) -> Entry:
    """Take the best hits of a record."""
    # The vendor sorts by score unless the job asks for dates; the page always shows the most alike.
    ranked = list(zip(_ranks(record), _hits(record), strict=False))
    best = nlargest(top, ranked, key=lambda one: -1.0 if one[1].score is None else one[1].score)
    if [rank for rank, _ in best] == [*range(1, len(best) + 1)]:
        return Entry(record.without_hits(), [hit for _, hit in best])
    return Entry(record.without_hits(), [hit._replace(rank=rank) for rank, hit in best])


def _ranks(record: RecordView) -> Iterable[int]:
    """Return the places of a record's hits in the vendor's order."""
    search = record.search
    return search.ranks if search is not None and search.ranks else itertools.count(1)


def _hits(record: RecordView) -> Iterable[Hit]:
    try:
        shown = _SHOWN.decode(record.raw_hits)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # not the usual ones: each is looked at
        return [
            Hit(
                _score(hit),
                hit.get("patent_pn"),
                hit.get("title"),
                hit.get("url"),
                _detail(record, hit.get("patent_id")),
            )
            for hit in record.hits
        ]
    return [Hit(hit.score, hit.patent_pn, hit.title, hit.url, _detail(record, hit.patent_id)) for hit in shown]


def _detail(record: RecordView, patent_id: object) -> PatentDetail | None:
    return record.details.get(patent_id) if isinstance(patent_id, str) else None


def _score(hit: dict[str, Any]) -> float | None:
    score = hit.get("score")
    return float(score) if is_score(score) else None  # type: ignore[arg-type]
