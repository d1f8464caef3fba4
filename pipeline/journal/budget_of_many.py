"""Paid calls counted against budgets that several machines share (ports.Budget).

Each call is drawn from the store of the totals before it is noted here, and noted here before it is sent. An item that
is begun may count on what is drawn here, and on its part of the rest; near the end of a budget all that it needs is
drawn for it before, so that no other machine takes it while the item is under way.
"""

from collections.abc import Mapping
from decimal import Decimal

from pipeline.errors import MONEY
from pipeline.journal.budget import Budget, Lease
from pipeline.journal.drawing import SharedCaps
from pipeline.journal.purse import Tariff
from pipeline.journal.shared_calls import DRAWN, SharedCalls
from pipeline.journal.writer import Writer
from pipeline.models import Kind

_NOTHING = Decimal(0)


class BudgetOfMany(Budget):
    """The budget of a run whose caps others spend, too: `shared` is what all have together."""

    def __init__(
        self,
        writer: Writer,
        budgets: Mapping[Kind, int | None],
        tariff: Tariff | None,
        shared: SharedCaps,
        *,
        beside: Mapping[Kind, int] | None = None,
    ) -> None:
        super().__init__(writer, budgets, tariff, beside=beside)
        self._shared = SharedCalls(shared)

    async def begin(self) -> None:
        """Start as a budget of one does; and let the others know what was reserved before they shared it."""
        await super().begin()
        noted = await self._writer.do(lambda disk: disk.db.meta(DRAWN))
        told = await self._shared.begin(self._used(), self._cost_or_none(self._used()), noted)
        self._writer.post(lambda disk: disk.db.set_meta(DRAWN, told))

    def left(self, kind: Kind) -> int | None:
        """Return how many more calls may be given out, though others draw meanwhile; None without a limit."""
        return self._least(super().left(kind), kind, fair=True)

    def money_left(self) -> Decimal:
        """Return how much more may be spent, though others draw meanwhile; only where `prices` are asked for."""
        return min(
            super().money_left(),
            self._shared.most_money(max(self.prices.values()), fair=True) - self._cost(self._used()),
        )

    def affords(self, kind: Kind, *, promised: Decimal) -> int | None:
        """Return how many more calls all caps allow at this moment beside a `promised` amount; None = any."""
        used = self._used()
        limits = [self._least(super().left(kind), kind, fair=False)]
        if self.purse is not None and (price := self.prices.get(kind)):
            limits.append(self.purse.affords(kind, used, promised=promised))
            limits.append(
                max(0, int((self._shared.most_money(price, fair=False) - self._cost(used) - promised) // price))
            )
        return min((limit for limit in limits if limit is not None), default=None)

    async def secure(self, lacking: str, promised: Mapping[Kind, int], *, force: bool) -> bool:
        """Draw what lacks, a kind of call or MONEY, for calls that are promised or are about to be.

        Without `force` nothing is drawn by which this machine would hold too much that it does not use: if it dies,
        that is lost. Return whether anything was drawn.
        """
        if lacking != MONEY:
            kind = Kind(lacking)
            return await self._shared.secure(kind, self.calls[kind].used + promised.get(kind, 0), force=force)
        costs = {kind: count * price for kind, price in self.prices.items() if (count := promised.get(kind))}
        price = max((self.prices[kind] for kind in costs), default=_NOTHING)
        wanted = self._cost(self._used()) + sum(costs.values())
        return bool(price) and await self._shared.secure_money(wanted, price, force=force)

    def release(self, kind: Kind, count: int = 1) -> None:
        """Give back reserved calls that were not sent."""
        super().release(kind, count)
        self._shared.release(kind, count, self._price(kind))

    async def reserve(self, kind: Kind, count: int = 1) -> None:
        """Make calls count against the shared budget, then here, durably. Raises RunPaused when either has too few."""
        if (lacking := await self._shared.claim(kind, count, self._price(kind))) is not None:
            raise self.used_up(lacking)
        try:
            await super().reserve(kind, count)
        except BaseException:  # also when the caller is cancelled: it sends nothing
            self._shared.release(kind, count, self._price(kind))
            raise

    async def end_sharing(self) -> None:
        """Give back, at the end of the run, what was drawn and not given out."""
        await self._shared.give_back(self._used(), self._cost_or_none(self._used()))

    def _room(self, kind: Kind, lease: Lease) -> tuple[int | None, int | None]:
        """Return how many more calls may be leased by the caps, and of what is drawn."""
        drawn, price = self._shared.drawn(kind) - lease.reserved, self._price(kind)
        if price:
            drawn = min(drawn, int((self._shared.money - self._cost(self._asked())) // price))
        return super()._room(kind, lease)[0], drawn

    def _noted_with(self, reserved: Mapping[Kind, int]) -> Mapping[str, str]:
        if not self._shared.has_begun:  # what the store knows stays as it is noted
            return {}
        return {DRAWN: self._shared.noting(reserved, self._cost_or_none({**self._asked(), **reserved}))}

    def _least(self, left: int | None, kind: Kind, *, fair: bool) -> int | None:
        """Return the lesser of what our cap leaves, and of what others leave us."""
        return None if left is None else min(left, self._shared.most(kind, fair=fair) - self.calls[kind].used)

    def _price(self, kind: Kind) -> Decimal:
        """Return the price of a call; nothing where it has none."""
        return _NOTHING if self.purse is None else self.purse.prices.get(kind, _NOTHING)

    def _cost(self, calls: Mapping[Kind, int]) -> Decimal:
        """Return what so many calls cost; nothing where the job names no prices."""
        return _NOTHING if self.purse is None else sum(self.purse.by_kind(calls).values(), _NOTHING)

    def _cost_or_none(self, calls: Mapping[Kind, int]) -> Decimal | None:
        """Return the same; None where the job names no prices, for then what was paid before stays as it is noted."""
        return None if self.purse is None else self._cost(calls)
