"""The steps of an item from waiting to an outcome (ports.Steps).

An awaited step is durable when it returns; the others come with the next group, in their order.

The two steps that every item makes, a first intent and a settlement, are written for a whole group at once: each call
into SQLite or the system gives the interpreter's lock away, and while the event loop is busy it comes back late. A
group of thirty items that asked for it a hundred times held the run up; now a group asks a dozen times.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.journal.paid_hits import spool
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import changes, doubts
from pipeline.journal.sql.changes import Step, intent_step, settled_step
from pipeline.journal.sql.rows import Line, SearchNote, SpoolRef, note_of
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import Calls, Hits, Problem, RecordLine, State, Task, Upload, Work


class Intent(NamedTuple):
    """A create that is about to be sent for the first time, with the hits it is made of; `calls` counts it already."""

    ord: int
    request_id: str
    at: float
    calls: Calls
    note: SearchNote
    array: bytes
    crc: int


class Settlement(NamedTuple):
    """An item that is done; `segment` is where its hits lie in the spool, None if they do not."""

    ord: int
    state: State
    calls: Calls
    task: Task | None
    segment: int | None


class Steps:
    """The steps of all items of one run.

    risked   True when a person wants the items in doubt to be created once more
    """

    def __init__(self, writer: Writer) -> None:
        self.risked = False
        self._writer = writer
        self._segments: dict[int, int] = {}  # per `ord`, where hits of an item lie that is worked on

    def have_hits(self, work: Work, ref: SpoolRef) -> None:
        """Note that an item's hits are in the spool already, so that they are not written again."""
        self._segments[work.ord] = ref.segment

    def uploaded(self, work: Work, upload: Upload, sha256: str) -> None:
        """Note the URL of an uploaded picture."""
        self._writer.post(lambda disk: changes.uploaded(disk.db, work.ord, upload, sha256))

    async def intend(self, work: Work, hits: Hits, *, request_id: str, at: float) -> None:
        """Make the intent of a create durable, together with the hits that it is made of."""
        calls = Calls(work.calls.upload, work.calls.search, work.calls.create + 1)
        first = work.ord not in self._segments
        if first and work.doubt is None:
            intent = Intent(work.ord, request_id, at, calls, note_of(hits), hits.array, hits.crc)
            segment = await self._writer.do_grouped(advance, intent)
            assert segment is not None
            self._segments[work.ord] = segment
            return

        def write(disk: Disk) -> SpoolRef | None:
            paid = spool(disk, work.ord, hits) if first else None
            if work.doubt is not None:
                doubts.take_up(disk.db, work.ord, work.doubt, at=at, risked=self.risked)
            changes.intend(disk.db, work.ord, request_id=request_id, at=at, calls=calls, hits=paid)
            return paid[1] if paid else None

        ref = await self._writer.do(write)
        if ref is not None:
            self.have_hits(work, ref)

    def put_back(self, work: Work, hits: Hits | None) -> None:
        """Let an item wait where it stands: a create that was provably not executed, or a run that is ending."""
        first = hits is not None and work.ord not in self._segments
        calls = Calls(work.calls.upload, work.calls.search, work.calls.create)

        def write(disk: Disk) -> None:
            paid = spool(disk, work.ord, hits) if hits is not None and first else None
            if work.doubt is not None:
                doubts.put_back(disk.db, work.ord, work.doubt, calls=calls, hits=paid)
            else:
                changes.put_back(disk.db, work.ord, calls=calls, hits=paid)

        self._writer.post(write)

    def forget(self, work: Work) -> None:
        """Drop an item's upload and hits, which expired while it was worked on: both are asked for again."""
        segment = self._segments.pop(work.ord, None)

        def write(disk: Disk) -> None:
            changes.forget_hits(disk.db, work.ord)
            if segment is not None:
                disk.spool.release(segment)

        self._writer.post(write)

    async def settle(self, work: Work, state: State, line: bytes | RecordLine, task: Task | None) -> None:
        """Write an item's record; durable, line and state, when it returns."""
        settlement = Settlement(work.ord, state, work.calls, task, self._segments.pop(work.ord, None))
        await self._writer.do_grouped(advance, settlement, line=line)

    async def leave_open(self, work: Work, state: State, problem: Problem, hits: Hits | None) -> None:
        """Note why an item is open; hits that are paid stay with it."""
        first = hits is not None and work.ord not in self._segments

        def write(disk: Disk) -> None:
            paid = spool(disk, work.ord, hits) if hits is not None and first else None
            changes.leave_open(disk.db, work.ord, state, problem, calls=work.calls, hits=paid)
            if work.doubt is not None:
                doubts.leave_to_person(disk.db, work.ord)

        await self._writer.do(write)


def advance(disk: Disk, group: Sequence[Intent | Settlement], places: Sequence[Line | None]) -> list[int | None]:
    """Write the hits of intents, then the whole group in one statement; free the hits of settlements.

    Returns the segments that the hits lie in, None for a settlement. A settlement's line is on disk already.
    """
    intents = [change for change in group if isinstance(change, Intent)]
    marked = [(intent.array, intent.crc, mark_of(intent.ord, intent.note)) for intent in intents]
    refs = iter(disk.spool.append_all(marked) if marked else ())
    segments: list[int | None] = []
    steps: list[Step] = []
    for change, line in zip(group, places, strict=True):
        if isinstance(change, Intent):
            ref = next(refs)
            segments.append(ref.segment)
            steps.append(intent_step(change.ord, change.request_id, change.at, change.calls, (change.note, ref)))
        else:
            assert line is not None
            segments.append(None)
            steps.append(settled_step(change.ord, change.state, line, change.calls, change.task))
    changes.advance(disk.db, steps)
    for change in group:
        if isinstance(change, Settlement) and change.segment is not None:
            disk.spool.release(change.segment)
    return segments
