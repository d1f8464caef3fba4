"""The selection of `pipeline retry`: open items that wait for one run only.

Those that the run does not reach are put back when it ends, or at the next start after a kill: an ordinary run must not
pay for what a person asked another one to pay for.
"""

from collections.abc import Sequence

from pipeline.errors import Code
from pipeline.journal.sql import changes
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import CHANGED, CHOOSABLE, CODE, FAILED, state_in
from pipeline.models import WAITING


def choose(db: Database, ords: Sequence[int]) -> frozenset[int]:
    """Let these items alone be worked on, for as long as this connection lasts.

    Failed and expired ones wait again, and so do those that only shared the outcome of one of them. Return those whose
    paid hits are of a picture that was replaced: they are searched anew, as their pictures are now.
    """
    db.do("CREATE TEMP TABLE chosen (ord INTEGER PRIMARY KEY)")
    for ord_ in ords:
        db.do("INSERT INTO chosen VALUES (?)", (ord_,))
    sharing = f"{FAILED} AND same_as IN (SELECT ord FROM chosen) AND {CODE} = ?"
    rows = db.do(
        f"SELECT ord FROM items WHERE (ord IN (SELECT ord FROM chosen) AND {CHOOSABLE}) OR ({sharing})",
        (Code.SAME_PICTURE,),
    ).fetchall()
    for (ord_,) in rows:
        db.do(
            "INSERT OR REPLACE INTO again SELECT ord, state, problem, segment, spooled_at FROM items WHERE ord = ?",
            (ord_,),
        )
        changes.requeue(db, ord_)
    anew = db.do(f"SELECT ord FROM again WHERE {CHANGED}").fetchall()
    db.only_chosen = " AND ord IN (SELECT ord FROM chosen)"
    return frozenset(int(ord_) for (ord_,) in anew)


def restore(db: Database) -> None:
    """Put back the items that were tried again and came to nothing, not even to hits."""
    rows = db.do(
        "SELECT ord, before.state, before.problem FROM again AS before JOIN items USING (ord) "
        f"WHERE {state_in(WAITING, 'items.state')} AND (items.segment IS NULL OR "
        "(items.segment, items.spooled_at) IS (before.segment, before.spooled_at))"
    ).fetchall()
    for ord_, state, problem in rows:
        db.change(ord_, "state = ?, problem = ?", (state, problem))
    db.do("DELETE FROM again")
