"""The counts of a run that people compare from month to month: products with a similar design, and new ones."""

import logging
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import JournalError, SpecError
from pipeline.job.schema import JobSpec
from pipeline.results.earlier_runs import LAST, Similar, earlier_run
from pipeline.results.reading import RecordView
from pipeline.results.score import ten_thousandths
from pipeline.results.since import read_earlier
from pipeline.results.survey import Survey

_log = logging.getLogger(__name__)


def similar_in(folder: Path, spec: JobSpec, settled: Survey, open_: Survey) -> Similar:
    """Count products with a hit at or above report.at_least; those with a new one where there is an earlier run."""
    line = float(spec.report.at_least)
    counted = Similar(at_least=line, products=settled.at_least(line) + open_.at_least(line))
    try:
        earlier = read_earlier(before := earlier_run(folder, LAST))
    except (SpecError, JournalError) as error:
        _log.info("similar.not_compared %s", error)
        return counted
    new = sum(earlier.has_new(record, line) for record in _above(settled, open_, line))
    return Similar(at_least=line, products=counted.products, new=new, since=before.name)


def _above(settled: Survey, open_: Survey, line: float) -> Iterator[RecordView]:
    """Yield the records whose best hit scores at least so much."""
    for survey in (settled, open_):
        for score, record in survey.scored():
            if ten_thousandths(score) < ten_thousandths(line):
                break
            yield record
