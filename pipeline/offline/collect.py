"""Reports that are collected for a run: the work on them, and the run's own files made anew behind it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from pipeline.errors import RunLocked
from pipeline.journal.collected import has_collection
from pipeline.journal.paid_hits import hits_last, spool
from pipeline.journal.places import RESULTS, collection_of, run_of
from pipeline.journal.reports import read_at
from pipeline.journal.sql import collected
from pipeline.journal.sql.items import counts
from pipeline.journal.sql.rows import hits_of
from pipeline.journal.storage import Disk, reading_only
from pipeline.models import State
from pipeline.offline.opening import find_run, opened
from pipeline.offline.refresh import try_refresh
from pipeline.offline.report import LOOK_EVERY_S, PATIENCE_S, has_noted_end
from pipeline.results.reading import read_line
from pipeline.results.summary import RunSummary
from pipeline.run.collecting import as_collected, why_alone
from pipeline.run.load import Job, load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Again, RunOptions


def collecting_job(run: Path, overrides: Sequence[str]) -> Job:
    """Load the job of a run as its reports are collected. Raises SpecError."""
    job = load_again(run, overrides=overrides)
    return replace(job, spec=as_collected(job.spec))


def collect_reports(
    run: Path, job: Job, options: RunOptions, *, ords: Sequence[int] = (), risked: bool = False
) -> RunSummary:
    """Read the reports of a run's tasks until all are in and the run is over; return the summary of that.

    `ords` are items of these reports that a person wants to pay for anew; with `risked` they are in doubt, and each may
    be paid twice.
    """
    run = run.resolve()
    alone = why_alone(find_run(run).spec, run, paying=bool(ords))
    again = Again(collection_of(run), tuple(ords), risked=risked, of=run, alone=alone)
    summary = LocalExecutor().run(job, replace(options, again=again))
    refresh_run(run, options)
    if not summary.items["all"] and not summary.exit_code:
        return msgspec.structs.replace(summary, exit_reason="there is no paid task whose report could be read")
    return summary


def bring_hits(disk: Disk, state: State, *, now: float) -> None:
    """Let the items of collected reports in this state have the hits that the run paid, as far as these can be used.

    So whoever pays for a new task of one does not pay for its search again; only an item whose record keeps some of
    its hits is searched again.
    """
    run = run_of(disk.folder)
    for ord_ in collected.without_hits(disk.db, state) if run is not None else ():
        note, place = collected.note_of(disk.db, ord_), collected.line_of(disk.db, ord_)
        if run is None or place is None or not hits_last(note.at, now=now):
            continue
        line = read_at(run / RESULTS, place[0])
        if line is None or len((record := read_line(line)).hits) != len(note.scores):
            continue
        paid = spool(disk, ord_, hits_of(note, bytes(record.raw_hits)))
        if paid is not None:
            collected.bring(disk.db, ord_, paid[1])


def refresh_run(run: Path, options: RunOptions) -> None:
    """Make the run's own files anew, unless a run goes on there: that one makes them when it ends."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        try:
            place = find_run(run)
            with opened(run) as disk:
                remark = try_refresh(place, disk.db)
            if remark:
                options.say(f"note: {remark}")
            return
        except RunLocked:
            if not has_noted_end(run):  # it reads what was collected after it has noted its end
                return
            time.sleep(LOOK_EVERY_S)


def directory_with(run: Path, state: State) -> Path:
    """Return the directory whose items in this state a person means: those of the reports, where the run has none."""
    if run_of(run) is None and has_collection(run):
        with reading_only(run) as db:
            if not counts(db).get(state):
                return collection_of(run)
    return run
