"""The money of a job, as the journal needs it."""

from pipeline.job.schema import JobSpec
from pipeline.journal.purse import Tariff


def tariff_of(spec: JobSpec) -> Tariff:
    """Return the prices of a job by kind of call, and its cap."""
    prices = {kind: price for kind in spec.paced if (price := spec.price_of(kind)) is not None}
    return Tariff(prices, spec.api.budget.money, spec.currency)
