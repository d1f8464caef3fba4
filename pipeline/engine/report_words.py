"""The words for reports that are awaited, were not given, or are lost. They say nothing about any picture."""

from pipeline.errors import CallError, Code
from pipeline.models import Problem, Task
from pipeline.system.clock import iso
from pipeline.system.wording import duration

STAGE = "report"


def failed_at_vendor(task: Task, request_id: str) -> Problem:
    """Make the problem of a task that the vendor calls failed."""
    what = f"the vendor says that the task {task.task_id} failed; whether it is billed all the same is not known"
    return Problem(STAGE, Code.REPORT_FAILED, what, "fail", False, request_id)


def no_answer(task: Task, settle_s: float, request_id: str) -> Problem:
    """Make the problem of a task that says nothing of itself for longer than tasks take."""
    what = (
        f"no report of the task {task.task_id} came within {duration(settle_s)} (task.settle_s), and the vendor does "
        f"not say how it stands; a report may still come until {iso(task.expires_at)}"
    )
    return Problem(STAGE, Code.NO_ANSWER, what, "retry", True, request_id)


def not_read(task: Task, error: CallError) -> Problem:
    """Make the problem of a task whose report could not be asked for."""
    what = f"the question for the report of the task {task.task_id} failed: {error.message}"
    return Problem(STAGE, error.code, what, "retry", True, error.request_id, error.correlation_id)


def lost(task: Task) -> Problem:
    """Make the problem of a task that expired before its report was read."""
    what = f"the task {task.task_id} expired at {iso(task.expires_at)}, before its report was read"
    return Problem(STAGE, Code.REPORT_LOST, what, "fail", False)


def cannot_be_asked(error: CallError, otherwise: str, *, submits: bool) -> str:
    """Say that this account may not ask for reports, why the run ends for it, and what a person can do."""
    off = (
        ""
        if submits
        else "; to open tasks whose reports nobody reads, write `task: {report: off}` and run with --accept-changes"
    )
    return (
        f"{error.message}; no report can be read, so no more tasks are paid for, and those that are paid stay "
        f"report_pending. {otherwise}{off}"
    )


def not_asked_any_more(error: CallError) -> str:
    """Say why no report is asked for any more in this run."""
    return f"reports are not asked for any more in this run: {error.message}"


def some_not_asked_any_more(error: CallError) -> str:
    """Say why some reports are not asked for any more in this run: those that were promised a question still are."""
    return f"some reports are not asked for any more in this run: {error.message}"


def held_back(tasks: int, qps: float) -> str:
    """Say that creates are held back for the reports that could not be read in time."""
    return (
        f"creates wait: {tasks:,} tasks are as many as can be read at {qps:g} questions a second (api.qps.query) before"
        " the last hour of their lives"
    )
