"""The records that the page shows, with their best hits; of the others only what the page counts is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipeline.results.page.view import OPEN_WORDS, SETTLED_WORDS
from pipeline.results.reading import RecordView

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


@dataclass(slots=True)
class Entries:
    """The records to show, and counts of all that were given."""

    open: list[Entry] = field(default_factory=list)
    settled: list[Entry] = field(default_factory=list)
    unreadable: int = 0  # lines that are no record
    first_expiry: str = ""  # ISO 8601, of the tasks in these records; empty when there is none


def read_entries(records: Iterable[RecordView | None], *, most: int) -> Entries:
    """Keep the first `most` records, open ones before settled ones; None stands for a line that is no record."""
    entries = Entries()
    for record in records:
        try:
            _add(record, entries, most)
        except ValueError:
            entries.unreadable += 1
    del entries.settled[max(0, most - len(entries.open)) :]
    return entries


def _add(record: RecordView | None, entries: Entries, most: int) -> None:
    if record is None or record.status not in (*SETTLED_WORDS, *OPEN_WORDS):
        raise ValueError("no record, or one with a status of a later version")
    shown = entries.open if record.status in OPEN_WORDS else entries.settled
    if len(shown) < most:
        shown.append(Entry(record.without_hits(), _best_hits(record)))
    if record.task and record.task.expires_at:
        entries.first_expiry = min(entries.first_expiry or record.task.expires_at, record.task.expires_at)


def _best_hits(record: RecordView) -> list[Hit]:
    hits = [Hit(_score(hit), hit.get("patent_pn"), hit.get("title"), hit.get("url")) for hit in record.hits]
    # The vendor sorts by score unless the job asks for dates; the page always shows the most alike.
    hits.sort(key=lambda hit: -1.0 if hit.score is None else hit.score, reverse=True)
    return hits[:TOP_HITS]


def _score(hit: dict[str, Any]) -> float | None:
    score = hit.get("score")
    return float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None
