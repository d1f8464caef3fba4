"""What is worked on next: what expires first goes first, the rest in the job's order, as it comes in."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing

import anyio

from pipeline.engine.intake import Intake
from pipeline.models import State, Work
from pipeline.ports import WaitingItems

_TOGETHER = 32  # items taken at once: those whose search is paid bring their hits along, up to 100 KB each


class Feed:
    """The waiting items of one pass, each once. `tally` follows items whose hits turn out too old."""

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
        # An item on its way may look like one that waits: its hits expired and are searched again, say.
        self._given: set[int] = set()

    async def items(self) -> AsyncGenerator[Work, None]:
        """Items whose hits are paid, then uploaded ones, each by what expires first; then the rest."""
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
        """Items in doubt that may be created once more."""
        after = 0
        while not self._ended():
            batch = await self._waiting.take_doubtful(after=after, generation=self._intake.generation, now=self._now())
            if not batch:
                return
            after = batch[-1].ord
            for work in _each(batch):
                yield work

    async def _expiring(self, state: State) -> AsyncGenerator[Work, None]:
        found = await self._waiting.expiring(state, generation=self._intake.generation, now=self._now())
        ords = [ord_ for ord_ in found if ord_ not in self._given]
        for start in range(0, len(ords), _TOGETHER):
            if self._ended():
                return
            for work in _each(await self._waiting.take_these(ords[start : start + _TOGETHER], now=self._now())):
                yield work

    async def _rest(self) -> AsyncGenerator[Work, None]:
        after = 0
        while not self._ended():
            all_in = self._intake.done
            batch = await self._waiting.take(
                State.PENDING, after=after, generation=self._intake.generation, now=self._now()
            )
            if batch:
                after = batch[-1].ord
            elif all_in:
                return
            else:
                await self._intake.more()
            for work in _each(batch):
                if work.ord not in self._given:
                    yield work


def _each(batch: list[Work]) -> Iterator[Work]:
    """The items of a batch in order, none of them kept: what an item is given on its way would stay as long."""
    batch.reverse()
    while batch:
        yield batch.pop()


class Handout:
    """Items given to whoever is free, at most `limit`; `given` counts, `left` says that there are more than that."""

    def __init__(self, items: AsyncIterator[Work], limit: int | None) -> None:
        self.given = 0
        self.left = False
        self._items = items
        self._limit = limit
        self._turn = anyio.Lock(fast_acquire=True)

    async def next(self) -> Work | None:
        """The next item, as soon as there is one; None when there are no more."""
        async with self._turn:
            if self.left or (work := await anext(self._items, None)) is None:
                return None
            self.left = self.given == self._limit
            self.given += not self.left
            return None if self.left else work
