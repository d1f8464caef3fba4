"""Reads the lines of results.jsonl and open.jsonl, one at a time, and keeps what the page shows of the first ones."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from pipeline.results.page.view import OPEN_WORDS, SETTLED_WORDS

TOP_HITS = 5


class _BriefTask(msgspec.Struct):
    expires_at: str = ""


class _Brief(msgspec.Struct):
    """What is looked at in every line, shown or not."""

    status: str
    task: _BriefTask | None = None


class ImageLine(msgspec.Struct):
    """The picture that was searched."""

    source: str
    labels: dict[str, str] = {}


class SearchLine(msgspec.Struct):
    """What the search brought: `hits` of `total` at the vendor."""

    total: int = 0
    hits: int = 0
    truncated: bool = False


class TaskLine(msgspec.Struct):
    """The task at the vendor, with `hits` in it."""

    task_id: str
    hits: int = 0
    hits_dropped: int = 0
    expires_at: str = ""


class ErrorLine(msgspec.Struct):
    """Why an item is open."""

    stage: str = ""
    code: str = ""
    message: str = ""
    retryable: bool = False
    request_id: str | None = None
    correlation_id: str | None = None


class HitLine(NamedTuple):
    """One hit; the vendor's values, of any type."""

    score: float | None
    number: Any
    title: Any
    url: Any


class _Line(msgspec.Struct):
    """The part of a record that the page shows; unknown fields are passed over."""

    item: str
    status: str
    image: ImageLine
    search: SearchLine | None = None
    task: TaskLine | None = None
    error: ErrorLine | None = None
    same_as: str | None = None
    hits: list[Any] = []


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to show, with its first hits by score."""

    item: str
    status: str
    image: ImageLine
    search: SearchLine | None
    task: TaskLine | None
    error: ErrorLine | None
    same_as: str | None
    hits: list[HitLine]


@dataclass(slots=True)
class Entries:
    """The records to show, and what was noted of all of them: `unreadable` lines, when the first task expires."""

    open: list[Entry] = field(default_factory=list)
    settled: list[Entry] = field(default_factory=list)
    unreadable: int = 0
    first_expiry: str = ""


_BRIEF = msgspec.json.Decoder(_Brief)
_LINE = msgspec.json.Decoder(_Line)


def read_entries(records: Iterable[bytes], *, most: int) -> Entries:
    """Read all lines; keep the first `most`, open ones before settled ones.

    A line that cannot be read is counted: the page must not fail over it.
    """
    entries = Entries()
    for record in records:
        try:
            _take(record, entries, most)
        except (ValueError, RecursionError):  # msgspec's errors and broken UTF-8 are ValueErrors
            entries.unreadable += 1
    del entries.settled[max(0, most - len(entries.open)) :]
    return entries


def _take(record: bytes, entries: Entries, most: int) -> None:
    brief = _BRIEF.decode(record)
    if brief.status not in SETTLED_WORDS and brief.status not in OPEN_WORDS:
        raise ValueError("an unknown status")
    wanted = entries.open if brief.status in OPEN_WORDS else entries.settled
    if len(wanted) < most:
        wanted.append(_entry(_LINE.decode(record)))
    if brief.task and brief.task.expires_at:
        entries.first_expiry = min(entries.first_expiry or brief.task.expires_at, brief.task.expires_at)


def _entry(line: _Line) -> Entry:
    hits = [_hit(hit) for hit in line.hits if isinstance(hit, dict)]
    # The vendor sorts by score unless the job asks for dates; the page always shows the most alike.
    hits.sort(key=lambda hit: -1.0 if hit.score is None else hit.score, reverse=True)
    return Entry(line.item, line.status, line.image, line.search, line.task, line.error, line.same_as, hits[:TOP_HITS])


def _hit(hit: dict[str, Any]) -> HitLine:
    score = hit.get("score")
    number = float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None
    return HitLine(number, hit.get("patent_pn"), hit.get("title"), hit.get("url"))
