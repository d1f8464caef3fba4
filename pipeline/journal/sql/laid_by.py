"""Records laid by: of tasks that are created, while their details are waited for.

A record that its item is not settled by was written before a kill; recovery settles the item by it.
"""

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import CREATING

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


def count(db: Database) -> int:
    """Count them; none in a journal of an earlier version that is only read."""
    if not db.has_table("laid_by"):
        return 0
    tasks = f"SELECT count(*) FROM laid_by JOIN items USING (ord) WHERE {CREATING}"
    return int(db.do(tasks).fetchone()[0])


def clear(db: Database) -> None:
    """Drop all of them: their items are settled."""
    db.do("DELETE FROM laid_by")
