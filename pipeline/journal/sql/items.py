"""Items as they stand, whatever their state: one by one, counted, and the open ones.

Items are in view when they are listed, and open ones that are paid for as long as they are open: summary.json, status,
open.jsonl and the page count and name these and no others. A row that was mended, or taken off the list before anything
came of it, leaves nothing behind.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import (
    CREATING,
    IN_DOUBT,
    OF_REPORT,
    OPEN,
    SETTLED,
    UNFINISHED,
    UNREADABLE,
    WAITING,
    WORK,
    Line,
    Waiting,
    hits_of,
    problem_of,
    waiting_of,
)
from pipeline.models import Item, Problem, State, Work

# The number of the last whole reading; an early version, and a journal that is being filled, may not have noted it yet.
_LAST = (
    "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'generation'), (SELECT max(generation) FROM items))"
)
LISTED = f"generation >= {_LAST}"
_PAID = f"(segment IS NOT NULL OR {IN_DOUBT} OR {CREATING} OR {OF_REPORT})"
IN_VIEW = f"({LISTED} OR (({OPEN} OR {CREATING}) AND {_PAID}))"


def find(db: Database, id_: str) -> tuple[int, State] | None:
    """Find the `ord` and state of an id."""
    row = db.do("SELECT ord, state FROM items WHERE id = ?", (id_,)).fetchone()
    return None if row is None else (int(row[0]), State(row[1]))


def find_waiting(db: Database, id_: str, source: str) -> tuple[int, bool] | None:
    """Find an id with this source that waits, or is in doubt; return its `ord`, and whether it waits."""
    row = db.do(
        f"SELECT ord, {WAITING} FROM items WHERE id = ? AND source = ? AND ({WAITING} OR {IN_DOUBT})", (id_, source)
    ).fetchone()
    return None if row is None else (int(row[0]), bool(row[1]))


def task_of(db: Database, id_: str) -> str | None:
    """Read the task of an id; None when it has none, or there is no such item."""
    row = db.do("SELECT task_id FROM items WHERE id = ?", (id_,)).fetchone()
    return None if row is None else row[0]


def explains_task(db: Database, id_: str, task_id: str) -> bool:
    """Return whether a line with this task may lie beyond the last known one: it is known, or of a create in doubt."""
    row = db.do(
        f"SELECT EXISTS (SELECT 1 FROM items WHERE id = ? AND ({CREATING} OR {IN_DOUBT} OR same_as IS NOT NULL)) OR "
        "EXISTS (SELECT 1 FROM items WHERE task_id = ?)",
        (id_, task_id),
    ).fetchone()
    return bool(row[0])


def had_doubt(db: Database, id_: str) -> bool:
    """Return whether an item is in doubt or on its way, was settled, or was decided about by a person or the job."""
    row = db.do(
        f"SELECT {IN_DOUBT} OR {CREATING} OR {OF_REPORT} OR {SETTLED} OR ord IN (SELECT ord FROM decisions) OR "
        "ord IN (SELECT ord FROM risks) FROM items WHERE id = ?",
        (id_,),
    ).fetchone()
    return row is not None and bool(row[0])


def standing(db: Database, ord_: int) -> tuple[str, State, Line | None, Problem | None]:
    """Read the id, state, line and problem of one item."""
    row = db.do("SELECT id, state, seq, offset, length, crc, problem FROM items WHERE ord = ?", (ord_,)).fetchone()
    line = None if row[2] is None else Line(*row[2:6])
    return row[0], State(row[1]), line, None if row[6] is None else problem_of(row[6])


class Asked(NamedTuple):
    """The picture of one item, and the search of it that is paid."""

    source: str
    local: bool
    sha256: str | None  # of a local picture as it was read last; None before that
    request_id: str | None  # of the search; None without one


def asked(db: Database, ord_: int) -> Asked:
    """Read what is asked of one item."""
    columns = "source, local, sha256, json_extract(search, '$.request_id')"
    source, local, *more = db.do(f"SELECT {columns} FROM items WHERE ord = ?", (ord_,)).fetchone()
    return Asked(source, bool(local), *more)


def work(db: Database, ord_: int) -> Waiting:
    """Read one item as something to work on."""
    return waiting_of(db.do(f"SELECT {WORK} FROM items WHERE ord = ?", (ord_,)).fetchone())


def open_items(
    db: Database, *, after: int, limit: int, repeated: Collection[int] = (), but: State | None = None
) -> list[tuple[Work, State, Problem]]:
    """Read open items in view beyond `after`, in order, but those in one state; their hits without the bytes.

    `repeated` are those in doubt that the next run creates once more (`doubts.repeated_by_itself`).
    """
    rows = db.do(
        f"SELECT {WORK}, {LISTED}, state, problem FROM items WHERE {OPEN} AND {IN_VIEW} AND ord > ? "
        "AND state IS NOT ? ORDER BY ord LIMIT ?",
        (after, but, limit),
    ).fetchall()
    found = []
    for row in rows:
        item, note, _ = waiting_of(row)
        item.hits = hits_of(note, b"[]") if note else None
        item.listed, item.repeats = bool(row[-3]), item.ord in repeated
        found.append((item, State(row[-2]), problem_of(row[-1])))
    return found


def counts(db: Database, *, generation: int | None = None) -> dict[State, int]:
    """Count items per state; with `generation`, those that are listed in it."""
    where = "" if generation is None else f"WHERE generation = {int(generation)}"
    rows = db.do(f"SELECT state, count(*) FROM items {where} GROUP BY state").fetchall()
    return {State(state): int(count) for state, count in rows}


def in_view(db: Database) -> tuple[dict[State, int], int]:
    """Count the items in view per state, and how many more were paid and are no longer listed."""
    rows = db.do(f"SELECT state, count(*) FROM items WHERE {IN_VIEW} GROUP BY state").fetchall()
    gone = db.do(f"SELECT count(*) FROM items WHERE NOT {IN_VIEW} AND ({SETTLED} OR {_PAID})").fetchone()[0]
    return {State(state): int(count) for state, count in rows}, int(gone)


def count_labelled_waiting(db: Database, label: str, value: str) -> int:
    """Count the items in view with this label that have not come to an end."""
    rows = db.do(
        f"SELECT count(*) FROM items WHERE {UNFINISHED} AND {IN_VIEW} "
        "AND EXISTS (SELECT 1 FROM json_each(items.labels) AS label WHERE label.key = ? AND label.value = ?)",
        (label, value),
    )
    return int(rows.fetchone()[0])


def with_zeros(db: Database, id_: str) -> list[str]:
    """List the ids that are this one but for zeros before it, which spreadsheets take away."""
    rows = db.do("SELECT id FROM items WHERE ltrim(id, '0') = ? AND id LIKE '0%' LIMIT 2", (id_,)).fetchall()
    return [str(row[0]) for row in rows]


class Listed(NamedTuple):
    """Counts of the items that a reading listed."""

    items: int
    unreadable: int  # that name no usable picture
    twins: int  # that share the picture of another item


def count_listed(db: Database, *, generation: int) -> Listed:
    """Count the items that were listed in a reading."""
    row = db.do(
        f"SELECT count(*), sum({UNREADABLE}), sum(same_as IS NOT NULL) FROM items WHERE generation = ?",
        (generation,),
    ).fetchone()
    return Listed(*(int(value or 0) for value in row))


def unreadable(db: Database, *, generation: int) -> Iterator[Item]:
    """Yield the items that were listed in a reading and name no usable picture, each with its problem."""
    rows = db.do(
        f"SELECT {WORK}, problem FROM items WHERE {UNREADABLE} AND generation = ? ORDER BY ord",
        (generation,),
    )
    while (row := rows.fetchone()) is not None:
        yield replace(waiting_of(row).work.item, problem=problem_of(row[-1]))


def in_segments(db: Database) -> list[tuple[int, int]]:
    """Count, per segment of the spool, the items that have hits in it."""
    found: list[tuple[int, int]] = db.do(
        "SELECT segment, count(*) FROM items WHERE segment IS NOT NULL GROUP BY segment"
    ).fetchall()
    return found
