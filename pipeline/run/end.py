"""What a run leaves for people when it ends, however it ended: open.jsonl, summary.json, report.html."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.calls.client import Client
from pipeline.engine.engine import Engine
from pipeline.errors import ItemRefused, PipelineError
from pipeline.job.outlook import not_looked_at, warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.storage import RESULTS
from pipeline.models import PAID, Problem, State, Work
from pipeline.results.page.page import write_report
from pipeline.results.page.view import RunView
from pipeline.results.reading import OPEN, RecordView, read_line
from pipeline.results.record import RecordWriter
from pipeline.results.summary import RunSummary, Spent, calls_per_settled, item_counts, to_json
from pipeline.run.directory import REPORT, SUMMARY
from pipeline.sources.pictures import read_picture
from pipeline.system.clock import iso, steady
from pipeline.system.files import ascii_line, write_whole
from pipeline.version import __version__

REPORTED = 500
_COUNTED = ("tasked", "no_hits", "searched", "failed", "in_doubt", "expired", "not_started")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """The parts that know how the run went."""

    spec: JobSpec
    records: RecordWriter
    engine: Engine
    client: Client
    journal: Journal
    folder: Path
    started_at: float
    began: float | None = None  # on the steady clock


async def write_open(ending: Ending) -> None:
    """Write open.jsonl anew: every open item, in the job's order."""
    lines = []
    after = 0
    while batch := await ending.journal.open_items(after=after):
        lines += [ascii_line(ending.records.open(work, state, problem)) for work, state, problem in batch]
        after = batch[-1][0].ord
    write_whole(ending.folder / OPEN, lines)


async def summarise(ending: Ending, *, generation: int, limited: bool) -> RunSummary:
    """Add everything up and write summary.json."""
    counts, removed = await ending.journal.finish(generation)
    items = item_counts(counts, removed=removed)
    exit_code, exit_reason = exit_of(
        ending.engine.ended_by, items, await ending.journal.open_items(after=0), limited=limited
    )
    stats, now = ending.client.stats, time.time()
    lives = {kind: ending.journal.budget.calls[kind] for kind in PAID}
    units = ending.journal.budget.units_before + stats.units
    await ending.journal.remember({"units": repr(units)})
    summary = RunSummary(
        job=ending.spec.name,
        run=ending.folder.name,
        vendor=ending.spec.vendor,
        tool=__version__,
        spec_sha256=ending.records.spec_sha256,
        started_at=iso(ending.started_at),
        finished_at=iso(now),
        duration_s=round(now - ending.started_at if ending.began is None else steady() - ending.began, 3),
        exit_code=exit_code,
        exit_reason=exit_reason,
        items=items,
        calls={
            kind.value: Spent(lease.sent, lease.used - lease.sent, ending.spec.api.budget_of(kind))
            for kind, lease in lives.items()
        },
        calls_this_run={kind.value: stats.sent[kind] for kind in PAID},
        units_billed=units,
        calls_per_settled=calls_per_settled(items, {kind: lease.sent for kind, lease in lives.items()}),
        refused_for_speed=sum(stats.too_fast.values()),
        retried=stats.retried,
        not_looked_at=not_looked_at(ending.spec),
        warnings=warnings(ending.spec),
        results=str(ending.folder / RESULTS),
    )
    write_whole(ending.folder / SUMMARY, to_json(summary))
    return summary


def exit_of(
    ended_by: PipelineError | None,
    items: Mapping[str, int],
    still_open: Sequence[tuple[Work, State, Problem]],
    *,
    limited: bool,
) -> tuple[int, str]:
    """The exit code and why, in one line; `still_open` begins with the first open item."""
    if ended_by is not None:
        return ended_by.exit_code, str(ended_by)
    if items["open"]:
        said = f"finished; {_are(items['open'])} open, see {OPEN}"
        for _, _, problem in still_open[:1]:
            first = "" if items["open"] == 1 else "the first: "
            said += f"; {first}{problem.message[:200]}; `pipeline status` says what to do"
        if items["in_doubt"]:
            said += f"; decide about the {items['in_doubt']:,} in doubt with `pipeline resolve`"
        return 1, said
    if items["not_started"]:
        rest = f"{_are(items['not_started'])} not started; run again to go on"
        return (0, f"stopped at --limit; {rest}") if limited else (1, rest)
    return 0, "all items are settled"


def _are(count: int) -> str:
    return "1 item is" if count == 1 else f"{count:,} items are"


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
        tool=summary.tool,
        started_at=summary.started_at,
        finished_at=summary.finished_at,
        counts={word: summary.items[word] for word in _COUNTED},
        calls={kind: spent.sent for kind, spent in summary.calls.items()},
        units=summary.units_billed,
        exit_reason=summary.exit_reason,
        not_looked_at=summary.not_looked_at,
        search=f"{spec.search.endpoint}, the {spec.search.limit} most similar",
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
