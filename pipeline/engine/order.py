"""The order of work: items with something paid that expires first, then the rest as the job lists them.

Each is looked at before it is begun: whether its file was replaced, what of it is uploaded, what is paid elsewhere.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing

import anyio

from pipeline.engine.cost import paid_for
from pipeline.engine.first_items import FirstItems
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.engine.promises import Promises
from pipeline.engine.reusing import take_reused
from pipeline.engine.views import missing_uploads
from pipeline.models import State, Work
from pipeline.ports import WaitingItems
from pipeline.views import has_views

BATCH = 32  # items read at once by their numbers: searched ones bring their hits along, up to 100 KB each


class Order:
    """The waiting items of one pass, each once.

    `tally` is kept right where the hits of an item turn out to be too old. `ended` says whether to stop early.
    """

    def __init__(
        self,
        waiting: WaitingItems,
        intake: Intake,
        tally: Counter[State],
        *,
        now: Callable[[], float],
        ended: Callable[[], bool],
    ) -> None:
        self._waiting = waiting
        self._intake = intake
        self._tally = tally
        self._now = now
        self._ended = ended
        # An item that is worked on may look like one that waits: its hits expired and are searched again, say.
        self._given: set[int] = set()

    async def items(self) -> AsyncGenerator[Work, None]:
        """Yield items whose hits are paid, then uploaded ones, each by what expires first; then the rest."""
        while self._tally[State.SEARCHED] and not self._intake.done:
            await self._intake.more()  # which of the paid ones are still listed is known once all items are in
        for state in (State.SEARCHED, State.PENDING):
            async with aclosing(self._expiring(state)) as expiring:
                async for work in expiring:
                    if state is State.SEARCHED and work.hits is None:  # too old: it comes again as pending
                        self._tally[State.SEARCHED] -= 1
                        self._tally[State.PENDING] += 1
                    else:
                        self._given.add(work.ord)
                        yield work
        async with aclosing(self._rest()) as rest:
            async for work in rest:
                yield work

    async def doubtful(self) -> AsyncGenerator[Work, None]:
        """Yield items in doubt that may be created once more."""
        after = 0
        while not self._ended():
            batch = await self._waiting.take_doubtful(after=after, generation=self._intake.generation, now=self._now())
            if not batch:
                return
            after = batch[-1].ord
            for work in drained(batch):
                yield work

    async def _expiring(self, state: State) -> AsyncGenerator[Work, None]:
        found = await self._waiting.expiring(state, generation=self._intake.generation, now=self._now())
        ords = [ord_ for ord_ in found if ord_ not in self._given]
        for start in range(0, len(ords), BATCH):
            if self._ended():
                return
            for work in drained(await self._waiting.take_these(ords[start : start + BATCH], now=self._now())):
                yield work

    async def _rest(self) -> AsyncGenerator[Work, None]:
        after = 0
        while not self._ended():
            all_in = self._intake.done
            batch = await self._waiting.take(
                State.PENDING, after=after, generation=self._intake.generation, now=self._now()
            )
            # Three cases:
            # 1. There are more: go on behind them.
            # 2. There are none, and all items were in before we asked: this was the end.
            # 3. There are none yet: wait until more come in.
            if batch:
                after = batch[-1].ord
            elif all_in:
                return
            else:
                await self._intake.more()
            for work in drained(batch):
                if work.ord not in self._given:
                    yield work


def drained(batch: list[Work]) -> Iterator[Work]:
    """Pop items one at a time, so that the list does not keep finished items (100 KB of hits each) alive."""
    batch.reverse()
    while batch:
        yield batch.pop()


class Queue:
    """Items for workers, one at a time, at most `limit` of them, each with the calls promised to it that it needs.

    begun      how many were given out
    has_more   True once an item came that `limit` forbids
    lacking    the kind of call, or MONEY, of which the budget has too little for the next item; None while it fits
    """

    def __init__(
        self,
        items: AsyncIterator[Work],
        limit: int | None,
        promises: Promises,
        first_items: FirstItems,
        *,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Hand out items as they come; `room` is waited for before each, where reports must be readable in time."""
        self.begun = 0
        self.has_more = False
        self.lacking: str | None = None
        self._items = items
        self._limit = limit
        self._promises = promises
        self._first_items = first_items
        self._room = room
        self._lock = anyio.Lock(fast_acquire=True)

    async def next(self) -> Work | None:
        """Return the next item as soon as there is one; None when no more may be begun. Raises NotConfirmed."""
        async with self._lock:
            if self._ended or (work := await anext(self._items, None)) is None:
                return None
            self.has_more = self.begun == self._limit
            if not self.has_more:
                if self._room is not None:
                    await self._room()
                if self._first_items.watching:
                    await self._first_items.turn(work, self._promises.needed(work))
                self.lacking = await self._promises.make(work)
            if self._ended:
                return None
            self.begun += 1
            return work

    @property
    def _ended(self) -> bool:
        return self.has_more or self.lacking is not None


async def looked_at(items: AsyncIterator[Work], ports: Ports, tally: Counter[State]) -> AsyncGenerator[Work, None]:
    """Pass items on, each with whether its file changed, where that matters to what it costs, and what it reuses."""
    async for work in items:
        if ports.reuse is not None:
            await take_reused(work, ports, ports.reuse, tally)
        if work.sha256 is not None and paid_for(work, now=ports.now()).asks_file:
            now = await anyio.to_thread.run_sync(ports.digest, work.item.source, limiter=ports.reading)
            work.changed = now not in (None, work.sha256)  # one that cannot be read says so when it is uploaded
        if work.item.local and has_views(work.item.source):
            work.uploads = await missing_uploads(work, ports)
        yield work
