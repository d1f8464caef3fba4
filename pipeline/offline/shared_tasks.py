"""Tasks that several items share because they show one picture: the line of one of them settles another in doubt."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.journal.sql import doubts, items, twins
from pipeline.journal.storage import Disk
from pipeline.offline.decisions import CREATED, Decision
from pipeline.results.reading import read_line


class SharedTask(NamedTuple):
    """The task of a picture as the line of another item with that picture has it."""

    line: bytes
    task_id: str
    same_as: str | None  # whose task it is; None when it is that of the item in doubt itself
    certain: bool  # False when the item in doubt may have had a create of its own


def shared_task(disk: Disk, ord_: int, task_id: str) -> SharedTask | None:
    """Find a task in the lines of the items that show the same picture as this one; None where it is not theirs."""
    return next((found for found in _of_its_picture(disk, ord_) if found.task_id == task_id), None)


def certain_decisions(disk: Disk) -> list[Decision]:
    """List the items in doubt whose picture's task is certainly theirs, each with that task."""
    decisions = []
    for ord_, id_ in doubts.listed(disk.db):
        found = next((found for found in _of_its_picture(disk, ord_) if found.certain), None)
        if found is not None:
            decisions.append(Decision(id_, CREATED, found.task_id, "the line of an item with the same picture"))
    return decisions


def _of_its_picture(disk: Disk, ord_: int) -> Iterator[SharedTask]:
    """Yield the tasks in the lines of other settled items with this one's picture.

    A line that names this item as the first holds this item's own task. The first's own line settles a twin, unless the
    twin was created itself before it was known to be one.
    """
    id_ = items.work(disk.db, ord_).work.item.id
    first = twins.first_of(disk.db, ord_)
    created = doubts.intent(disk.db, ord_)[0] is not None
    for other in twins.settled_beside(disk.db, ord_):
        other_id, _, line, _ = items.standing(disk.db, other)
        raw = disk.results.read(line) if line is not None else b""
        record = read_line(raw) if raw else None
        if record is None or record.task is None:
            continue
        own = record.same_as == id_
        certain = own or (other == first and not created)
        yield SharedTask(raw, record.task.task_id, None if own else record.same_as or other_id, certain)
