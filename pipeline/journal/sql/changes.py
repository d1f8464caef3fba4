"""Changes of an item's state.

All that a settled line needs (state, task id, seq, offset, length, CRC) is one row, so that no crash can come between
its parts: an earlier design with two rows lost lines once in a hundred kills.
"""

import functools
import re
from collections.abc import Sequence
from typing import Any

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import (
    CHOOSABLE,
    CREATE_TAKEN_BACK,
    CREATING,
    HITS_LOST,
    OF_REPORT,
    RETRIED_BY_ITSELF,
    UNFINISHED,
    WAITS_AGAIN,
    Line,
    PaidHits,
    packed,
    state_in,
)
from pipeline.journal.sql.twins import source_key
from pipeline.models import CONTENT, Calls, Problem, State, Task, Upload

# How the statement begins that takes items a step on. `$n` is the n-th value of a step. One that is NULL keeps what is
# there; but a line (`$3` and those that follow) ends all that an item needed on its way to it.
ADVANCE = re.sub(
    r"\$(\d+)",
    lambda found: f"step.column{int(found[1]) + 1}",
    "UPDATE items SET state = $1, calls = $2, seq = $3, offset = $4, length = $5, crc = $6, task_id = $7, "
    "task_at = $8, segment = iif($3 IS NULL, coalesce($9, segment), NULL), "
    "spooled_at = iif($3 IS NULL, coalesce($10, spooled_at), NULL), "
    "spooled = iif($3 IS NULL, coalesce($11, spooled), NULL), intent = coalesce($12, intent), "
    "intent_at = coalesce($13, intent_at), search = coalesce($14, search), attempt = attempt + ($12 IS NOT NULL), "
    "problem = iif($3 IS NULL, problem, NULL) FROM",
)
_VALUES = 15
MOST_STEPS = 1024  # in one statement: SQLite takes 32,766 values
Step = tuple[Any, ...]  # one item's part of a statement: its `ord`, new state and calls, then the values of `ADVANCE`
_NO_LINE = (None,) * 6
_NO_HITS = (None,) * 3

_UPLOADS = state_in((State.PENDING, State.SEARCHED, State.IN_DOUBT))


def found_step(ord_: int, state: State, calls: Calls, hits: PaidHits) -> Step:
    """Make the step of an item whose search was answered; one in doubt stays so (`state`)."""
    note, ref = hits
    return (ord_, int(state), packed(calls), *_NO_LINE, *ref, None, None, packed(note))


def intent_step(ord_: int, request_id: str, at: float, calls: Calls, hits: PaidHits | None) -> Step:
    """Make the step of an item that is about to be created. `hits` is given unless the journal has them already."""
    search, ref = (None, _NO_HITS) if hits is None else (packed(hits[0]), hits[1])
    return (ord_, int(State.CREATING), packed(calls), *_NO_LINE, *ref, request_id, at, search)


def settled_step(ord_: int, state: State, line: Line, calls: Calls, task: Task | None) -> Step:
    """Make the step of an item that is done; its line is on disk already."""
    task_id, task_at = (None, None) if task is None else (task.task_id, task.at)
    return (ord_, int(state), packed(calls), *line, task_id, task_at, *_NO_HITS, None, None, None)


def advance(db: Database, steps: Sequence[Step]) -> None:
    """Take at most MOST_STEPS items a step on, all of them or none, in one statement."""
    rows = 1 << (len(steps) - 1).bit_length()
    values = [value for step in steps for value in step]
    values += [None] * (rows * _VALUES - len(values))
    if db.do(_advance(rows), (*values, len(steps))).rowcount != len(steps):
        raise JournalError(f"the journal refused a change of one of the items {[step[0] for step in steps][:20]}")


