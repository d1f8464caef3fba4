"""Items in doubt: which of them may be created once more, what becomes of a doubt, and what a person decides.

An item stays in doubt, in the journal, until the intent of its second create is durable: whatever dies before that
leaves it where it was. That it may be created again is reserved before anything is sent, once per item and at most
`most` times over the run directory's life.
"""

from collections.abc import Collection

from pipeline.errors import Code
from pipeline.journal.sql import changes, items, waiting
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import CREATING, IN_DOUBT, WAITS_AGAIN, PaidHits, Waiting, calls_of, problem_of
from pipeline.models import Calls, Problem, State
from pipeline.system.clock import iso

_BATCH = 32


def repeatable(db: Database, *, after: int, generation: int, most: int | None) -> list[Waiting]:
    """Read some of the items in doubt beyond `after` that may be created once more, each with its doubt; [] = no more.

    With `most` None a person chose them.
    """
    found: list[Waiting] = []
    while most != 0 and not found:
        rows = waiting.batch(db, State.IN_DOUBT, after=after, limit=_BATCH, generation=generation)
        if not rows:
            break
        after = rows[-1].work.ord
        found = [row for row in rows if most is None or _reserve(db, row.work.ord, most)]
    for row in found:
        row.work.doubt = items.standing(db, row.work.ord)[3]
    return found


def intended_at(db: Database) -> list[float]:
    """Read when the creates in doubt were about to be sent (epoch seconds), as far as that is known."""
    rows = db.do(f"SELECT intent_at FROM items WHERE {IN_DOUBT} AND intent_at IS NOT NULL").fetchall()
    return [float(at) for (at,) in rows]


def repeated_by_itself(db: Database, *, most: int) -> set[int]:
    """Find the items in doubt that the next run creates once more because the job says so; nothing is reserved."""
    if not most or not db.has_table("risks"):
        return set()
    granted = int(db.do("SELECT count(*) FROM risks").fetchone()[0])
    rows = db.do(
        f"SELECT ord, spent FROM items LEFT JOIN risks USING (ord) WHERE {IN_DOUBT} AND same_as IS NULL "
        f"AND {items.LISTED} ORDER BY ord"
    ).fetchall()
    new = [ord_ for ord_, spent in rows if spent is None][: max(0, most - granted)]
    old = [ord_ for ord_, spent in rows if spent == 0 and granted <= most]
    return {*new, *old}


def take_up(db: Database, ord_: int, doubt: Problem, *, at: float, risked: bool) -> None:
    """Let an item in doubt be created again; its problem stays until it is settled.

    The retry that the job allows is spent with it; `risked` when a person decided it. A create that is sent again by
    itself (api.errors) finds it taken up.
    """
    if items.standing(db, ord_)[1] is State.CREATING:
        return
    end(db, ord_)
    leave_to_person(db, ord_)
    if risked:
        decide(db, ord_, "retry", at=at, request_id=doubt.request_id)


def put_back(db: Database, ord_: int, doubt: Problem, *, calls: Calls, hits: PaidHits | None) -> None:
    """Leave an item in its doubt: the second create was provably not executed, so its retry is not spent.

    One that was not even begun (the run ended before) has spent nothing; what was spent before stays so.
    """
    begun = items.standing(db, ord_)[1] is State.CREATING
    changes.leave_open(db, ord_, State.IN_DOUBT, doubt, calls=calls, hits=hits)
    if begun:
        db.do("UPDATE risks SET spent = 0 WHERE ord = ?", (ord_,))


def take_back(db: Database, ord_: int, *, calls: Calls) -> None:
    """Take back the intent of a create that was provably not executed, as the journal alone knows its item."""
    _, _, _, doubt = items.standing(db, ord_)
    if doubt is not None:
        put_back(db, ord_, doubt, calls=calls, hits=None)
    else:
        changes.put_back(db, ord_, calls=calls, hits=None)


def leave_to_person(db: Database, ord_: int) -> None:
    """Let only a person decide about this item from now on: the retry that the job allows is used up."""
    db.do("UPDATE risks SET spent = 1 WHERE ord = ?", (ord_,))


def leave_all_to_person(db: Database) -> None:
    """Let only a person decide about all items in doubt, also about those that were granted no retry yet."""
    db.do(f"INSERT OR REPLACE INTO risks SELECT ord, 1 FROM items WHERE {IN_DOUBT}")


def end(db: Database, ord_: int) -> None:
    """Let an item in doubt wait again, with its hits where it still has them."""
    db.change(ord_, f"state = {WAITS_AGAIN}", only=IN_DOUBT)


def begin_for_unfinished(db: Database) -> int:
    """Put every create without an outcome in doubt; return how many that were."""
    rows = db.do(f"SELECT ord, intent, intent_at, calls, problem FROM items WHERE {CREATING}").fetchall()
    for ord_, intent, at, calls, before in rows:
        message = f"the run ended while this create was on its way ({iso(at)}); it may exist at the vendor and be paid"
        problem = Problem("create", Code.INTERRUPTED, message, "in_doubt", False, request_id=intent)
        if before is not None:
            problem = problem.with_earlier(problem_of(before))
        changes.leave_open(db, ord_, State.IN_DOUBT, problem, calls=calls_of(calls))
    return len(rows)


def not_executed(db: Database, known: Collection[tuple[str, str]]) -> int:
    """Count the creates without an outcome that are among these: ids of items, each with a request id."""
    rows = db.do(f"SELECT id, intent FROM items WHERE {CREATING}").fetchall()
    return sum((id_, intent) in known for id_, intent in rows)


def ids(db: Database) -> list[str]:
    """List the ids of the items in doubt, in order."""
    return [id_ for _, id_ in listed(db)]


def listed(db: Database) -> list[tuple[int, str]]:
    """List the `ord` and id of each item in doubt, in order."""
    found: list[tuple[int, str]] = db.do(f"SELECT ord, id FROM items WHERE {IN_DOUBT} ORDER BY ord").fetchall()
    return found


def intent(db: Database, ord_: int) -> tuple[str | None, float | None]:
    """Read the request id of an item's last create, and when it was asked for."""
    row: tuple[str | None, float | None] = db.do(
        "SELECT intent, intent_at FROM items WHERE ord = ?", (ord_,)
    ).fetchone()
    return row


def owners(db: Database, task_ids: Collection[str]) -> dict[str, str]:
    """Find which of these task ids are some item's already, and whose."""
    if not task_ids:
        return {}
    rows = db.do("SELECT task_id, id FROM items WHERE task_id IS NOT NULL").fetchall()
    return {task_id: id_ for task_id, id_ in rows if task_id in task_ids}


def decide(
    db: Database, ord_: int, decision: str, *, at: float, request_id: str | None, task_id: str | None = None
) -> None:
    """Keep what a person decided about an item in doubt."""
    db.do("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", (at, ord_, decision, request_id, task_id))


def _reserve(db: Database, ord_: int, most: int) -> bool:
    """Return whether the job lets this item be created once more; what is granted here counts for good."""
    granted = int(db.do("SELECT count(*) FROM risks").fetchone()[0])
    row = db.do("SELECT spent FROM risks WHERE ord = ?", (ord_,)).fetchone()
    if row is not None:
        return not row[0] and granted <= most
    if granted >= most:
        return False
    db.do("INSERT INTO risks VALUES (?, 0)", (ord_,))
    return True
