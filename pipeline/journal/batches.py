"""The two changes that every item makes, for a whole group at once.

Each call into SQLite or the system gives the interpreter's lock away, and while the event loop is busy it comes back
late: a group of thirty items that asked a hundred times for it held the run up. Now a group asks a dozen times.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.journal.disk import Disk
from pipeline.journal.notes import SearchNote, SpoolRef
from pipeline.journal.spool import mark_of
from pipeline.models import Calls, State, Task
from pipeline.sink import Line


class Intent(NamedTuple):
    """A create that is about to be sent for the first time, with the hits it rests on; `calls` counts it already."""

    ord: int
    request_id: str
    at: float
    calls: Calls
    note: SearchNote
    array: bytes


class Settlement(NamedTuple):
    """An item that is done; its hits, if they lie in the spool, in which segment."""

    ord: int
    state: State
    calls: Calls
    task: Task | None
    segment: int | None


def intend_all(disk: Disk, intents: Sequence[Intent], _: Sequence[Line | None]) -> list[SpoolRef]:
    """Write hits and intents; return where the hits lie."""
    refs = disk.spool.append_all([(intent.array, mark_of(intent.ord, intent.note)) for intent in intents])
    disk.store.intend_all(
        [
            (intent.ord, intent.request_id, intent.at, intent.calls, (intent.note, ref))
            for intent, ref in zip(intents, refs, strict=True)
        ]
    )
    return refs


def settle_all(disk: Disk, settlements: Sequence[Settlement], lines: Sequence[Line | None]) -> list[None]:
    """Index the lines, which are on disk, and free the hits."""
    rows = []
    for settlement, line in zip(settlements, lines, strict=True):
        assert line is not None
        rows.append((settlement.ord, settlement.state, line, settlement.calls, settlement.task))
    disk.store.settle_all(rows)
    for settlement in settlements:
        if settlement.segment is not None:
            disk.spool.release(settlement.segment)
    return [None] * len(rows)