@functools.cache
def _advance(rows: int) -> str:
    """Return the statement for so many steps; a step of NULLs changes nothing.

    If any `ord` is unknown, or given twice, no row changes. Outside a transaction the statement is one by itself. The
    steps come as values of the statement: as one JSON text SQLite read each of them 15 times (half of its CPU time).
    There is one statement for each power of two, so that few are prepared.
    """
    one = [[f"?{row * _VALUES + at + 1}" for at in range(_VALUES)] for row in range(rows)]
    steps = ", ".join(f"({', '.join(values)})" for values in one)
    known = f"(SELECT count(*) FROM items WHERE ord IN ({', '.join(values[0] for values in one)}))"
    return f"{ADVANCE} (VALUES {steps}) AS step WHERE ord = step.column1 AND {known} = ?{rows * _VALUES + 1}"


def uploaded(db: Database, ord_: int, upload: Upload, sha256: str) -> None:
    """Note the URL of an uploaded picture, which is what the item shows from now on; the item keeps its state.

    Its file may have been replaced since it was listed, and items with the same picture are found by what was sent.
    """
    identity = CONTENT + sha256
    sent = (upload.url, upload.expires_at, sha256, identity, source_key(identity))
    db.change(ord_, "url = ?, url_expires = ?, sha256 = ?, picture = ?, source_key = ?", sent, only=_UPLOADS)


def intend(db: Database, ord_: int, *, request_id: str, at: float, calls: Calls, hits: PaidHits | None) -> None:
    """Note that a create is about to be sent (`calls` counts it already); see `intent_step`."""
    advance(db, [intent_step(ord_, request_id, at, calls, hits)])


def put_back(db: Database, ord_: int, *, calls: Calls, hits: PaidHits | None) -> None:
    """Let an item wait where it stands: with its hits, or at the start."""
    if hits is not None:
        _searched(db, ord_, hits, State.SEARCHED)
    db.change(ord_, f"state = {CREATE_TAKEN_BACK}, calls = ?", (packed(calls),), only=UNFINISHED)


def settle(db: Database, ord_: int, state: State, *, line: Line, calls: Calls, task: Task | None) -> None:
    """Note the place of the item's line, which is on disk already."""
    advance(db, [settled_step(ord_, state, line, calls, task)])


def leave_open(
    db: Database, ord_: int, state: State, problem: Problem, *, calls: Calls, hits: PaidHits | None = None
) -> None:
    """Note why an item is open; hits that are paid stay with it."""
    if hits is not None:
        _searched(db, ord_, hits, state if state is State.IN_DOUBT else State.SEARCHED)
    db.change(ord_, "state = ?, problem = ?, calls = ?", (int(state), packed(problem), packed(calls)))


def requeue(db: Database, ord_: int) -> State:
    """Let an open item wait again, with its hits where it still has them; return its new state.

    One whose task brought no report keeps the id of that task, which a new one replaces.
    """
    replaced = f"report = iif({OF_REPORT}, json_set(coalesce(report, '{{}}'), '$.replaces', task_id), report)"
    db.change(ord_, f"state = {WAITS_AGAIN}, problem = NULL, {replaced}", only=CHOOSABLE)
    return State(db.do("SELECT state FROM items WHERE ord = ?", (ord_,)).fetchone()[0])


def requeue_failed(db: Database) -> int:
    """Let every item wait again that expired or failed in passing, none that was refused for good; return how many."""
    rows = db.do(f"SELECT ord FROM items WHERE {RETRIED_BY_ITSELF}").fetchall()
    for (ord_,) in rows:
        requeue(db, ord_)
    return len(rows)


def forget_hits(db: Database, ord_: int) -> None:
    """Drop hits that are too old or lost; they will be searched, and paid, again. A doubt stays a doubt."""
    gone = "search = NULL, segment = NULL, spooled_at = NULL, spooled = NULL"
    db.change(ord_, f"state = {HITS_LOST}, {gone}", only=f"NOT ({CREATING} OR {OF_REPORT})")


def _searched(db: Database, ord_: int, hits: PaidHits, state: State) -> None:
    note, ref = hits
    db.change(ord_, "state = ?, search = ?, segment = ?, spooled_at = ?, spooled = ?", (int(state), packed(note), *ref))
