"""The money of a run directory: what its calls cost, and the cap that they never exceed.

It follows the leases of calls (journal/budget.py): a lease is noted on disk together with what it costs, in one change,
before any of its calls may be sent. So the cap holds over kills, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.journal.sql.money import Priced, cost_of
from pipeline.models import Kind

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Tariff:
    """The money of a job: the price of each kind of call, and the most that all may cost; None without a cap."""

    prices: Mapping[Kind, Decimal] = field(default_factory=dict)
    cap: Decimal | None = None
    currency: str = ""
    beside: Decimal = _NOTHING  # spent under the same cap: for a run by collecting its reports, and the other way round


class Purse:
    """The money of one run. When it began, `calls` were reserved by kind, and `noted` says what they cost.

    prices  of the kinds that have one
    """

    def __init__(self, tariff: Tariff, noted: Mapping[Kind, Priced], calls: Mapping[Kind, int]) -> None:
        self.prices = tariff.prices
        self.tariff = tariff
        self._begun = dict(calls)
        self._before = cost_of(noted, tariff.prices, calls)

    def by_kind(self, calls: Mapping[Kind, int]) -> dict[Kind, Decimal]:
        """Return what so many calls of each kind cost over the life of the run directory, kind by kind."""
        return {kind: self._cost(kind, calls.get(kind, 0)) for kind in {**self._before, **self.prices}}

    def priced(self, kind: Kind, calls: int) -> list[tuple[Kind, Priced]]:
        """Return what is noted when so many calls of a kind are reserved; nothing for a kind without a price."""
        return [(kind, Priced(calls, self._cost(kind, calls)))] if kind in self.prices else []

    @property
    def capped(self) -> Mapping[Kind, Decimal]:
        """The price of each kind of call; empty without a cap."""
        return {} if self.tariff.cap is None else self.prices

    def left(self, calls: Mapping[Kind, int]) -> Decimal:
        """Return how much of the cap so many calls of each kind leave; only where there is one."""
        assert self.tariff.cap is not None
        return self.tariff.cap - self.tariff.beside - sum(self.by_kind(calls).values(), _NOTHING)

    def affords(self, kind: Kind, calls: Mapping[Kind, int], *, promised: Decimal = _NOTHING) -> int | None:
        """Return how many more calls of a kind the cap allows beside so many and a `promised` amount; None = any."""
        price = self.capped.get(kind)
        return max(0, int((self.left(calls) - promised) // price)) if price else None

    def _cost(self, kind: Kind, calls: int) -> Decimal:
        new = calls - self._begun.get(kind, 0)
        return self._before.get(kind, _NOTHING) + new * self.prices.get(kind, _NOTHING)
