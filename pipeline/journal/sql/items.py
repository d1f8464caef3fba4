"""Items as they stand, whatever their state: one by one, counted, and the open ones."""

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import OPEN, WORK, Line, Waiting, hits_of, problem_of, waiting_of
from pipeline.models import Problem, State, Work


def find(db: Database, id_: str) -> tuple[int, State] | None:
    """Find the `ord` and state of an id."""
    row = db.do("SELECT ord, state FROM items WHERE id = ?", (id_,)).fetchone()
    return None if row is None else (int(row[0]), State(row[1]))


def standing(db: Database, ord_: int) -> tuple[str, State, Line | None, Problem | None]:
    """Read the id, state, line and problem of one item."""
    row = db.do("SELECT id, state, seq, offset, length, crc, problem FROM items WHERE ord = ?", (ord_,)).fetchone()
    line = None if row[2] is None else Line(*row[2:6])
    return row[0], State(row[1]), line, None if row[6] is None else problem_of(row[6])


def work(db: Database, ord_: int) -> Waiting:
    """Read one item as something to work on."""
    return waiting_of(db.do(f"SELECT {WORK} FROM items WHERE ord = ?", (ord_,)).fetchone())


def open_items(db: Database, *, after: int, limit: int) -> list[tuple[Work, State, Problem]]:
    """Read open items beyond `after`, in order; their hits without the bytes."""
    rows = db.do(
        f"SELECT {WORK}, state, problem FROM items WHERE {OPEN} AND ord > ? ORDER BY ord LIMIT ?",
        (after, limit),
    ).fetchall()
    found = []
    for row in rows:
        item, note, _ = waiting_of(row)
        item.hits = hits_of(note, b"[]") if note else None
        found.append((item, State(row[-2]), problem_of(row[-1])))
    return found


def counts(db: Database, *, generation: int | None = None) -> dict[State, int]:
    """Count items per state; with `generation`, those that are listed in it."""
    where = "" if generation is None else f"WHERE generation = {int(generation)}"
    rows = db.do(f"SELECT state, count(*) FROM items {where} GROUP BY state").fetchall()
    return {State(state): int(count) for state, count in rows}


def in_segments(db: Database) -> list[tuple[int, int]]:
    """Count, per segment of the spool, the items that have hits in it."""
    found: list[tuple[int, int]] = db.do(
        "SELECT segment, count(*) FROM items WHERE segment IS NOT NULL GROUP BY segment"
    ).fetchall()
    return found
