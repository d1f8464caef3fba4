"""The money of a job, as the journal needs it, and the budgets that a run shares with the collecting of its reports."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import MONEY, JournalError
from pipeline.job.schema import JobSpec
from pipeline.journal.collected import spent_beside
from pipeline.journal.drawing import SharedCaps
from pipeline.journal.journal import Journal
from pipeline.journal.purse import Tariff
from pipeline.journal.sql.money import cost_of
from pipeline.journal.writer import Writer
from pipeline.models import KINDS, Kind, budget_name


def tariff_of(spec: JobSpec, folder: Path | None = None) -> Tariff:
    """Return the prices of a job by kind of call, and its cap.

    With `folder`, the cap counts what is spent beside it: by its run, or by collecting its reports.
    """
    prices = {kind: price for kind in spec.paced if (price := spec.price_of(kind)) is not None}
    return Tariff(prices, spec.api.budget.money, spec.currency, _spent_beside(spec, folder))


def _spent_beside(spec: JobSpec, folder: Path | None) -> Decimal:
    return Decimal(0) if folder is None else sum(costs_beside(spec, folder).values(), Decimal(0))


def costs_beside(spec: JobSpec, folder: Path) -> dict[Kind, Decimal]:
    """Return what calls beside a run directory cost, by kind (journal/collected)."""
    calls, noted = spent_beside(folder)
    prices = {kind: price for kind in KINDS if (price := spec.price_of(kind)) is not None}
    return cost_of(noted, prices, {kind: reserved for kind, (reserved, _) in calls.items()})


def caps_of(spec: JobSpec) -> dict[str, Decimal | None]:
    """Return the caps of a job by the names of its budgets, as machines share them; None where there is none."""
    budgets = {kind: spec.api.budget_of(kind) for kind in (*KINDS, Kind.DETAILS)}
    calls = {budget_name(kind): None if cap is None else Decimal(cap) for kind, cap in budgets.items()}
    return {**calls, MONEY: spec.api.budget.money}


def open_budgets(writer: Writer, spec: JobSpec, folder: Path, shared: SharedCaps | None = None) -> Journal:
    """Make the journal of an execution in `folder`, with the budgets of its job; others spend those that are shared."""
    budgets = {kind: spec.api.budget_of(kind) for kind in (*KINDS, *spec.paced)}
    beside = {kind: reserved for kind, (reserved, _) in spent_beside(folder)[0].items()}
    tariff = tariff_of(spec, folder)
    return Journal(writer, budgets=budgets, duplicates=spec.api.duplicates, tariff=tariff, beside=beside, shared=shared)


class SpentInAll(NamedTuple):
    """The calls of a run and of the collecting of its reports, (reserved, sent) by kind, and what they cost."""

    calls: dict[Kind, tuple[int, int]]
    costs: dict[Kind, Decimal]


def with_spent_beside(
    spec: JobSpec, folder: Path, calls: Mapping[Kind, tuple[int, int]], costs: Mapping[Kind, Decimal]
) -> SpentInAll:
    """Add what was spent beside a run directory to what was spent in it: its budgets are one for both."""
    try:
        beside, more = spent_beside(folder)[0], costs_beside(spec, folder)
    except JournalError:  # whoever collects reports is told; what is counted here stands
        beside, more = {}, {}
    added = {kind: (calls.get(kind, (0, 0)), beside.get(kind, (0, 0))) for kind in {**calls, **beside}}
    return SpentInAll(
        {kind: (here[0] + there[0], here[1] + there[1]) for kind, (here, there) in added.items()},
        {kind: costs.get(kind, Decimal(0)) + more.get(kind, Decimal(0)) for kind in {**costs, **more}},
    )
