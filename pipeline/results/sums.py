"""The figures of several run directories as those of one: counts, calls and money."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from pipeline.results.money import Money


def added(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add counts by word; `removed` stays the last word of items."""
    total: dict[str, int] = {}
    for counts in many:
        for word, number in counts.items():
            total[word] = total.get(word, 0) + number
    if "removed" in total:
        total["removed"] = total.pop("removed")
    return total


def spent_in_all(many: Iterable[Money | None]) -> Money | None:
    """Add what was spent; the budget is one for all. None where the job names no prices."""
    known = [one for one in many if one is not None]
    if not known:
        return None
    by: dict[str, Decimal] = {}
    for one in known:
        for endpoint, amount in one.by.items():
            by[endpoint] = by.get(endpoint, Decimal(0)) + amount
    return Money(
        currency=known[0].currency,
        spent=sum((one.spent for one in known), Decimal(0)),
        unknown=sum((one.unknown for one in known), Decimal(0)),
        budget=known[0].budget,
        by=by,
        unpriced=list(dict.fromkeys(name for one in known for name in one.unpriced)),
    )
