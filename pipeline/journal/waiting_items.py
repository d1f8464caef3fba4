"""Waiting items for the engine, in batches, with the hits that are paid for them (ports.WaitingItems)."""

from collections.abc import Callable, Sequence

from pipeline.journal.paid_hits import with_hits
from pipeline.journal.sql import changes, doubts, items, retry_selection, twins, waiting
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Waiting
from pipeline.journal.steps import Steps
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import EXPIRY_MARGIN_S, Problem, State, Work

BATCH = {State.SEARCHED: 32, State.PENDING: 512}  # searched items bring their hits along, up to 100 KB each


class WaitingItems:
    """The items of one run directory that wait, for one run."""

    def __init__(self, writer: Writer, steps: Steps, *, duplicates: int) -> None:
        """Let at most `duplicates` items in doubt be created once more over the run directory's life."""
        self._writer = writer
        self._steps = steps
        self._duplicates: int | None = duplicates
        self._anew: frozenset[int] = frozenset()

    async def take(self, state: State, *, after: int, generation: int, now: float) -> list[Work]:
        """Read items that wait in `state` beyond `after`, in order; hits too old to be used are dropped."""
        limit = BATCH[state]
        return await self._take(
            lambda db: waiting.batch(db, state, after=after, limit=limit, generation=generation), now=now
        )

    async def take_these(self, ords: Sequence[int], *, now: float) -> list[Work]:
        """Read those of these items that wait, in this order; hits too old to be used are dropped."""
        return await self._take(lambda db: waiting.among(db, ords), now=now)

    async def take_doubtful(self, *, after: int, generation: int, now: float) -> list[Work]:
        """Read items in doubt beyond `after` that may be created once more, because the job says so, or a person."""
        most = self._duplicates
        return await self._take(
            lambda db: doubts.repeatable(db, after=after, generation=generation, most=most), now=now
        )

    async def take_twins(self, *, after: int, generation: int) -> list[tuple[Work, int]]:
        """Read waiting twins, each with the `ord` of the earlier item that shows the same picture."""
        limit = BATCH[State.SEARCHED]
        return await self._writer.do(
            lambda disk: waiting.twins(disk.db, after=after, limit=limit, generation=generation)
        )

    async def part(self, ord_: int, digest: str) -> bool:
        """Let a twin be worked on by itself: its file has the bytes of `digest` now, no longer the earlier item's.

        Return False, and let it wait on, where hits or a create of just these bytes are paid for the earlier item.
        """
        return await self._writer.do(lambda disk: twins.part(disk.db, ord_, digest))

    async def expiring(self, state: State, *, generation: int, now: float) -> list[int]:
        """List waiting items with something paid that expires (hits, or a live upload), the earliest first."""
        return await self._writer.do(
            lambda disk: waiting.by_expiry(disk.db, state, generation=generation, after=now + EXPIRY_MARGIN_S)
        )

    async def standing(self, ord_: int) -> tuple[str, State, bytes | None, Problem | None]:
        """Read the id, state, record line and problem of an item."""

        def read(disk: Disk) -> tuple[str, State, bytes | None, Problem | None]:
            id_, state, line, problem = items.standing(disk.db, ord_)
            return id_, state, disk.results.read(line) if line else None, problem

        return await self._writer.do(read)

    async def requeue(self, ords: Sequence[int]) -> int:
        """Let these failed items wait again; return how many still have their hits."""
        return await self._writer.do(
            lambda disk: sum(changes.requeue(disk.db, ord_) is State.SEARCHED for ord_ in ords)
        )

    async def choose(self, ords: Sequence[int], *, risked: bool) -> None:
        """Work on these open items alone; `risked` when a person wants those in doubt to be created once more."""
        if risked:
            self._duplicates = None
        self._steps.risked = risked
        self._anew = await self._writer.do(lambda disk: retry_selection.choose(disk.db, ords))

    async def _take(self, find: Callable[[Database], list[Waiting]], *, now: float) -> list[Work]:
        rows = await self._writer.do(lambda disk: with_hits(disk, find(disk.db), now=now))
        for work, _ in rows:
            work.anew = work.ord in self._anew
        return [work for work, _ in rows]
