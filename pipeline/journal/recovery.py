"""Recovery of a run directory after a death of any kind, before the first call of the next run.

In this order:
1. Lines of results.jsonl that were written but not committed are adopted when they are what was written and belong to
   an item that is not settled (they carry the id of a paid task), and cut otherwise. A task that the journal cannot
   explain is never cut: the journal is not the newest, and nothing is changed.
2. Lines that a failing disk kept out of results.jsonl are appended to it, and creates of which it is known that they
   were not executed are taken back. So are records that were laid by while their details were waited for.
3. Creates without an outcome are put in doubt.
4. Open items that a person has tried again, and that the run did not reach, are open again.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from pipeline.journal.evidence import refuse_unknown_tasks
from pipeline.journal.kept_lines import Found, NotExecuted
from pipeline.journal.results_file import LineView, ResultsFile, read_line
from pipeline.journal.sql import changes, doubts, items, laid_by, line_index, reports, retry_selection
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line
from pipeline.journal.tail_check import WrittenGroup
from pipeline.models import UNFINISHED, WAITING, State
from pipeline.reports import PaidTask

_log = logging.getLogger(__name__)


class Recovered(NamedTuple):
    """The work that a start found to do: lines adopted, bytes cut, creates put in doubt."""

    adopted: int
    cut_bytes: int
    in_doubt: int


def recover(
    db: Database,
    results: ResultsFile,
    *,
    now: float,
    written: WrittenGroup | None = None,
    kept: Iterable[Found] = (),
) -> Recovered:
    """Bring journal and results.jsonl to one truth. Raises JournalError when results.jsonl was changed by others.

    `written` is the check of the last group of lines (journal/tail_check.py), `kept` are lines of an emergency
    (journal/emergency.py).
    """
    db.do("BEGIN IMMEDIATE")
    results.position(line_index.last(db))
    adopted = 0
    checked = written is not None and written.is_of_tail(results.end, started_at=db.meta("started_at"))
    for line in _as_written(results, written if checked else None):
        if not _adopt(db, line, results.adopt, now=now):
            break  # what follows a line that is not whole cannot be trusted either
        adopted += 1
    if not checked:  # else all of these lines are of creates that the journal has on their way
        refuse_unknown_tasks(db, results.path, results.tail())
    cut_bytes = results.cut()  # before the commit: a commit must never know lines that a cut could still remove
    for told in itertools.chain(kept, laid_by.lines(db)):
        if isinstance(told, NotExecuted):
            _take_back(db, told)
        elif isinstance(told, PaidTask):
            adopted += _await(db, told)
        else:
            adopted += _adopt(db, told, lambda raw: results.append([raw])[0], now=now)
    laid_by.clear(db)
    in_doubt = doubts.begin_for_unfinished(db)
    retry_selection.restore(db)
    db.do("COMMIT")
    return Recovered(adopted, cut_bytes, in_doubt)


def _as_written(results: ResultsFile, written: WrittenGroup | None) -> Iterator[bytes]:
    """Yield the lines of the tail, up to the first that its check says is not what was written."""
    for number, line in enumerate(results.tail(), start=1):
        if written is not None and not written.has(line):
            _log.warning(
                "recovery.line_refused line %s of the last %s is not what was written", number, len(written.lines)
            )
            return
        yield line


def _adopt(db: Database, raw: bytes, place: Callable[[bytes], Line], *, now: float) -> bool:
    """Settle an item by a line that was written but not committed; return False if no waiting item has such a line."""
    view = read_line(raw)
    found = None if view is None else items.find(db, view.item)
    if view is None or found is None or not _may_settle(db, *found, view):
        return False
    ord_, before = found
    own_task = view.task if view.same_as is None else None  # the task of a twin is that of its picture's first item
    created = before in (State.CREATING, State.IN_DOUBT, *reports.ASKED_FOR)
    if own_task is not None and not created and not view.reuses_task:
        changes.intend(db, ord_, request_id="adopted", at=now, calls=view.calls, hits=None)
    changes.settle(db, ord_, view.state, line=place(raw), calls=view.calls, task=own_task)
    return True


def names_unknown_task(db: Database, kept: Found) -> bool:
    """Return whether a line is of a task that the journal does not know: it is paid, and only here."""
    if isinstance(kept, NotExecuted):
        return False
    if isinstance(kept, PaidTask):
        return items.task_of(db, kept.item) != kept.task_id
    view = read_line(kept)
    if view is None or view.task is None:
        return False
    return items.task_of(db, view.item) != view.task.task_id


def _await(db: Database, paid: PaidTask) -> bool:
    """Note the task of an item whose report is awaited; return False if its create was not on its way."""
    found = items.find(db, paid.item)
    if found is None or found[1] not in (State.CREATING, State.IN_DOUBT):
        return False
    reports.await_reports(db, [(found[0], paid)])
    return True


def _take_back(db: Database, known: NotExecuted) -> None:
    """Let the item of a create that was not executed stand where it stood before; a later create of it is another."""
    found = items.find(db, known.item)
    if found is not None and found[1] is State.CREATING and doubts.intent(db, found[0])[0] == known.request_id:
        doubts.take_back(db, found[0], calls=known.calls)


def _may_settle(db: Database, ord_: int, before: State, view: LineView) -> bool:
    """Return whether this line may settle this item: it has no outcome yet, or a doubt that the line's task ends.

    A line that shows another picture than the item's is another item's, whatever id it has.
    """
    own_report = view.state is State.REPORTED and not (view.reuses_task and before in WAITING)
    if view.same_as is None and (own_report or before in reports.ASKED_FOR):
        known = items.task_of(db, view.item)
        waits = before in reports.ASKED_FOR and view.task is not None and view.task.task_id == known
    else:
        waits = before in UNFINISHED or (before is State.IN_DOUBT and view.state is State.TASKED)
    return waits and items.work(db, ord_).work.item.source == view.image.source
