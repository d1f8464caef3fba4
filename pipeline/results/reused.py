"""The part of a record that names what was reused of another run."""

import msgspec

from pipeline.models import Work


class ReusedPart(msgspec.Struct, frozen=True):
    """The item of another run directory whose search, and perhaps task, stands for one of this item's own."""

    run: str  # the name of the run directory, beside this one
    item: str
    task: bool  # whether its task is reused too


def reused_part(work: Work, task_id: str | None) -> ReusedPart | None:
    """Name what an item took of another run; `task_id` is that of its task, None without one."""
    if work.hits is None or work.hits.reused_from is None:
        return None
    run, item = work.hits.reused_from
    return ReusedPart(run, item, work.reused is not None and task_id == work.reused.task_id)
