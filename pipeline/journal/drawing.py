"""Drawing from budgets that several machines share, before anything is noted here or sent.

What was drawn is claimed call by call. More is drawn while the last draw still holds, in a thread: the store of the
totals is slow, and the event loop must not wait for it. At a clean end the unclaimed rest is given back.
"""

import asyncio
import functools
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from typing import Protocol, TypeVar

import anyio

from pipeline.errors import Code, RunPaused

_T = TypeVar("_T")
AGAIN_S = 0.5  # a store that does not answer is asked again this often
PATIENCE_S = 600.0  # for so long; then the run pauses
END_S = 10.0  # the longest wait for it at the end of a run: what it does not take back stays spent
_MOST = 2**62
_ONE = Decimal(1)


class SharedCaps(Protocol):
    """The budgets that several machines share, by name. All but `left`, `fair` and `most_held` block.

    They return None or False when nobody knows whether it was done: it is to be done again.
    """

    def seed(self, kind: str, *, spent: Decimal, unknown: Decimal) -> bool:
        """Let the total hold what is `spent` here, of which `unknown` was never drawn."""

    def draw(self, kind: str, least: int, most: int, *, unit: Decimal, held: int) -> int | None:
        """Draw `least` to `most` units; 0 when there are too few."""

    def give_back(self, kind: str, amount: Decimal) -> bool:
        """Give back what was drawn and will never be spent."""

    def left(self, kind: str) -> Decimal | None:
        """Return what was left when it was seen last; None without a cap."""

    def fair(self, kind: str, *, unit: Decimal) -> Decimal | None:
        """Return the part of it that one machine may count on; None without a cap."""

    def most_held(self, kind: str, *, unit: Decimal) -> int | None:
        """Return how many units one machine may hold unused; None without a cap."""


class Drawing:
    """The draws of this process from shared budgets over its run directory's life, and the claims on them.

    drawn  by name; what earlier runs spent counts as drawn
    """

    def __init__(self, caps: SharedCaps) -> None:
        self.caps = caps
        self.drawn: dict[str, Decimal] = {}
        self._claimed: dict[str, Decimal] = {}
        self._last: dict[str, Decimal] = {}  # the size of the last draw
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._under_way: set[asyncio.Task[bool]] = set()
        self._ending = False

    async def begin(self, spent: Mapping[str, Decimal], known: Mapping[str, Decimal]) -> None:
        """Let the totals hold what this run directory spent; `known` is what they hold of it already."""
        for name, amount in spent.items():
            unknown = max(Decimal(0), amount - known.get(name, Decimal(0)))
            await self._answered(functools.partial(self._seed, name, amount, unknown))
            self.drawn[name] = self._claimed[name] = amount

    async def claim(self, name: str, count: int, unit: Decimal = _ONE) -> bool:
        """Claim units of what is drawn, and draw what lacks. Return False, and claim none, where there are too few."""
        turn, amount = self._turns[name], count * unit
        while self.held(name) < amount:
            async with turn:
                lacking = amount - self.held(name)
                if lacking > 0 and not await self._draw_for(name, lacking, unit):
                    return False
        self._claimed[name] += amount
        if not turn.locked() and self.held(name) * 4 < self._last.get(name, 0) and self.caps.left(name) != 0:
            self._start(self._draw_ahead(name, unit))
        return True

    def release(self, name: str, amount: Decimal) -> None:
        """Give a claim up."""
        self._claimed[name] -= amount

    def held(self, name: str) -> Decimal:
        """Return what is drawn and not claimed."""
        return self.drawn[name] - self._claimed[name]

    async def secure(self, name: str, lacking: Decimal, unit: Decimal = _ONE, *, force: bool) -> bool:
        """Draw what is lacking for items that are to be begun, so that no other machine takes it meanwhile.

        Without `force` nothing is drawn by which this machine would hold more than `most_held` that it does not use: if
        it dies, that is lost. Return whether anything was drawn.
        """
        async with self._turns[name]:
            units, before = _units(lacking, unit), self.drawn[name]
            most = self.caps.most_held(name, unit=unit)
            if units <= 0 or (not force and most is not None and _units(self.held(name), unit) + units > most):
                return False
            await self._draw(name, units, units, unit)
            return self.drawn[name] > before

    async def give_back(self, used: Mapping[str, Decimal]) -> None:
        """Give back, at a clean end, what is not used; where the store does not answer, it stays spent."""
        self._ending = True
        with anyio.move_on_after(END_S):
            if self._under_way:
                await asyncio.wait(self._under_way)
            for name, drawn in self.drawn.items():
                if drawn > used[name]:
                    back = functools.partial(self.caps.give_back, name, drawn - used[name])
                    await anyio.to_thread.run_sync(back, abandon_on_cancel=True)
                    self.drawn[name] = used[name]

    def _seed(self, name: str, spent: Decimal, unknown: Decimal) -> bool | None:
        return self.caps.seed(name, spent=spent, unknown=unknown) or None

    async def _draw_ahead(self, name: str, unit: Decimal) -> bool:
        async with self._turns[name]:
            return await self._ask(name, 1, _MOST, unit)

    async def _draw_for(self, name: str, lacking: Decimal, unit: Decimal) -> bool:
        """Draw whole units for what lacks, or just that: money in steps of one price may leave less than another's."""
        return await self._draw(name, _units(lacking, unit), _MOST, unit) or (
            lacking % unit > 0 and await self._draw(name, 1, 1, lacking)
        )

    async def _draw(self, name: str, least: int, most: int, unit: Decimal) -> bool:
        """Draw in a task of its own: a caller who is cancelled must not lose what was drawn."""
        return await asyncio.shield(self._start(self._ask(name, least, most, unit)))

    def _start(self, drawing: Coroutine[None, None, bool]) -> asyncio.Task[bool]:
        task = asyncio.get_running_loop().create_task(drawing)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever awaits it is told; a draw ahead that failed is tried again when it is needed

    async def _ask(self, name: str, least: int, most: int, unit: Decimal) -> bool:
        held = int(self.held(name) // unit)
        got = await self._answered(lambda: self.caps.draw(name, least, most, unit=unit, held=held))
        self.drawn[name] += got * unit
        if got:
            self._last[name] = got * unit
        return got >= least

    async def _answered(self, ask: Callable[[], _T | None]) -> _T:
        """Ask the store until it answers. Raises RunPaused after a long time, or at the end of the run."""
        until = anyio.current_time() + PATIENCE_S
        while (answer := await anyio.to_thread.run_sync(ask)) is None:
            if self._ending or anyio.current_time() > until:
                what = "the store of the leases does not answer, and no call goes without it; run again once it does"
                raise RunPaused(what, code=Code.LEASES, sent=False)
            await anyio.sleep(AGAIN_S)
        return answer


def _units(amount: Decimal, unit: Decimal) -> int:
    """Return how many units an amount takes."""
    whole, part = divmod(amount, unit)
    return int(whole) + (part > 0)
