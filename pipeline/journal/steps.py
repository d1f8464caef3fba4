"""The steps of an item from waiting to an outcome (ports.Steps).

An awaited step is durable when it returns; the others come with the next group, in their order.

The steps that every item makes (hits found, an intent, a settlement) are written for a whole group at once: each call
into SQLite or the system gives the interpreter's lock away, and while the event loop is busy it comes back late. A
group of thirty items that asked for it a hundred times held the run up; now a group asks a dozen times.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pipeline.journal.kept_lines import NotExecuted
from pipeline.journal.paid_hits import spool
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import changes, doubts, laid_by, reports, views
from pipeline.journal.sql.changes import Step, found_step, intent_step, settled_step
from pipeline.journal.sql.rows import Line, PaidHits, SearchNote, note_of
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import Calls, Hits, Kind, Problem, State, Task, Upload, Work
from pipeline.reports import PaidTask, TaskNote
from pipeline.system.checksum import RecordLine


class Found(NamedTuple):
    """A search that was answered, with the hits that a create will be made of."""

    ord: int
    state: State
    calls: Calls
    note: SearchNote
    array: bytes
    crc: int


class Intent(NamedTuple):
    """A create that is about to be sent, with the hits it is made of; `calls` counts it already.

    A submit is made of none: it has no note.
    """

    ord: int
    request_id: str
    at: float
    calls: Calls
    note: SearchNote | None
    array: bytes
    crc: int


class Settlement(NamedTuple):
    """An item that is done."""

    ord: int
    state: State
    calls: Calls
    task: Task | None


class Steps:
    """The steps of all items of one run.

    risked      True when a person wants the items in doubt to be created once more
    on_settled  is called with each record once it is durable; None when nobody wants to know
    """

    def __init__(self, writer: Writer) -> None:
        self.risked = False
        self.on_settled: Callable[[bytes | RecordLine], None] | None = None
        self._views: dict[str, Upload | None] = {}  # what is known of the uploads of views
        self._laid_by: set[int] = set()
        self._writer = writer

    def uploaded(self, work: Work, upload: Upload, sha256: str) -> None:
        """Note the URL of an uploaded picture."""
        self._writer.post(lambda disk: changes.uploaded(disk.db, work.ord, upload, sha256))

    async def view_upload(self, sha256: str) -> Upload | None:
        """Read the upload of a picture that is a view of some item; None when there is none."""
        if sha256 not in self._views:
            self._views[sha256] = await self._writer.do(lambda disk: views.upload_of(disk.db, sha256))
        return self._views[sha256]

    async def view_uploaded(self, sha256: str, upload: Upload) -> None:
        """Note the upload of such a picture; durable when it returns."""
        await self._writer.do(lambda disk: views.uploaded(disk.db, sha256, upload))
        self._views[sha256] = upload

    def forget_views(self, digests: Sequence[str]) -> None:
        """Drop the uploads of these pictures, whose links expired."""
        for sha256 in digests:
            self._views.pop(sha256, None)
        self._writer.post(lambda disk: views.forget(disk.db, digests))

    def found(self, work: Work, hits: Hits) -> None:
        """Write hits to the spool that a create, or a next page, will follow; an item in doubt stays so."""
        self._writer.post_unsynced(advance, _found(work, hits))

    async def found_page(self, work: Work, hits: Hits) -> None:
        """Write the hits of all pages so far to the spool; a kill does not cost them once it returns."""
        await self._writer.do_grouped(advance, _found(work, hits))

    async def intend(self, work: Work, hits: Hits | None, *, request_id: str, at: float) -> None:
        """Make the intent of a create durable, with the hits that it is made of; a submit is made of none."""
        calls = _spent(work)
        calls.add(Kind.CREATE)
        doubt = work.doubt
        if doubt is None:
            found = (None, b"", 0) if hits is None else (note_of(hits), hits.array, hits.crc)
            intent = Intent(work.ord, request_id, at, calls, *found)
            await self._writer.do_grouped(advance, intent)
            return

        def write(disk: Disk) -> None:
            paid = spool(disk, work.ord, hits)
            doubts.take_up(disk.db, work.ord, doubt, at=at, risked=self.risked)
            changes.intend(disk.db, work.ord, request_id=request_id, at=at, calls=calls, hits=paid)

        await self._writer.do(write)

    def put_back(self, work: Work, hits: Hits | None) -> None:
        """Let an item wait where it stands, with its hits: the run is ending."""
        self._writer.post(_standing_again(work, hits))

    def take_back(self, work: Work, request_id: str) -> None:
        """Take the intent of a create back that was provably not executed.

        Once the journal cannot be written any more, a line beside it tells the next start, and nothing is raised.
        """
        known = NotExecuted(work.item.id, request_id, _spent(work))
        self._writer.post(_standing_again(work, None), otherwise=known)

    def forget(self, work: Work) -> None:
        """Drop an item's upload and hits, which expired while it was worked on: both are asked for again."""

        def write(disk: Disk) -> None:
            changes.forget_hits(disk.db, work.ord)
            disk.spool.drop(work.ord)

        self._writer.post(write)

    async def settle(self, work: Work, state: State, line: bytes | RecordLine, task: Task | None) -> None:
        """Write an item's record; durable, line and state, when it returns."""
        await self._writer.do_grouped(advance, Settlement(work.ord, state, work.calls, task), line=line)
        if work.ord in self._laid_by:
            self._laid_by.discard(work.ord)
            self._writer.post(lambda disk: laid_by.drop(disk.db, work.ord))
        if self.on_settled is not None:
            self.on_settled(line)

    async def lay_by(self, work: Work, line: bytes | RecordLine) -> None:
        """Make the record of a created task durable that is settled later: a kill must not leave it in doubt."""
        raw = bytes(line)
        await self._writer.do(lambda disk: laid_by.put(disk.db, work.ord, raw))
        self._laid_by.add(work.ord)

    async def await_report(self, work: Work, task: Task, note: TaskNote) -> None:
        """Note the task of an item whose report is awaited; its hits stay in the spool. Durable when it returns."""
        paid = PaidTask(work.item.id, task.task_id, task.at, _spent(work), note)
        kept = paid if note.reused_from is None else None  # else the run that paid for it has it
        await self._writer.do_grouped(await_reports, (work.ord, paid), otherwise=kept)

    def count_calls(self, spent: Sequence[tuple[int, Calls]]) -> None:
        """Note the calls that were spent on items, which stay as they are."""
        self._writer.post(lambda disk: reports.count_calls(disk.db, spent))

    async def leave_open(self, work: Work, state: State, problem: Problem, hits: Hits | None) -> None:
        """Note why an item is open; hits that are paid stay with it."""

        def write(disk: Disk) -> None:
            paid = spool(disk, work.ord, hits)
            changes.leave_open(disk.db, work.ord, state, problem, calls=work.calls, hits=paid)
            if work.doubt is not None:
                doubts.leave_to_person(disk.db, work.ord)

        await self._writer.do(write)


