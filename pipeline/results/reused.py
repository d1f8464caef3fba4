"""The part of a record that names what was reused of another run."""

import msgspec

from pipeline.models import Work
from pipeline.reports import ReusedTask


class ReusedPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The item of another run directory whose search, and perhaps task, stands for one of this item's own."""

    run: str  # the name of the run directory, beside this one
    item: str
    task: bool  # whether its task is reused too
    report: bool = False  # whether that run had read the task's report; else this run asked for it, or nobody


def reused_part(work: Work, task_id: str | None) -> ReusedPart | None:
    """Name what an item took of another run; `task_id` is that of its task, None without one."""
    task = work.reused
    if isinstance(task, ReusedTask) and task.task_id == task_id:
        return ReusedPart(task.run, task.item, task=True, report=task.report is not None)
    if work.hits is None or work.hits.reused_from is None:
        return None
    return ReusedPart(*work.hits.reused_from, task=False)
