"""Records laid by: of tasks that are created, while their details are waited for.

A record that its item is not settled by was written before a kill; recovery settles the item by it.
"""

from pipeline.journal.sql.database import Database

TABLE = "CREATE TABLE IF NOT EXISTS laid_by (ord INTEGER PRIMARY KEY, line BLOB NOT NULL)"


def put(db: Database, ord_: int, line: bytes) -> None:
    """Lay the record of an item by."""
    db.do("INSERT OR REPLACE INTO laid_by VALUES (?, ?)", (ord_, line))


def drop(db: Database, ord_: int) -> None:
    """Drop the record of an item that is settled."""
    db.do("DELETE FROM laid_by WHERE ord = ?", (ord_,))


def lines(db: Database) -> list[bytes]:
    """Read the records that are laid by, in order."""
    return [bytes(line) for (line,) in db.do("SELECT line FROM laid_by ORDER BY ord").fetchall()]


def clear(db: Database) -> None:
    """Drop all of them: their items are settled."""
    db.do("DELETE FROM laid_by")
