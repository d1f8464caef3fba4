"""Changes of an item's state.

All that a settled line needs (state, task id, seq, offset, length, CRC) is one row, so that no crash can come between
its parts: an earlier design with two rows lost lines once in a hundred kills.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import (
    CREATE_TAKEN_BACK,
    HITS_LOST,
    RETRIED_BY_ITSELF,
    RETRYABLE,
    UNFINISHED,
    WAITS_AGAIN,
    Line,
    PaidHits,
    packed,
    state_in,
)
from pipeline.journal.sql.twins import source_key
from pipeline.models import CONTENT, Calls, Problem, State, Task, Upload

# Apply a JSON array of steps in one UPDATE. `$n` is the n-th element of a step. If any `ord` is unknown, or given
# twice, no row changes. Outside a transaction the statement is one by itself.
ADVANCE = re.sub(
    r"\$(\d+)",
    r"json_extract(step.value, '$[\1]')",
    "UPDATE items SET state = $1, calls = $2, seq = $3, offset = $4, length = $5, crc = $6, task_id = $7, "
    "task_at = $8, segment = iif($3 IS NULL, coalesce($9, segment), NULL), "
    "spooled_at = iif($3 IS NULL, coalesce($10, spooled_at), NULL), "
    "spooled = iif($3 IS NULL, coalesce($11, spooled), NULL), intent = coalesce($12, intent), "
    "intent_at = coalesce($13, intent_at), search = coalesce($14, search), attempt = attempt + ($12 IS NOT NULL), "
    "problem = iif($3 IS NULL, problem, NULL) FROM json_each(?1) AS step WHERE ord = $0 AND json_array_length(?1) = "
    "(SELECT count(DISTINCT known.ord) FROM items AS known JOIN json_each(?1) AS step ON known.ord = $0)",
)
# One item's part of `ADVANCE`: its `ord`, new state and calls, then up to twelve columns in the statement's order.
Step = tuple[Any, ...]
_NO_LINE = (None,) * 6

_UPLOADS = state_in((State.PENDING, State.IN_DOUBT))


def found_step(ord_: int, state: State, calls: Calls, hits: PaidHits) -> Step:
    """Make the step of an item whose search was answered; one in doubt stays so (`state`)."""
    note, ref = hits
    return (ord_, state, calls, *_NO_LINE, *ref, None, None, note)


def intent_step(ord_: int, request_id: str, at: float, calls: Calls, hits: PaidHits | None) -> Step:
    """Make the step of an item that is about to be created. `hits` is given unless the journal has them already."""
    note, ref = hits or (None, (None, None, None))
    return (ord_, State.CREATING, calls, *_NO_LINE, *ref, request_id, at, note)


def settled_step(ord_: int, state: State, line: Line, calls: Calls, task: Task | None) -> Step:
    """Make the step of an item that is done; its line is on disk already."""
    return (ord_, state, calls, *line, task and task.task_id, task and task.at)


def advance(db: Database, steps: Sequence[Step]) -> None:
    """Take many items a step on, all of them or none, in one statement."""
    if db.do(ADVANCE, (msgspec.json.encode(steps).decode(),)).rowcount != len(steps):
        raise JournalError(f"the journal refused a change of one of the items {[step[0] for step in steps][:20]}")


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
    """Let a failed or expired item wait again, with its hits where it still has them; return its new state."""
    db.change(ord_, f"state = {WAITS_AGAIN}, problem = NULL", only=RETRYABLE)
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
    db.change(ord_, f"state = {HITS_LOST}, {gone}")


def _searched(db: Database, ord_: int, hits: PaidHits, state: State) -> None:
    note, ref = hits
    db.change(ord_, "state = ?, search = ?, segment = ?, spooled_at = ?, spooled = ?", (int(state), packed(note), *ref))
