"""A record as the page shows it, with its best hits alone."""

from typing import Any, NamedTuple

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


def entry_of(record: RecordView, *, top: int = TOP_HITS) -> Entry:
    """Take the best hits of a record."""
    hits = [Hit(_score(hit), hit.get("patent_pn"), hit.get("title"), hit.get("url")) for hit in record.hits]
    # The vendor sorts by score unless the job asks for dates; the page always shows the most alike.
    hits.sort(key=lambda hit: -1.0 if hit.score is None else hit.score, reverse=True)
    return Entry(record.without_hits(), hits[:top])


def _score(hit: dict[str, Any]) -> float | None:
    score = hit.get("score")
    return float(score) if is_score(score) else None  # type: ignore[arg-type]
