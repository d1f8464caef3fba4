"""A record as the page shows it, with its best hits alone."""

import itertools
from collections.abc import Iterable
from heapq import nlargest
from typing import Any, NamedTuple

import msgspec

from pipeline.endpoints.details import PatentDetail
from pipeline.results.page.changes import NO_CHANGE, NOTHING, Change, Changes
from pipeline.results.reading import RecordView
from pipeline.results.survey import is_score

TOP_HITS = 5
_MOST_FURTHER = 2  # changes that stand in the place of better hits


class Hit(NamedTuple):
    """A hit; number, title and URL are the vendor's values, of any type."""

    score: float | None  # 0 to 1; None when the vendor sent none
    number: Any
    title: Any
    url: Any
    detail: PatentDetail | None = None  # None where the run asked for none
    rank: int = 0  # its place in the vendor's order, from 1; 0 where that is the order in which the hits are shown
    place: int = 0  # its place among the record's hits, from 0
    in_task: bool = False
    change: Change = NO_CHANGE  # since the run before


class Entry(NamedTuple):
    """A record to show, without its hits but for the best ones."""

    record: RecordView
    hits: list[Hit]  # the highest score first
    changes: Changes = NOTHING  # since the run before


class _Sent(msgspec.Struct, gc=False):
    """A hit as the vendor sent it, without what the page never shows; its score is a number or missing."""

    score: float | None = None
    patent_id: Any = None
    patent_pn: Any = None
    title: Any = None
    url: Any = None


_SENT = msgspec.json.Decoder(list[_Sent])

Ranked = tuple[int, int, _Sent]  # its place in the vendor's order, from 1, and in the record, from 0


def entry_of(
    record: RecordView,
    *,
    top: int = TOP_HITS,
    min_score: float = 0.0,
    changes: Changes = NOTHING,
    at_least: float = 0.0,
) -> Entry:
    """Take the best hits of a record; hits below `min_score` are in no task.

    Changes that score `at_least` so much are to be seen: up to two stand in the place of hits that did not change.
    """
    hits = _hits(record)
    in_task = _in_task(record, hits, min_score)
    # The vendor sorts by score unless the job asks for dates; the page always shows the most alike.
    ranked = zip(_ranks(record), range(len(hits)), hits, strict=False)
    best = nlargest(len(hits) if changes.hits else top, ranked, key=lambda one: _score_of(one[2]))
    best = _with_changes(best, top, changes, at_least)
    usual = [rank for rank, _, _ in best] == [*range(1, len(best) + 1)]
    shown = [
        Hit(
            hit.score,
            hit.patent_pn,
            hit.title,
            hit.url,
            detail=_detail(record, hit.patent_id),
            rank=0 if usual else rank,
            place=place,
            in_task=place in in_task,
            change=changes.of(place),
        )
        for rank, place, hit in best
    ]
    return Entry(record.without_hits(), shown, changes)


def _with_changes(best: list[Ranked], top: int, changes: Changes, at_least: float) -> list[Ranked]:
    """Choose the hits that are shown, of all of them by their score."""
    shown, further = best[:top], best[top:]
    worthy = [one for one in further if changes.of(one[1]).worth_seeing and _score_of(one[2]) >= at_least]
    for one in worthy[:_MOST_FURTHER]:
        give_way = next((other for other in reversed(shown) if not changes.of(other[1]).worth_seeing), None)
        if give_way is None:
            break
        shown.remove(give_way)
        shown.append(one)
    return shown


def _score_of(hit: _Sent) -> float:
    return -1.0 if hit.score is None else hit.score


def _in_task(record: RecordView, hits: list[_Sent], min_score: float) -> set[int]:
    """Find the hits that the task was made of: the first complete ones, or of several pages the best."""
    if record.task is None or record.hits_lost or not record.task.hits:
        return set()
    fit = [place for place, hit in enumerate(hits) if _is_complete(hit)]
    if min_score > 0:
        fit = [place for place in fit if _score_of(hits[place]) >= min_score]
    if record.search is not None and record.search.ranks:
        fit.sort(key=lambda place: -(hits[place].score or 0.0))
    return set(fit[: record.task.hits])


def _is_complete(hit: _Sent) -> bool:
    """Return whether a hit has all that a task needs and the page shows: texts, none of them empty."""
    number, title, url = hit.patent_pn, hit.title, hit.url
    return (
        isinstance(number, str) and isinstance(title, str) and isinstance(url, str) and bool(number and title and url)
    )


def _ranks(record: RecordView) -> Iterable[int]:
    """Return the places of a record's hits in the vendor's order."""
    search = record.search
    return search.ranks if search is not None and search.ranks else itertools.count(1)


def _hits(record: RecordView) -> list[_Sent]:
    try:
        return _SENT.decode(record.raw_hits)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # not the usual ones: each is looked at
        return [
            _Sent(_score(hit), hit.get("patent_id"), hit.get("patent_pn"), hit.get("title"), hit.get("url"))
            for hit in record.hits
        ]


def _detail(record: RecordView, patent_id: object) -> PatentDetail | None:
    return record.details.get(patent_id) if isinstance(patent_id, str) else None


def _score(hit: dict[str, Any]) -> float | None:
    score = hit.get("score")
    return float(score) if is_score(score) else None  # type: ignore[arg-type]
