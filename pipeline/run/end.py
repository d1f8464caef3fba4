"""The end of a run, however it ended: summary.json, open.jsonl and report.html are written for people."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.calls.stats import Stats
from pipeline.engine.engine import Engine
from pipeline.errors import CallError, ItemRefused
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.storage import RESULTS, reading_only
from pipeline.models import PAID, Problem, State, Work
from pipeline.results.advice import todo_for
from pipeline.results.open_lines import write_open
from pipeline.results.page.page import write_report
from pipeline.results.page.view import RunView
from pipeline.results.reading import OPEN, RecordView, read_line
from pipeline.results.record import RecordLines
from pipeline.results.summary import Figures, RunSummary, Said, build_summary, exit_of, item_counts, said_in, to_json
from pipeline.run.directory import REPORT, SUMMARY
from pipeline.sources.pictures import read_picture
from pipeline.system.clock import Clocks, iso
from pipeline.system.files import write_whole

REPORTED = 500  # items on the page; a page of a million pictures would help nobody
_COUNTED = ("tasked", "no_hits", "searched", "failed", "in_doubt", "expired", "not_started")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """The parts of a run that know how it went."""

    folder: Path
    records: RecordLines
    engine: Engine
    journal: Journal
    stats: Stats
    started_at: float  # seconds since the epoch
    started: float  # on the steady clock


async def end(ending: Ending, *, limited: bool, clocks: Clocks | None = None) -> RunSummary:
    """Bring the journal to the end of the run and write summary.json; return the summary."""
    summary = await _summary(ending, clocks or Clocks(), limited=limited)
    write_whole(ending.folder / SUMMARY, to_json(summary))
    return summary


def write_files(
    records: RecordLines, folder: Path, summary: RunSummary, *, hit_picture: Callable[[str], bytes | None]
) -> None:
    """Write open.jsonl and report.html; the journal is closed, so that its rows are read and written by nobody else."""
    with reading_only(folder) as db:
        write_open(folder, db, records)
    write_report_page(records.spec, folder, summary, hit_picture=hit_picture)


async def _summary(ending: Ending, clocks: Clocks, *, limited: bool) -> RunSummary:
    journal, stats = ending.journal, ending.stats
    counts, removed = await journal.finish()
    items = item_counts(counts, removed=removed)
    first_open, todo = first_of(await journal.open_items(after=0), ending.folder, ending.records.spec)
    ended_by = ending.engine.ended_by
    exit_code, exit_reason = exit_of(ended_by, items, first_open, limited=limited, todo=todo)
    budget = journal.budget
    units = budget.units_before + stats.units
    said = await _said(journal, stats)
    await journal.remember({"units": repr(units), "units_said": f"{said.by} {said.of}"})
    figures = Figures(
        started_at=iso(ending.started_at),
        finished_at=iso(clocks.wall()),
        duration_s=clocks.steady() - ending.started,
        exit_code=exit_code,
        exit_reason=exit_reason,
        ended_by=ended_by.code if isinstance(ended_by, CallError) else "",
        items=items,
        calls={kind: (budget.calls[kind].used, budget.calls[kind].sent) for kind in PAID},
        units=units,
        said=said,
        sent=stats.sent,
        refused_for_speed=sum(stats.too_fast.values()),
        retried=stats.retried,
    )
    return build_summary(ending.folder, ending.records, figures)


def first_of(
    open_items: Sequence[tuple[Work, State, Problem]], folder: Path, spec: JobSpec
) -> tuple[Problem | None, str]:
    """Return the problem of the first open item, and what to do about it."""
    for work, state, problem in open_items:
        return problem, todo_for(work.item, state, problem, run=folder, about_picture=spec.api.is_about_picture)
    return None, ""


async def _said(journal: Journal, stats: Stats) -> Said:
    """Count the answers that said what was billed: those of this run, and of earlier ones that came to their end."""
    before = said_in((await journal.recall(["units_said"]))["units_said"])
    return Said(before.by + stats.said, before.of + stats.answers)


def write_report_page(
    spec: JobSpec, folder: Path, summary: RunSummary, *, hit_picture: Callable[[str], bytes | None]
) -> None:
    """Write report.html; a page that cannot be written is logged and takes nothing from the run."""
    try:
        _write_page(spec, folder, summary, hit_picture=hit_picture)
    except Exception as exc:  # whatever it is, the run is over and its exit code stands
        _log.error("report.failed error=%s %s", type(exc).__name__, exc)


def _write_page(
    spec: JobSpec, folder: Path, summary: RunSummary, *, hit_picture: Callable[[str], bytes | None]
) -> None:
    view = RunView(
        job=summary.job,
        vendor=summary.vendor,
        rehearsal=summary.rehearsal,
        tool=summary.tool,
        started_at=summary.started_at,
        finished_at=summary.finished_at,
        counts={word: summary.items[word] for word in _COUNTED},
        calls={kind: spent.sent for kind, spent in summary.calls.items()},
        billed=summary.billed,
        exit_reason=summary.exit_reason,
        not_looked_at=summary.not_looked_at,
        search=f"{spec.search.endpoint}, the {spec.search.limit} most similar",
        ended_by=summary.ended_by,
        daily=spec.api.is_daily(summary.ended_by),
    )

    def picture(source: str, sha256: str | None) -> bytes | None:
        if source.startswith(("https://", "http://")):
            return hit_picture(source)
        try:
            now = read_picture(spec.root_path, source)
        except ItemRefused:
            return None
        # A file that changed since it was searched is another picture: it must not stand beside these hits.
        return now.data if sha256 in (None, now.sha256) else None

    write_report(folder / REPORT, view, _first_records(folder), picture=picture, most=REPORTED)


def _first_records(folder: Path) -> Iterator[RecordView | None]:
    """Yield the first records of both files, None for a line that is none: a page of a million would help nobody."""
    for name in (RESULTS, OPEN):
        with (folder / name).open("rb") as lines:
            for number, line in enumerate(islice(lines, REPORTED), start=1):
                try:
                    record = read_line(line)
                except ValueError as exc:
                    _log.error("report.line_unreadable file=%s line=%s %s", name, number, exc)
                    record = None
                yield record
