"""Items in doubt: which of them may be created once more, and what becomes of a doubt.

Runs in the writer's transaction. An item stays in doubt, in the journal, until the intent of its second create is
durable: whatever dies before that leaves it where it was. That it may be created again is reserved before anything is
sent, once per item and at most `most` times over the run directory's life.
"""

from pipeline.journal.sql.database import Store, Waiting
from pipeline.journal.sql.rows import SearchNote, SpoolRef
from pipeline.models import Calls, Problem, State

_BATCH = 32


def repeatable(store: Store, *, after: int, generation: int, most: int | None) -> list[Waiting]:
    """Some of the items in doubt beyond `after` that may be created once more, each with its doubt; [] = no more.

    With `most` None a person chose them.
    """
    found: list[Waiting] = []
    while most != 0 and not found:
        rows = store.waiting(State.IN_DOUBT, after=after, limit=_BATCH, generation=generation)
        if not rows:
            break
        after = rows[-1].work.ord
        found = [row for row in rows if most is None or _reserve(store, row.work.ord, most)]
    for row in found:
        row.work.doubt = store.standing(row.work.ord)[3]
    return found


def take_up(store: Store, ord_: int, doubt: Problem, *, at: float, risked: bool) -> None:
    """Let an item in doubt be created again; its problem stays until it is settled.

    The retry that the job allows is spent with it; `risked` when a person decided it. A create that is sent again by
    itself (api.errors) finds it taken up.
    """
    if store.standing(ord_)[1] is State.CREATING:
        return
    end_doubt(store, ord_)
    store.do("UPDATE risks SET spent = 1 WHERE ord = ?", (ord_,))
    if risked:
        decided(store, ord_, "retry", at=at, request_id=doubt.request_id)


def put_back(
    store: Store, ord_: int, doubt: Problem, *, calls: Calls, hits: tuple[SearchNote, SpoolRef] | None
) -> None:
    """Leave an item in its doubt: the second create was provably not executed, so its retry is not spent."""
    store.leave_open(ord_, State.IN_DOUBT, doubt, calls=calls, hits=hits)
    store.do("UPDATE risks SET spent = 0 WHERE ord = ?", (ord_,))


def hold(store: Store, ord_: int) -> None:
    """Let nothing but a person decide about this item from now on."""
    store.do("UPDATE risks SET spent = 1 WHERE ord = ?", (ord_,))


def end_doubt(store: Store, ord_: int) -> None:
    """Let an item in doubt wait again, with its hits where it still has them."""
    store.change("state = iif(segment IS NULL, 0, 1) WHERE ord = ? AND state = 21", (ord_,))


def decided(
    store: Store, ord_: int, decision: str, *, at: float, request_id: str | None, task_id: str | None = None
) -> None:
    """Keep what a person decided about an item in doubt."""
    store.do("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", (at, ord_, decision, request_id, task_id))


def _reserve(store: Store, ord_: int, most: int) -> bool:
    """Whether the job lets this item be created once more; what is granted here counts for good."""
    granted = int(store.do("SELECT count(*) FROM risks").fetchone()[0])
    row = store.do("SELECT spent FROM risks WHERE ord = ?", (ord_,)).fetchone()
    if row is not None:
        return not row[0] and granted <= most
    if granted >= most:
        return False
    store.do("INSERT INTO risks VALUES (?, 0)", (ord_,))
    return True
