"""The journal as the engine sees it. What is awaited is durable when it returns; what is not comes with the next group.

intend   awaited before the first byte of a create, with the hits that are paid already
reserve  awaited before any paid call: budgets hold over the run directory's life, kills included
settle   awaited before an item counts as done: its line and its state are on disk
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.journal.budget import Lease, Leases
from pipeline.journal.paid_hits import with_hits
from pipeline.journal.recovery import doubt_unfinished
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import admission, doubts
from pipeline.journal.sql import retry_selection as chosen
from pipeline.journal.sql.admission import Admitted, Change, SourceError
from pipeline.journal.sql.changes import requeue_failed
from pipeline.journal.sql.database import Store, Waiting
from pipeline.journal.sql.rows import SearchNote, SpoolRef, note_of
from pipeline.journal.steps import Intent, Settlement, advance
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import EXPIRY_MARGIN_S, Calls, Hits, Item, Kind, Problem, Spliced, State, Task, Upload, Work

_BATCH = {State.SEARCHED: 32, State.PENDING: 512}  # searched rows bring their hits along, up to 100 KB each


class Journal:
    """The durable state of one run directory. Every method raises JournalError once writing has failed."""

    def __init__(self, writer: Writer, *, budgets: Mapping[Kind, int | None], duplicates: int = 0) -> None:
        """`duplicates`: how many items in doubt may be created once more over the run directory's life."""
        self.units_before = 0.0
        self._writer = writer
        self._leases = Leases(writer, budgets)
        self._duplicates = duplicates
        self._risked = False
        self._segments: dict[int, int] = {}

    async def begin(self) -> dict[State, int]:
        """Read the counts of calls and items; to be called once before any other method."""

        def read(disk: Disk, _: object) -> tuple[dict[Kind, tuple[int, int]], dict[State, int], str | None]:
            return disk.store.true_calls(), disk.store.counts(), disk.store.meta("units")

        calls, counts, units = await self._writer.do(read)
        self.units_before = float(units or 0)
        self._leases.begin(calls)
        return counts

    @property
    def calls(self) -> Mapping[Kind, Lease]:
        """Per kind, how many calls were reserved, given out and sent over the run directory's life."""
        return self._leases.calls

    async def recall(self, keys: Sequence[str]) -> dict[str, str | None]:
        """What was remembered under these keys."""
        return await self._writer.do(lambda disk, _: {key: disk.store.meta(key) for key in keys})

    async def remember(self, values: Mapping[str, str]) -> None:
        """Remember these values; durable when it returns."""

        def write(disk: Disk, _: object) -> None:
            for key, value in values.items():
                disk.store.set_meta(key, value)

        await self._writer.do(write)

    async def requeue_failed(self) -> int:
        """Let the items wait again that failed in passing; return how many."""
        return await self._writer.do(lambda disk, _: requeue_failed(disk.store))

    # --- items in ---

    async def admit(self, batch: Sequence[Item], *, generation: int, accept_changes: bool) -> Admitted:
        """Enter items; durable when it returns."""
        return await self._writer.do(
            lambda disk, _: admission.admit(disk.store, batch, generation=generation, accept_changes=accept_changes)
        )

    async def close_admission(self, generation: int, fingerprint: str) -> None:
        """Note that every item of the job is in: a start with the same fingerprint reads no source again."""
        await self._writer.do(lambda disk, _: admission.close_admission(disk.store, generation, fingerprint))

    async def admit_whole(
        self, batches: Iterable[Sequence[Item]], *, generation: int, fingerprint: str, accept_changes: bool
    ) -> list[Change]:
        """Enter all items of changed sources at once, or none of them: see `admission.admit_whole`.

        They are read in the writing thread; what that raises is raised here, and leaves the journal as it was.
        """
        ended = threading.Event()

        def write(disk: Disk, _: object) -> list[Change] | SourceError:
            try:
                return admission.admit_whole(
                    disk.store,
                    admission.told_apart(batches),
                    generation=generation,
                    fingerprint=fingerprint,
                    accept_changes=accept_changes,
                    ended=ended.is_set,
                )
            except SourceError as error:  # says nothing of the disk, so it must not latch the writer
                return error

        try:
            outcome = await self._writer.do(write)
        finally:
            ended.set()  # whoever waited for it was cancelled
        if isinstance(outcome, SourceError):
            raise outcome.error from None
        return outcome

    async def take(self, state: State, *, after: int, generation: int, now: float) -> list[Work]:
        """Items that wait in `state` beyond `after`, in order; hits too old to be used are dropped."""
        return await self._take(
            lambda store: store.waiting(state, after=after, limit=_BATCH[state], generation=generation), now
        )

    async def expiring(self, state: State, *, generation: int, now: float) -> list[int]:
        """The numbers of waiting items with something paid that expires, the earliest first: hits, or a live upload."""
        return await self._writer.do(
            lambda disk, _: disk.store.expiring(state, generation=generation, after=now + EXPIRY_MARGIN_S)
        )

    async def take_these(self, ords: Sequence[int], *, now: float) -> list[Work]:
        """Those of these items that wait, in this order; hits too old to be used are dropped."""
        return await self._take(lambda store: store.waiting_among(ords), now)

    async def requeue(self, ords: Sequence[int]) -> int:
        """Let these failed items wait again; return how many have their hits still."""
        return await self._writer.do(lambda disk, _: sum(disk.store.requeue(ord_) is State.SEARCHED for ord_ in ords))

    async def take_doubtful(self, *, after: int, generation: int, now: float) -> list[Work]:
        """Items in doubt beyond `after` that may be created once more: because the job says so, or a person."""

        def find(store: Store) -> list[Waiting]:
            most = None if self._risked else self._duplicates
            return doubts.repeatable(store, after=after, generation=generation, most=most)

        return await self._take(find, now)

    async def choose(self, ords: Sequence[int], *, risked: bool) -> None:
        """Work on these open items alone; `risked` when a person wants those in doubt to be created once more."""
        self._risked = risked
        await self._writer.do(lambda disk, _: chosen.choose(disk.store, ords))

    async def _take(self, find: Callable[[Store], list[Waiting]], now: float) -> list[Work]:
        rows = await self._writer.do(lambda disk, _: with_hits(disk, find(disk.store), now=now))
        self._segments.update({work.ord: ref.segment for work, ref in rows if ref is not None})
        return [work for work, _ in rows]

    async def take_twins(self, *, after: int, generation: int) -> list[tuple[Work, int]]:
        """Waiting items that show the same picture as an earlier one, and that one's `ord`."""
        return await self._writer.do(
            lambda disk, _: disk.store.twins(after=after, limit=_BATCH[State.SEARCHED], generation=generation)
        )

    async def standing(self, ord_: int) -> tuple[str, State, bytes | None, Problem | None]:
        """The id, state, record line and problem of an item."""

        def read(disk: Disk, _: object) -> tuple[str, State, bytes | None, Problem | None]:
            id_, state, line, problem = disk.store.standing(ord_)
            return id_, state, disk.sink.read(line) if line else None, problem

        return await self._writer.do(read)

    # --- calls ---

    async def reserve(self, kind: Kind) -> None:
        """Make one call count against its budget, durably. Raises RunPaused when the budget is used up."""
        await self._leases.reserve(kind)

    def release(self, kind: Kind) -> None:
        """Give back a reserved call that was not sent."""
        self.calls[kind].used -= 1

    def sent(self, kind: Kind) -> None:
        """Count a call that is about to leave. Raises JournalError once writing has failed: nothing is sent then."""
        self._writer.check()
        self.calls[kind].sent += 1

    def note_calls(self, units: float) -> None:
        """Let the counts of sent calls, and the units billed in this run, follow to disk with the next group."""
        billed = repr(self.units_before + units)
        counts = {kind: lease.sent for kind, lease in self.calls.items()}

        def write(disk: Disk, _: object) -> None:
            for kind, sent in counts.items():
                disk.store.note_sent(kind, sent)  # not `reserved`: a larger lease may be on its way to disk already
            disk.store.set_meta("units", billed)

        self._writer.post(write)

    # --- the way of one item ---

    def uploaded(self, work: Work, upload: Upload, sha256: str) -> None:
        """Note the URL of an uploaded picture."""
        self._writer.post(lambda disk, _: disk.store.uploaded(work.ord, upload, sha256))

    async def intend(self, work: Work, hits: Hits, *, request_id: str, at: float) -> None:
        """Make the intent of a create durable, together with the hits that it rests on."""
        calls = Calls(work.calls.upload, work.calls.search, work.calls.create + 1)
        first = work.ord not in self._segments
        if first and work.doubt is None:
            intent = Intent(work.ord, request_id, at, calls, note_of(hits), hits.array, hits.crc)
            segment = await self._writer.do_all(advance, intent)
            assert segment is not None
            self._segments[work.ord] = segment
            return

        def write(disk: Disk, _: object) -> SpoolRef | None:
            paid = _spool(disk, work, hits) if first else None
            if work.doubt is not None:
                doubts.take_up(disk.store, work.ord, work.doubt, at=at, risked=self._risked)
            disk.store.intend(work.ord, request_id=request_id, at=at, calls=calls, hits=paid)
            return paid[1] if paid else None

        ref = await self._writer.do(write)
        if ref is not None:
            self._segments[work.ord] = ref.segment

    def put_back(self, work: Work, hits: Hits | None) -> None:
        """Let an item wait where it stands: a create that was provably not executed, or a run that is ending."""
        first = hits is not None and work.ord not in self._segments
        calls = Calls(work.calls.upload, work.calls.search, work.calls.create)

        def write(disk: Disk, _: object) -> None:
            paid = _spool(disk, work, hits) if hits is not None and first else None
            if work.doubt is not None:
                doubts.put_back(disk.store, work.ord, work.doubt, calls=calls, hits=paid)
            else:
                disk.store.put_back(work.ord, calls=calls, hits=paid)

        self._writer.post(write)

    def forget(self, work: Work) -> None:
        """Drop an item's upload and hits, which expired while it was on its way: both are asked for again."""
        segment = self._segments.pop(work.ord, None)

        def write(disk: Disk, _: object) -> None:
            disk.store.forget_hits(work.ord)
            if segment is not None:
                disk.spool.release(segment)

        self._writer.post(write)

    async def settle(self, work: Work, state: State, line: bytes | Spliced, task: Task | None) -> None:
        """Write an item's record; durable, line and state, when it returns."""
        settlement = Settlement(work.ord, state, work.calls, task, self._segments.pop(work.ord, None))
        await self._writer.do_all(advance, settlement, line=line)

    async def leave_open(self, work: Work, state: State, problem: Problem, hits: Hits | None) -> None:
        """Note why an item is open; hits that are paid stay with it."""
        first = hits is not None and work.ord not in self._segments

        def write(disk: Disk, _: object) -> None:
            paid = _spool(disk, work, hits) if hits is not None and first else None
            disk.store.leave_open(work.ord, state, problem, calls=work.calls, hits=paid)
            if work.doubt is not None:
                doubts.hold(disk.store, work.ord)

        await self._writer.do(write)

    async def finish(self, generation: int) -> tuple[dict[State, int], int]:
        """Put creates without an outcome in doubt, and back what a person has tried again and was not begun.

        Returns the items per state, and how many are no longer listed.
        """

        def read(disk: Disk, _: object) -> tuple[dict[State, int], int]:
            doubt_unfinished(disk.store)
            chosen.restore(disk.store)
            listed = disk.store.counts(generation=generation)
            return listed, sum(disk.store.counts().values()) - sum(listed.values())

        return await self._writer.do(read)

    async def open_items(self, *, after: int) -> list[tuple[Work, State, Problem]]:
        """Open items beyond `after`, in order; a batch at a time."""
        return await self._writer.do(lambda disk, _: disk.store.open_items(after=after, limit=_BATCH[State.PENDING]))

    async def close(self) -> None:
        """Give back what was reserved and not used, and close the files, these also once writing has failed."""
        counts = {kind: (lease.used, lease.sent) for kind, lease in self.calls.items()}

        def write(disk: Disk, _: object) -> None:
            for kind, (reserved, sent) in counts.items():
                disk.store.note_calls(kind, reserved=reserved, sent=sent)
            chosen.restore(disk.store)

        try:
            await self._writer.do(write)
        finally:
            await self._writer.close()


def _spool(disk: Disk, work: Work, hits: Hits) -> tuple[SearchNote, SpoolRef]:
    note = note_of(hits)
    return note, disk.spool.append(hits.array, mark=mark_of(work.ord, note))
