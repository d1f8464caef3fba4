"""Tasks of a run directory taken into the journal of the reports that are collected for it.

That journal knows items by their ids alone: the numbers of a run's items change when its journal is made anew. An item
is taken in once, with its task and the place of its record; whatever became of it since stays as it is.
"""

import json
from collections.abc import Container, Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import IN_VIEW
from pipeline.journal.sql.reports import awaiting
from pipeline.journal.sql.rows import CREATING, Line, SearchNote, SpoolRef, packed, state_in
from pipeline.models import WAITING, State, Task
from pipeline.reports import TaskNote
from pipeline.system.structs import decode

GENERATION = 1  # of all items that are taken in: whatever the job lists by now, their tasks are paid
COPIED = (
    *("id", "source", "local", "origin", "labels", "source_key", "picture"),
    *("url", "url_expires", "sha256", "search", "task_id", "task_at"),
)
_COPIED = ", ".join(COPIED)
# What became of an item whose task was taken in: one that is paid anew stands where it stood until there is more.
_STANDING = (
    f"CASE WHEN {state_in(WAITING, 'items.state')} THEN coalesce(again.state, items.state) "
    f"WHEN {CREATING.replace('state', 'items.state')} THEN {State.IN_DOUBT:d} ELSE items.state END"
)


class PaidRow(NamedTuple):
    """A task of a run directory: its number among the records, the columns of its item, and where its record lies."""

    seq: int
    columns: tuple[Any, ...]
    line: Line

    @property
    def task(self) -> Task:
        """The task."""
        return Task(*self.columns[-2:])


def paid(db: Database, *, after: int, since: float, limit: int) -> list[PaidRow]:
    """Read tasks of a run directory whose records lie beyond number `after`, in order, without those of twins.

    Those that were dead at `since`, when the job first asked for them to be read, are left out.
    """
    rows = db.do(
        f"SELECT seq, offset, length, crc, {_COPIED} FROM items WHERE seq > ?1 AND {state_in((State.TASKED,))} "
        "AND same_as IS NULL AND task_id IS NOT NULL AND task_at > ?2 ORDER BY seq LIMIT ?3",
        (after, since, limit),
    ).fetchall()
    return [PaidRow(row[0], tuple(row[4:]), Line(*row[:4])) for row in rows]


def take_in(db: Database, rows: Sequence[PaidRow], *, note: TaskNote) -> int:
    """Enter the tasks that are not known yet, to be asked for their reports; return how many these were."""
    new = 0
    values = ", ".join("?" * len(COPIED))
    for row in rows:
        new += db.do(
            f"INSERT INTO items ({_COPIED}, generation, state, problem, report) VALUES ({values}, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO NOTHING",
            (*row.columns, GENERATION, int(State.REPORT_PENDING), packed(awaiting(row.task)), packed(note)),
        ).rowcount
        # Also of one that is known: a journal that was made anew knows no places.
        db.do(
            "INSERT OR IGNORE INTO collected SELECT ord, task_id, ?, ?, ? FROM items WHERE id = ? AND task_id = ?",
            (*row.line[1:], row.columns[0], row.task.task_id),
        )
    return new


def line_of(db: Database, ord_: int) -> tuple[Line, bool] | None:
    """Find an item's record in the run, and whether its task is still that one: it may be paid anew here."""
    row = db.do(
        "SELECT place.offset, place.length, place.crc, place.task_id = items.task_id FROM collected AS place "
        "JOIN items USING (ord) WHERE ord = ?",
        (ord_,),
    ).fetchone()
    return None if row is None else (Line(0, *row[:3]), bool(row[3]))


def without_hits(db: Database, state: State) -> list[int]:
    """List the items in this state whose search the run paid, and whose hits are not in the spool here."""
    rows = db.do(
        f"SELECT ord FROM items WHERE {state_in((state,))} AND segment IS NULL AND search IS NOT NULL ORDER BY ord"
    ).fetchall()
    return [int(ord_) for (ord_,) in rows]


def note_of(db: Database, ord_: int) -> SearchNote:
    """Read what is noted of an item's search."""
    (note,) = db.do("SELECT search FROM items WHERE ord = ?", (ord_,)).fetchone()
    return decode(note, SearchNote)


def bring(db: Database, ord_: int, ref: SpoolRef) -> None:
    """Note where the hits of an item lie now."""
    db.change(ord_, "segment = ?, spooled_at = ?, spooled = ?", ref)


def became(db: Database, *, after: int, limit: int) -> list[tuple[int, str, State]]:
    """Read the items beyond `after`, in order, of whose tasks something became: number, id and state.

    Those whose reports are still awaited are left out.
    """
    rows = db.do(
        f"SELECT * FROM (SELECT items.ord AS ord, id, {_STANDING} AS standing FROM items LEFT JOIN again "
        f"ON again.ord = items.ord WHERE items.ord > ?) WHERE standing <> {State.REPORT_PENDING:d} "
        "ORDER BY ord LIMIT ?",
        (after, limit),
    ).fetchall()
    return [(int(ord_), str(id_), State(state)) for ord_, id_, state in rows]


def count_of(db: Database, ids: Sequence[str]) -> tuple[int, int]:
    """Count a run's items with the tasks of these items, twins included: those in view, and the others."""
    firsts = "(SELECT ord FROM items WHERE id IN (SELECT value FROM json_each(?1)))"
    tasked = state_in((State.TASKED,))
    in_view, all_ = db.do(
        f"SELECT coalesce(sum({IN_VIEW}), 0), count(*) FROM (SELECT * FROM items WHERE ord IN {firsts} AND {tasked} "
        f"UNION ALL SELECT * FROM items WHERE same_as IN {firsts} AND {tasked})",
        (json.dumps(list(ids)),),
    ).fetchone()
    return int(in_view), int(all_) - int(in_view)


def lines_with(db: Database, id_: str) -> list[Line]:
    """Find the records of a run with the task of an item: its own, and those of its twins."""
    rows = db.do(
        f"SELECT seq, offset, length, crc FROM items WHERE {state_in((State.TASKED,))} AND (id = ?1 OR same_as = "
        "(SELECT ord FROM items WHERE id = ?1)) ORDER BY ord",
        (id_,),
    ).fetchall()
    return [Line(*row) for row in rows]


def unread(db: Database, *, but: Container[str], since: float) -> Iterator[float]:
    """Yield when the tasks of a run were created, the earliest first, `but` those of these items."""
    rows = db.do(
        f"SELECT id, task_at FROM items WHERE {state_in((State.TASKED,))} AND same_as IS NULL AND task_at > ? "
        "ORDER BY task_at",
        (since,),
    )
    while (row := rows.fetchone()) is not None:
        if row[0] not in but:
            yield float(row[1])


def ids(db: Database) -> frozenset[str]:
    """Name all items that were taken in."""
    return frozenset(str(id_) for (id_,) in db.do("SELECT id FROM items").fetchall())


def pending(db: Database, *, since: float) -> list[float]:
    """List when the tasks were created that are taken in, or paid for anew, and whose reports are awaited."""
    rows = db.do(f"SELECT task_at FROM items WHERE {state_in((State.REPORT_PENDING,))} AND task_at > ?", (since,))
    return [float(at) for (at,) in rows.fetchall()]