def _found(work: Work, hits: Hits) -> Found:
    state = State.SEARCHED if work.doubt is None else State.IN_DOUBT
    return Found(work.ord, state, _spent(work), note_of(hits), hits.array, hits.crc)


def _spent(work: Work) -> Calls:
    """Copy the counts of an item's calls as they are now."""
    spent = work.calls
    return Calls(spent.upload, spent.search, spent.create, spent.query)


def _standing_again(work: Work, hits: Hits | None) -> Callable[[Disk], None]:
    """Return the change that lets an item stand where it stood before its create: waiting, or in its doubt."""
    calls, doubt = _spent(work), work.doubt

    def write(disk: Disk) -> None:
        paid = spool(disk, work.ord, hits)
        if doubt is not None:
            doubts.put_back(disk.db, work.ord, doubt, calls=calls, hits=paid)
        else:
            changes.put_back(disk.db, work.ord, calls=calls, hits=paid)

    return write


def advance(disk: Disk, group: Sequence[Found | Intent | Settlement], places: Sequence[Line | None]) -> list[None]:
    """Write the hits of a group, then all its steps in one statement; free the hits of settlements.

    A settlement's line is on disk already. An intent or a settlement that follows its own search in the group is the
    step of both, and so is a later page, for a row can be changed but once in a statement.
    """
    last = {change.ord: change for change in group}
    paid = _spooled(disk, group, last)
    steps: list[Step] = []
    for change, line in zip(group, places, strict=True):
        if isinstance(change, Intent):
            steps.append(intent_step(change.ord, change.request_id, change.at, change.calls, paid.get(change.ord)))
        elif isinstance(change, Settlement):
            assert line is not None
            steps.append(settled_step(change.ord, change.state, line, change.calls, change.task))
        elif last[change.ord] is change:
            steps.append(found_step(change.ord, change.state, change.calls, paid[change.ord]))
    changes.advance(disk.db, steps)
    for change in group:
        if isinstance(change, Settlement):
            disk.spool.drop(change.ord)
    return [None] * len(group)


def await_reports(disk: Disk, group: Sequence[tuple[int, PaidTask]], places: Sequence[Line | None]) -> list[None]:
    """Note the tasks of a group, in one statement; their hits survive a power loss first, for the records need them."""
    disk.spool.sync(ord_ for ord_, _ in group)
    reports.await_reports(disk.db, group)
    return [None] * len(group)


def _spooled(
    disk: Disk, group: Sequence[Found | Intent | Settlement], last: Mapping[int, Found | Intent | Settlement]
) -> dict[int, PaidHits]:
    """Write the hits of a group that are not in the spool yet, at once; return their notes and places by `ord`.

    What is found page by page is written with each page; of an item whose `last` change settles it, nothing is.
    """
    new = {
        change.ord: (change.note, change)
        for change in group
        if not isinstance(change, Settlement)
        and change.note is not None
        and not isinstance(last[change.ord], Settlement)
        and (not disk.spool.holds(change.ord) or (isinstance(change, Found) and change.note.paging is not None))
    }
    marked = [(change.array, change.crc, mark_of(ord_, note)) for ord_, (note, change) in new.items()]
    refs = disk.spool.append_all(marked) if marked else []
    for ord_, ref in zip(new, refs, strict=True):
        disk.spool.replace(ord_, ref.segment)
    return {ord_: (note, ref) for (ord_, (note, _)), ref in zip(new.items(), refs, strict=True)}
