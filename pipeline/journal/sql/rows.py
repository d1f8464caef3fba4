"""Values as the journal's rows hold them, and the names of states in SQL: nowhere else is a state's number spelled."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline import models
from pipeline.errors import Code
from pipeline.models import Calls, Hits, Item, Problem, State, Upload, Work
from pipeline.paging import PagedHits, Paging, paging_of
from pipeline.system.structs import decode


def state_in(states: Iterable[State], column: str = "state") -> str:
    """Write the condition that `column` holds one of these states."""
    return f"{column} IN ({', '.join(f'{state:d}' for state in states)})"


# Conditions on `state`.
WAITING = state_in(models.WAITING)
SETTLED = state_in(models.SETTLED)
OPEN = state_in(models.OPEN)
UNFINISHED = state_in(models.UNFINISHED)
CREATING = state_in((State.CREATING,))
FAILED = state_in((State.FAILED,))
IN_DOUBT = state_in((State.IN_DOUBT,))
RETRYABLE = state_in((State.FAILED, State.EXPIRED))
OF_REPORT = state_in(models.OF_REPORT)
CHOOSABLE = state_in((State.FAILED, State.EXPIRED, State.REPORT_FAILED, State.REPORT_LOST))  # by a person
RETRIED_BY_ITSELF = f"({RETRYABLE} AND (NOT {FAILED} OR json_extract(problem, '$.retryable')))"  # by the next run
UNREADABLE = f"({FAILED} AND json_extract(problem, '$.stage') = 'read')"  # names no usable picture
CODE = "json_extract(problem, '$.code')"
CHANGED = f"coalesce({CODE} = '{Code.CHANGED}', 0)"
SEARCHED_AT = "json_extract(search, '$.at')"

# Values for `state`.
WAITS_AGAIN = f"iif(segment IS NULL, {State.PENDING:d}, {State.SEARCHED:d})"  # with its hits where it still has them
CREATE_TAKEN_BACK = f"iif({CREATING}, {WAITS_AGAIN}, state)"
HITS_LOST = f"iif({IN_DOUBT}, state, {State.PENDING:d})"  # a doubt stays a doubt

NO_PICTURE = -1  # a `source_key`

# The columns that `waiting_of` reads.
WORK = "ord, id, source, local, origin, labels, calls, url, url_expires, sha256, search, segment, spooled_at, spooled"


class Line(NamedTuple):
    """The place of a record in results.jsonl: its number from 0, offset, length with the line break, and CRC-32."""

    seq: int
    offset: int
    length: int
    crc: int


class SpoolRef(NamedTuple):
    """The place of hits in the spool: segment number, offset and size in bytes."""

    segment: int
    offset: int
    size: int


class SearchNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of a search but its hits' bytes. `complete` is empty when all hits are complete, as they mostly are."""

    scores: tuple[float | None, ...]
    complete: tuple[bool, ...]
    total: int
    request_id: str
    at: float
    endpoint: str = ""
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    paging: Paging | None = None  # of a search of several pages
    reused_from: tuple[str, str] | None = None  # the run directory and its item whose search it is


PaidHits = tuple[SearchNote, SpoolRef]


class Waiting(NamedTuple):
    """An item to work on, and the note and place of its hits, if they are paid."""

    work: Work
    note: SearchNote | None
    spool: SpoolRef | None


def note_of(hits: Hits) -> SearchNote:
    """Take the note of a search from its hits."""
    asked = (hits.endpoint, dict(hits.params))
    complete = () if all(hits.complete) else hits.complete
    return SearchNote(
        hits.scores, complete, hits.total, hits.request_id, hits.at, *asked, paging_of(hits), hits.reused_from
    )


def hits_of(note: SearchNote, array: bytes) -> Hits:
    """Put hits together again, from the journal's note and the spool's bytes."""
    complete = note.complete or (True,) * len(note.scores)
    asked = (note.endpoint, note.params, note.reused_from)
    hits = Hits(array, note.scores, complete, note.total, note.request_id, note.at, *asked)
    return hits if note.paging is None else PagedHits.of(hits, note.paging)


def noted_hits(search: str) -> Hits:
    """Read the hits of a note back, without their bytes."""
    return hits_of(decode(search, SearchNote), b"[]")


def waiting_of(row: Sequence[Any]) -> Waiting:
    """Read a row that begins with the columns of `WORK`."""
    ord_, id_, source, local, origin, labels, calls, url, expires, sha256, search, *where = row[:14]
    item = Item(id_, source, bool(local), origin, decode(labels, dict[str, str]))
    work = Work(
        ord=ord_,
        item=item,
        calls=calls_of(calls),
        upload=Upload(url, expires) if url else None,
        sha256=sha256,
    )
    if search is None or where[0] is None:
        return Waiting(work, None, None)
    return Waiting(work, decode(search, SearchNote), SpoolRef(*where))


def packed(value: object) -> str:
    """Write a value as JSON text."""
    return msgspec.json.encode(value).decode()


def calls_of(text: str) -> Calls:
    """Read an item's calls back."""
    return decode(text, Calls)


def problem_of(text: str) -> Problem:
    """Read a problem back."""
    return decode(text, Problem)
