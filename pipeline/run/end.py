"""The end of a run, however it ended: its journal is brought to an end, and its summary written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.calls.stats import Stats
from pipeline.errors import CallError, JournalError
from pipeline.job.schema import JobSpec
from pipeline.journal.collected import open_reports
from pipeline.journal.journal import Journal
from pipeline.journal.places import SUMMARY, collection_of
from pipeline.journal.storage import explaining_rows
from pipeline.models import Problem, State, Work
from pipeline.results.advice import todo_for
from pipeline.results.patent_counts import META, counts_in
from pipeline.results.record import RecordLines
from pipeline.results.summary import (
    Figures,
    Pictures,
    RunSummary,
    Said,
    build_summary,
    exit_of,
    item_counts,
    said_in,
    to_json,
)
from pipeline.run.collect_by import iso_of, start_by
from pipeline.run.directory import ENDED
from pipeline.run.tariff import with_spent_beside
from pipeline.system.clock import Clocks, iso
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole

if TYPE_CHECKING:  # `status` reads summaries and runs nothing
    from pipeline.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class Ending:
    """The parts of a run that know how it went."""

    folder: Path
    records: RecordLines
    engine: "Engine"
    journal: Journal
    stats: Stats
    started_at: float  # seconds since the epoch
    started: float  # on the steady clock
    pictures: Pictures | None = None


async def end(ending: Ending, *, limited: bool, clocks: Clocks | None = None) -> RunSummary:
    """Bring the journal to the end of the run and write summary.json; return the summary."""
    summary = await _summary(ending, clocks or Clocks(), limited=limited)
    write_whole(ending.folder / SUMMARY, to_json(summary))
    return summary


async def _summary(ending: Ending, clocks: Clocks, *, limited: bool) -> RunSummary:
    journal, stats = ending.journal, ending.stats
    started_at = iso(ending.started_at)
    # Whoever collects reports beside the run looks for this: what is collected later is joined by them, not here.
    await journal.remember({ENDED: started_at})
    counts, removed = await journal.finish()
    items = item_counts(counts, removed=removed)
    first_open, todo = first_of(await journal.open_items(after=0), ending.folder, ending.records.spec)
    ended_by = ending.engine.ended_by
    exit_code, exit_reason = exit_of(ended_by, items, first_open, limited=limited, todo=todo)
    budget = journal.budget
    units = budget.units_before + stats.units
    said = await _said(journal, stats)
    await journal.remember({"units_said": f"{said.by} {said.of}"})  # the units follow at each beat
    calls = {kind: (lease.used, lease.sent) for kind, lease in budget.calls.items()}
    spent = with_spent_beside(ending.records.spec, ending.folder, calls, budget.costs())
    now = clocks.wall()
    unread = await journal.reports.unread(now=now) if ending.records.spec.reads_later else []
    figures = Figures(
        started_at=started_at,
        finished_at=iso(now),
        unread=len(unread),
        collect_by=iso_of(start_by(ending.records.spec, unread)),
        duration_s=clocks.steady() - ending.started,
        exit_code=exit_code,
        exit_reason=exit_reason,
        ended_by=ended_by.code if isinstance(ended_by, CallError) else "",
        items=items,
        calls=spent.calls,
        patents=counts_in((await journal.recall([META]))[META]),
        units=units,
        costs=spent.costs,
        said=said,
        sent=stats.sent,
        refused_for_speed=sum(stats.too_fast.values()),
        retried=stats.retried,
        answers_of_others=stats.of_others,
        pictures=ending.pictures,
    )
    return build_summary(ending.folder, ending.records, figures)


def first_of(
    open_items: Sequence[tuple[Work, State, Problem]], folder: Path, spec: JobSpec
) -> tuple[Problem | None, str]:
    """Return the problem of the first open item, and what to do about it."""
    for run, items in ((folder, open_items), (collection_of(folder), open_reports(folder, limit=1))):
        for work, state, problem in items:
            return problem, todo_for(work, state, problem, run=run, about_picture=spec.api.is_about_picture)
    return None, ""


async def _said(journal: Journal, stats: Stats) -> Said:
    """Count the answers that said what was billed: those of this run, and of earlier ones that came to their end."""
    before = said_in((await journal.recall(["units_said"]))["units_said"])
    return Said(before.by + stats.said, before.of + stats.answers)


@contextmanager
def beside_a_journal(folder: Path) -> Iterator[None]:
    """Raise the one error of a run; where the system refused something, say that the journal keeps what was paid."""
    with explaining_rows(folder):
        try:
            yield
        except (OSError, BaseExceptionGroup) as exc:
            error = _first(exc) if isinstance(exc, BaseExceptionGroup) else exc
            if isinstance(error, OSError):
                what = f"{error.strerror or error}; what was paid is in the journal: mend it and run again"
                error = JournalError(Fault(what, where=str(error.filename or folder)))
            raise error from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of nested groups: they hold the same failure, seen by several workers."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
