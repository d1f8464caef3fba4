"""Items whose task is paid and whose report is not read yet, or will not be.

The task stands in the item's row from the moment its create is answered: whatever dies after that, the next run asks
for its report, and nothing is created again.
"""

from collections.abc import Sequence

import msgspec

from pipeline.errors import Code, JournalError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import WORK, packed, state_in, waiting_of
from pipeline.models import Calls, Problem, State, Task
from pipeline.reports import Awaited, PaidTask, TaskNote
from pipeline.system.clock import iso
from pipeline.system.structs import decode

STAGE = "report"
_BATCH = 512
_BEFORE = "json_extract(items.report, '$.replaces')"
ASKED_FOR = (State.REPORT_PENDING, State.REPORT_FAILED)  # whose tasks are paid, and may still bring a report
# Of those, the ones that a run asks about: not after the vendor's last word.
AWAITED = (
    f"({state_in((State.REPORT_PENDING,))} OR "
    f"({state_in((State.REPORT_FAILED,))} AND json_extract(problem, '$.consequence') = 'retry'))"
)
_REPLACING = f"iif({_BEFORE} IS NULL, step.report, json_set(step.report, '$.replaces', {_BEFORE}))"


def awaiting(task: Task) -> Problem:
    """Make the problem of an item whose report is not in."""
    message = f"the task {task.task_id} is paid, and its report is not in yet; it can be read until "
    return Problem(STAGE, Code.REPORT_PENDING, message + iso(task.expires_at), "retry", True)


def await_reports(db: Database, paid: Sequence[tuple[int, PaidTask]]) -> None:
    """Note the tasks of items that were on their way, all of them or none, in one statement; their hits stay."""
    rows = [
        [ord_, one.task_id, one.at, packed(one.calls), packed(one.note), packed(awaiting(one.task))]
        for ord_, one in paid
    ]
    columns = ", ".join(
        f"json_extract(value, '$[{place}]') AS {name}"
        for place, name in enumerate(("to_ord", "task_id", "task_at", "calls", "report", "problem"))
    )
    changed = db.do(
        f"UPDATE items SET state = {State.REPORT_PENDING:d}, calls = step.calls, task_id = step.task_id, "
        f"task_at = step.task_at, report = {_REPLACING}, problem = step.problem "
        f"FROM (SELECT {columns} FROM json_each(?1)) AS step WHERE ord = step.to_ord",
        (msgspec.json.encode(rows).decode(),),
    ).rowcount
    if changed != len(rows):
        raise JournalError(f"the journal refused the task of one of the items {[ord_ for ord_, _ in paid][:20]}")


def awaited(db: Database, *, after: int) -> list[Awaited]:
    """Read some of the items whose reports may still come, beyond `after`, in order; [] = no more."""
    rows = db.do(
        f"SELECT {WORK}, task_id, task_at, state FROM items WHERE {AWAITED} AND ord > ? ORDER BY ord LIMIT ?",
        (after, _BATCH),
    ).fetchall()
    return [Awaited(waiting_of(row).work, State(row[-1]), Task(row[-3], row[-2])) for row in rows]


def count_awaited(db: Database) -> int:
    """Count the items whose reports may still come and are asked for by a run."""
    (number,) = db.do(f"SELECT count(*) FROM items WHERE {AWAITED}").fetchone()
    return int(number)


def task_of(db: Database, ord_: int) -> Task:
    """Read the task of an item that has one."""
    return Task(*db.do("SELECT task_id, task_at FROM items WHERE ord = ?", (ord_,)).fetchone())


def note_of_task(db: Database, ord_: int) -> TaskNote:
    """Read what was asked of an item's task."""
    (note,) = db.do("SELECT report FROM items WHERE ord = ?", (ord_,)).fetchone()
    return decode(note, TaskNote) if note else TaskNote(0, 0, "")


def count_calls(db: Database, spent: Sequence[tuple[int, Calls]]) -> None:
    """Note the calls that were spent on items, which stay as they are."""
    for ord_, calls in spent:
        db.change(ord_, "calls = ?", (packed(calls),))
