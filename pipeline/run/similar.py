"""The counts of a run that people compare from month to month: products with a similar design, and new ones."""

from collections.abc import Iterator

from pipeline.job.schema import JobSpec
from pipeline.results.before import Before
from pipeline.results.earlier_runs import Similar
from pipeline.results.reading import RecordView
from pipeline.results.score import ten_thousandths
from pipeline.results.survey import Survey


def similar_in(spec: JobSpec, settled: Survey, open_: Survey, before: Before) -> Similar:
    """Count products with a hit at or above report.at_least; those with a new one where there is an earlier run."""
    line = float(spec.report.at_least)
    products = settled.at_least(line) + open_.at_least(line)
    if before.earlier is None:
        return Similar(at_least=line, products=products)
    new = sum(before.earlier.has_new(record, line) for record in _above(settled, open_, line))
    return Similar(at_least=line, products=products, new=new, since=before.name)


def _above(settled: Survey, open_: Survey, line: float) -> Iterator[RecordView]:
    """Yield the records whose best hit scores at least so much."""
    for survey in (settled, open_):
        for score, record in survey.scored():
            if ten_thousandths(score) < ten_thousandths(line):
                break
            yield record
