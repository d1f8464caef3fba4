"""Open items that a person has tried again: they wait while that run lasts, and those it does not come to stay open.

Runs in the writer's transaction. What an item was is kept until the run ends, or until the next start if it was killed:
an ordinary run must not pay for what a person asked another one to pay for.
"""

from collections.abc import Sequence

from pipeline.errors import Code
from pipeline.journal.sql.database import Store


def choose(store: Store, ords: Sequence[int]) -> None:
    """Let these items alone be worked on, for as long as this connection lasts.

    Failed and expired ones wait again, and so do those that only shared the outcome of one of them.
    """
    store.do("CREATE TEMP TABLE chosen (ord INTEGER PRIMARY KEY)")
    for ord_ in ords:
        store.do("INSERT INTO chosen VALUES (?)", (ord_,))
    open_ = "state IN (20, 22)"
    sharing = "state = 20 AND same_as IN (SELECT ord FROM chosen) AND json_extract(problem, '$.code') = ?"
    rows = store.do(
        f"SELECT ord FROM items WHERE (ord IN (SELECT ord FROM chosen) AND {open_}) OR ({sharing})",  # noqa: S608
        (Code.SAME_PICTURE,),
    ).fetchall()
    for (ord_,) in rows:
        store.do(
            "INSERT OR REPLACE INTO again SELECT ord, state, problem, segment, spooled_at FROM items WHERE ord = ?",
            (ord_,),
        )
        store.requeue(ord_)
    store.among = "AND ord IN (SELECT ord FROM chosen)"


def restore(store: Store) -> int:
    """Put back what was tried again and came to nothing, not even to hits; return how many items that were."""
    rows = store.do(
        "SELECT ord, again.state, again.problem FROM again JOIN items USING (ord) WHERE items.state < 2 "
        "AND (items.segment IS NULL OR (items.segment, items.spooled_at) IS (again.segment, again.spooled_at))"
    ).fetchall()
    for ord_, state, problem in rows:
        store.change("state = ?, problem = ? WHERE ord = ?", (state, problem, ord_))
    store.do("DELETE FROM again")
    return len(rows)
