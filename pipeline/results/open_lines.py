"""open.jsonl: a line for every open item, written anew from the journal, with the hits that are paid for it."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from pipeline.journal.collected import has_collection
from pipeline.journal.paid_hits import open_with_hits
from pipeline.journal.places import OPEN_FILE, RESULTS, SPOOL, collection_of, run_of
from pipeline.journal.reports import read_at
from pipeline.journal.sql import collected
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import open_items
from pipeline.journal.sql.reports import note_of_task, task_of
from pipeline.journal.sql.rows import Line
from pipeline.journal.storage import reading_only
from pipeline.models import OF_REPORT, Problem, State, Work
from pipeline.reports import reused_task
from pipeline.results.advice import todo_for
from pipeline.results.collected import left_open
from pipeline.results.record import RecordLines
from pipeline.results.record_parts import noted_task
from pipeline.system.files import ascii_line, write_whole

_BATCH = 256


def write_open(
    folder: Path, db: Database, records: RecordLines, *, to: Path | None = None, named: Path | None = None
) -> None:
    """Write open.jsonl in the job's order, whole or not at all; one line is in memory at a time.

    Items of a run whose reports were collected and did not come follow, each with the twins that share its task.
    With `to` that file is written in its place, and the run directory stays as it is. Commands about it name it as
    `named`.
    """
    file, named = to or folder / OPEN_FILE, named or folder
    if run_of(folder) is not None:
        write_whole(file, _of_reports(folder, db, records))
    elif not has_collection(folder):
        write_whole(file, _lines(folder, db, records, named))
    else:
        with reading_only(collection_of(folder)) as reports:
            behind = _of_reports(collection_of(folder), reports, records, run=db)
            write_whole(file, itertools.chain(_lines(folder, db, records, named), behind))


def _lines(folder: Path, db: Database, records: RecordLines, named: Path) -> Iterator[bytes]:
    api = records.spec.api
    for work, state, problem, hits_lost in open_with_hits(db, folder / SPOOL, duplicates=api.duplicates):
        todo = todo_for(work, state, problem, run=named, about_picture=api.is_about_picture)
        task = None
        if state in OF_REPORT:
            paid, note = task_of(db, work.ord), note_of_task(db, work.ord)
            task, work.reused = noted_task(paid, note), reused_task(paid, note)
        yield ascii_line(records.open(work, state, problem, task=task, hits_lost=hits_lost, todo=todo))


def _of_reports(
    folder: Path, reports: Database, records: RecordLines, *, run: Database | None = None
) -> Iterator[bytes]:
    """Write the lines of reports that did not come; with the journal of the `run`, those that it is to list."""
    after = 0
    while batch := open_items(reports, after=after, limit=_BATCH):
        for work, state, problem in batch:
            after = work.ord
            if run is None or state is not State.REPORT_PENDING:
                yield from map(ascii_line, _of_report(folder, reports, records, (work, state, problem), run))


def _of_report(
    folder: Path,
    reports: Database,
    records: RecordLines,
    one: tuple[Work, State, Problem],
    run: Database | None,
) -> Iterator[bytes]:
    work, state, problem = one
    todo = todo_for(work, state, problem, run=folder, about_picture=records.spec.api.is_about_picture)
    found = collected.line_of(reports, work.ord)
    anew = None
    if state in OF_REPORT and (found is None or not found[1]):
        anew = noted_task(task_of(reports, work.ord), note_of_task(reports, work.ord))
    places: list[Line] = [] if found is None else [found[0]]
    if run is not None:
        places = collected.lines_with(run, work.item.id)
    for place in places:
        if (line := read_at(folder.parent / RESULTS, place)) is not None:
            yield left_open(line, state, problem, todo=todo, anew=anew)
