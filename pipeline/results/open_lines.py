"""open.jsonl: a line for every open item, written anew from the journal, with the hits that are paid for it."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.journal.paid_hits import open_with_hits
from pipeline.journal.places import SPOOL
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.reports import note_of_task, task_of
from pipeline.models import OF_REPORT
from pipeline.reports import reused_task
from pipeline.results.advice import todo_for
from pipeline.results.reading import OPEN
from pipeline.results.record import RecordLines
from pipeline.results.record_parts import noted_task
from pipeline.system.files import ascii_line, write_whole


def write_open(folder: Path, db: Database, records: RecordLines) -> None:
    """Write open.jsonl in the job's order, whole or not at all; one line is in memory at a time."""
    write_whole(folder / OPEN, _lines(folder, db, records))


def _lines(folder: Path, db: Database, records: RecordLines) -> Iterator[bytes]:
    api = records.spec.api
    for work, state, problem, hits_lost in open_with_hits(db, folder / SPOOL, duplicates=api.duplicates):
        todo = todo_for(work, state, problem, run=folder, about_picture=api.is_about_picture)
        task = None
        if state in OF_REPORT:
            paid, note = task_of(db, work.ord), note_of_task(db, work.ord)
            task, work.reused = noted_task(paid, note), reused_task(paid, note)
        yield ascii_line(records.open(work, state, problem, task=task, hits_lost=hits_lost, todo=todo))
