"""Items that share a picture, in a rebuilt journal: the whole line of one stands for those whose row or line is lost.

Nothing is sent twice for them, and nothing that one of their lines says is in doubt.
"""

from pipeline.errors import Code
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import SETTLED, UNFINISHED, packed
from pipeline.models import Problem, State

_NO_DOUBT = f"state = {State.PENDING:d}, problem = NULL, segment = NULL, spooled_at = NULL, spooled = NULL"


def link_twins(db: Database) -> None:
    """Link the items of each picture again; to be called inside the transaction, with `lines` filled and every row in.

    1. The first item of a picture is gone, with its row and its line: the first of its twins with a line takes its
       place, else the first of all, which is in doubt: its picture may have been created.
    2. The first item lost its line, and the line of a twin says that it came to nothing that is paid for later: the two
       change places, so that the next run gives the first item the outcome without a call.
    """
    for (gone,) in db.do(
        "SELECT DISTINCT same_as FROM items WHERE same_as IS NOT NULL AND same_as NOT IN (SELECT ord FROM items)"
    ).fetchall():
        heir = db.do(
            "SELECT ord FROM items WHERE same_as = ? ORDER BY seq IS NULL, ord LIMIT 1",
            (gone,),
        ).fetchone()[0]
        _lead(db, heir, gone)
        message = "the journal was damaged: nobody knows whether a task was created for its picture"
        doubt = Problem("create", Code.REPAIRED, message, "in_doubt", False)
        db.do(
            f"UPDATE items SET state = {State.IN_DOUBT:d}, problem = ? WHERE ord = ? AND {UNFINISHED}",
            (packed(doubt), heir),
        )
    for first, twin in db.do(
        "SELECT first.ord, min(twin.ord) FROM items AS first JOIN items AS twin ON twin.same_as = first.ord "
        "JOIN lines ON lines.id = twin.id AND lines.same_as = first.id "
        f"WHERE first.seq IS NULL AND twin.seq IS NOT NULL AND twin.state <> {State.TASKED:d} GROUP BY first.ord"
    ).fetchall():
        _lead(db, twin, first)
        db.do(f"UPDATE items SET same_as = ?, {_NO_DOUBT} WHERE ord = ?", (twin, first))


def _lead(db: Database, heir: int, before: int) -> None:
    """Let an item lead the items of its picture; from then on the task in its line is its own."""
    db.do("UPDATE items SET same_as = ? WHERE same_as = ?", (heir, before))
    db.do(
        "UPDATE items SET (task_id, task_at) = (SELECT task_id, task_at FROM lines WHERE lines.id = items.id) "
        f"WHERE ord = ? AND {SETTLED}",
        (heir,),
    )
    db.do("UPDATE items SET same_as = NULL WHERE ord = ?", (heir,))
