"""The counts of a run that people compare from month to month: products with a similar design, and new ones."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.job.schema import JobSpec
from pipeline.results.before import Before, require_before
from pipeline.results.earlier_runs import KnownRun, Similar
from pipeline.results.reading import RecordView
from pipeline.results.score import ten_thousandths
from pipeline.results.survey import Survey
from pipeline.run.options import RunOptions
from pipeline.system.clock import Clocks, iso


def say_before(folder: Path, spec: JobSpec, options: RunOptions) -> None:
    """Say, before anything is paid, that there is no last run to compare with though one is asked for.

    Raises SpecError where one is named that is not there.
    """
    now = iso(Clocks().wall())
    here = KnownRun(job=spec.name, run=folder.name, started_at=now, vendor=spec.vendor, rehearsal=spec.rehearsal)
    if remark := require_before(folder, options.since, here):
        options.say(f"note: {remark}")


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
