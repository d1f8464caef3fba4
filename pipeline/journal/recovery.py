"""Makes a run directory whole again after a death of any kind, before the first call of the next run.

In this order: lines of results.jsonl that were written but not committed are adopted when they belong to an item that
is not settled (they carry the id of a paid task), and cut otherwise; lines that a failing disk kept out of it are
appended; creates without an outcome become in doubt; what a person has tried again and was not begun is open again.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

import msgspec

from pipeline.errors import Code
from pipeline.journal.results_file import Line, Sink
from pipeline.journal.sql import retry_selection as chosen
from pipeline.journal.sql.database import Store
from pipeline.models import Calls, Problem, State, Task, earlier
from pipeline.system.clock import iso

_STATES = {"tasked": State.TASKED, "no_hits": State.NO_HITS, "searched": State.SEARCH_ONLY}


class Recovered(NamedTuple):
    """What a start found left over."""

    adopted: int
    cut_bytes: int
    in_doubt: int


class _TaskView(msgspec.Struct):
    task_id: str
    at: datetime


class _LineView(msgspec.Struct):
    """The part of a line that recovery needs."""

    schema: int
    item: str
    status: str
    calls: Calls
    task: _TaskView | None = None


_DECODER = msgspec.json.Decoder(_LineView)


def recover(store: Store, sink: Sink, *, now: float, kept: Iterable[bytes] = ()) -> Recovered:
    """Bring journal and results.jsonl to one truth; `kept` are lines of an emergency, see journal/emergency.py.

    Raises JournalError when results.jsonl was changed by others.
    """
    store.do("BEGIN IMMEDIATE")
    sink.position(last_line(store))
    adopted = 0
    for line in sink.tail():
        if not _adopt(store, line, sink.adopt, now=now):
            break  # what follows a line that is not whole cannot be trusted either
        adopted += 1
    cut_bytes = sink.cut()  # before the commit: a commit must never know lines that a cut could still remove
    adopted += sum(_adopt(store, line, lambda raw: sink.append([raw])[0], now=now) for line in kept)
    in_doubt = doubt_unfinished(store)
    chosen.restore(store)
    store.do("COMMIT")
    return Recovered(adopted, cut_bytes, in_doubt)


def doubt_unfinished(store: Store) -> int:
    """Put every create without an outcome in doubt; return how many that were."""
    rows = store.do(
        "SELECT ord, intent, intent_at, calls, problem FROM items WHERE state = ?", (int(State.CREATING),)
    ).fetchall()
    for ord_, intent, at, calls, before in rows:
        message = f"the run ended while this create was on its way ({iso(at)}); it may exist at the vendor and be paid"
        if before is not None:
            message += f"; {earlier(msgspec.json.decode(before, type=Problem))}"
        problem = Problem("create", Code.INTERRUPTED, message, "in_doubt", False, request_id=intent)
        store.leave_open(ord_, State.IN_DOUBT, problem, calls=msgspec.json.decode(calls, type=Calls))
    return len(rows)


def last_line(store: Store) -> Line | None:
    """The last line of results.jsonl that the journal knows."""
    row = store.do(
        "SELECT seq, offset, length, crc FROM items WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Line(*row)


def _adopt(store: Store, raw: bytes, place: Callable[[bytes], Line], *, now: float) -> bool:
    """Take a line that was written but not committed; False when it is not whole or not of a waiting item."""
    try:
        view = _DECODER.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    found = store.find(view.item)
    state = _STATES.get(view.status)
    if found is None or state is None:
        return False
    ord_, before = found
    paid_after_all = before is State.IN_DOUBT and state is State.TASKED
    if before >= State.TASKED and not paid_after_all:
        return False
    task = Task(view.task.task_id, view.task.at.timestamp()) if view.task else None
    if state is State.TASKED and before not in (State.CREATING, State.IN_DOUBT):
        store.intend(ord_, request_id="adopted", at=now, calls=view.calls, hits=None)
    store.settle(ord_, state, line=place(raw), calls=view.calls, task=task)
    return True
