"""The words for a budget that is used up, and what to do then."""

from decimal import Decimal

from pipeline.journal.purse import Tariff
from pipeline.models import Kind, budget_name


def used_up(kind: Kind, cap: int | None) -> str:
    """Say which budget is used up, and what to do."""
    key = f"api.budget.{budget_name(kind)}"
    return f"the budget is used up: {key} is {cap or 0:,}; {_raise_it(key)}"


def money_used_up(tariff: Tariff, left: Decimal) -> str:
    """Say that the cap of money is used up, and what to do."""
    key = "api.budget.money"
    unit = f" {tariff.currency}" if tariff.currency else ""
    rest = max(left, Decimal(0))
    lacks = f"of which {rest:,f} is left, too little for another item beside those under way"
    return f"the budget is used up: {key} is {tariff.cap or 0:,f}{unit}, {lacks}; {_raise_it(key)}"


def _raise_it(key: str) -> str:
    return f"raise it with --set {key}=N (for `run` and `work` in the job file, too), then the same command goes on"
