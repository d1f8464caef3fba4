"""The lines of results.jsonl as the journal knows them."""

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line

_LINE = "SELECT seq, offset, length, crc FROM items WHERE"


def last(db: Database) -> Line | None:
    """Read the place of the last line."""
    row = db.do(f"{_LINE} seq IS NOT NULL ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else Line(*row)


def following(db: Database, seq: int, *, limit: int) -> list[Line]:
    """Read the places of lines beyond number `seq`, in order."""
    return [Line(*row) for row in db.do(f"{_LINE} seq > ? ORDER BY seq LIMIT ?", (seq, limit)).fetchall()]


def backwards(db: Database, seq: int, *, limit: int) -> list[Line]:
    """Read the places of lines from number `seq` on, backwards."""
    return [Line(*row) for row in db.do(f"{_LINE} seq <= ? ORDER BY seq DESC LIMIT ?", (seq, limit)).fetchall()]
