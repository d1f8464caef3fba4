"""The two changes that every item makes, for a whole group at once.

Each call into SQLite or the system gives the interpreter's lock away, and while the event loop is busy it comes back
late: a group of thirty items that asked a hundred times for it held the run up. Now a group asks a dozen times.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.journal.results_file import Line
from pipeline.journal.spool import mark_of
from pipeline.journal.sql.database import intent_step, settled_step
from pipeline.journal.sql.rows import SearchNote
from pipeline.journal.storage import Disk
from pipeline.models import Calls, State, Task


class Intent(NamedTuple):
    """A create that is about to be sent for the first time, with the hits it rests on; `calls` counts it already."""

    ord: int
    request_id: str
    at: float
    calls: Calls
    note: SearchNote
    array: bytes
    crc: int


class Settlement(NamedTuple):
    """An item that is done; its hits, if they lie in the spool, in which segment."""

    ord: int
    state: State
    calls: Calls
    task: Task | None
    segment: int | None


def advance(disk: Disk, changes: Sequence[Intent | Settlement], lines: Sequence[Line | None]) -> list[int | None]:
    """Write the hits of intents, then everything in one statement, as the writer wants it (`Writer.do_all`).

    Returns the segments that the hits lie in, None for a settlement. A settlement's line is on disk already; its hits
    are freed.
    """
    bring = [change for change in changes if isinstance(change, Intent)]
    marked = [(intent.array, intent.crc, mark_of(intent.ord, intent.note)) for intent in bring]
    refs = iter(disk.spool.append_all(marked) if marked else ())
    segments: list[int | None] = []
    steps = []
    for change, line in zip(changes, lines, strict=True):
        if isinstance(change, Intent):
            ref = next(refs)
            segments.append(ref.segment)
            steps.append(intent_step(change.ord, change.request_id, change.at, change.calls, (change.note, ref)))
        else:
            assert line is not None
            segments.append(None)
            steps.append(settled_step(change.ord, change.state, line, change.calls, change.task))
    disk.store.advance(steps)
    for change in changes:
        if isinstance(change, Settlement) and change.segment is not None:
            disk.spool.release(change.segment)
    return segments
