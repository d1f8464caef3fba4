"""The cost of calls by the prices of a job: as numbers for JSON, and in words for people."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from pipeline.job.schema import JobSpec
from pipeline.models import Kind
from pipeline.system.wording import enumerated

_CENT = Decimal("0.01")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of calls that are planned. Amounts are decimals, as text in JSON."""

    currency: str  # as the job names it; empty where it names none
    amount: Decimal
    by: dict[str, Decimal]  # by endpoint, those that have a price and are called
    unpriced: list[str]  # endpoints that are called and have no price

    def __str__(self) -> str:
        return written(self.amount, self.currency) + _unpriced(self.unpriced)


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a run directory's calls over its life. Amounts are decimals, as text in JSON."""

    currency: str  # as the job names it; empty where it names none
    spent: Decimal  # on calls that were sent
    unknown: Decimal  # on calls that were reserved before a process was killed, and perhaps sent
    budget: Decimal | None  # the most that may ever be spent; None without a limit
    by: dict[str, Decimal]  # `spent`, by endpoint
    unpriced: list[str]  # endpoints that were called and have no price

    def __str__(self) -> str:
        of = "" if self.budget is None else f" of {written(self.budget, self.currency)}"
        more = f", and up to {written(self.unknown, self.currency)} when the process was killed" if self.unknown else ""
        return f"{written(self.spent, '' if of else self.currency)}{of} spent{more}{_unpriced(self.unpriced)}"


def cost_of_plan(spec: JobSpec, calls: Mapping[Kind, int]) -> Cost | None:
    """Return what planned calls cost; None where the job names no prices."""
    if not spec.prices:
        return None
    names, prices = spec.names, {kind: spec.price_of(kind) for kind, count in calls.items() if count}
    by = {names[kind]: price * calls[kind] for kind, price in prices.items() if price is not None}
    unpriced = [names[kind] for kind, price in prices.items() if price is None]
    return Cost(currency=spec.currency, amount=sum(by.values(), Decimal(0)), by=by, unpriced=unpriced)


def money_spent(spec: JobSpec, costs: Mapping[Kind, Decimal], calls: Mapping[Kind, tuple[int, int]]) -> Money | None:
    """Return what was spent: `costs` of the reserved calls, of which `calls` says how many were sent.

    None where the job names no prices.
    """
    if not spec.prices:
        return None
    unknown = {
        kind: (reserved - sent) * (spec.price_of(kind) or Decimal(0))
        for kind, (reserved, sent) in calls.items()
        if sent < reserved
    }
    spent: dict[Kind, Decimal] = {kind: cost - unknown.get(kind, 0) for kind, cost in costs.items()}
    names = spec.names
    return Money(
        currency=spec.currency,
        spent=sum(spent.values(), Decimal(0)),
        unknown=sum(unknown.values(), Decimal(0)),
        budget=spec.api.budget.money,
        by={names[kind]: amount for kind, amount in spent.items() if amount},
        unpriced=[names[kind] for kind, (_, sent) in calls.items() if sent and spec.price_of(kind) is None],
    )


def written(amount: Decimal, currency: str = "") -> str:
    """Write an amount with its currency: `1,204.50 CNY`; at least two decimals, and more where it has them."""
    plain = amount.normalize()
    exponent = plain.as_tuple().exponent
    assert isinstance(exponent, int)
    text = f"{amount.quantize(_CENT) if exponent > -2 else plain:,f}"
    return f"{text} {currency}" if currency else text


def _unpriced(names: list[str]) -> str:
    return f" ({enumerated(names)} {'has' if len(names) == 1 else 'have'} no price)" if names else ""
