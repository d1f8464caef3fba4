"""Errors turned into problems and doubts, and the outcome of a second create for an item in doubt."""

from dataclasses import replace
from typing import assert_never

from pipeline.endpoints.consequences import Condition
from pipeline.errors import CallError, Code, InDoubt, ItemRefused, PipelineError
from pipeline.models import Problem
from pipeline.outcomes import Doubtful, Expired, Failed, NoHits, Outcome, PutBack, SearchOnly, Tasked
from pipeline.system.clock import iso


def doubtful(error: InDoubt, sent_at: float | None) -> Doubtful:
    """Turn the error of a create that may exist into an outcome; its message says when the create was sent."""
    when = "" if sent_at is None else f" (sent {iso(sent_at)})"
    problem = problem_of("create", error)
    return Doubtful(replace(problem, message=f"{problem.message}{when}; it may exist and be paid"))


def after_doubt(doubt: Problem, outcome: Outcome) -> Outcome:
    """Return the outcome of an item in doubt after its second create had `outcome`: only a task ends the doubt."""
    match outcome:
        case Tasked() | PutBack():
            return outcome
        case Doubtful(problem):
            return Doubtful(problem.with_earlier(doubt))
        case Failed(problem) | Expired(problem):
            second = f"was tried and failed: {problem.message}"
        case NoHits() | SearchOnly():
            second = "was not made: a new search found nothing to make it of"
        case _:
            assert_never(outcome)
    return Doubtful(replace(doubt, message=f"{doubt.message}; a second create {second}"))


def problem_of(stage: str, error: CallError) -> Problem:
    """Return the problem of an item whose call failed at `stage`."""
    consequence = "in_doubt" if isinstance(error, InDoubt) else "fail" if isinstance(error, ItemRefused) else "retry"
    return Problem(
        stage=stage,
        code=error.code,
        message=error.message,
        consequence=consequence,
        # What the vendor refused for good stays refused; a file on this machine can be mended and costs nothing.
        retryable=consequence == "retry" or stage == "read" or error.code == Code.EXPIRED,
        request_id=error.request_id,
        correlation_id=error.correlation_id,
    )


def is_budget(error: PipelineError) -> bool:
    """Return whether an error is that of a budget that is used up."""
    return isinstance(error, CallError) and error.code == Code.BUDGET


def counts_as_systemic(error: CallError, row: Condition | None) -> bool:
    """Return whether a failure counts for `SystemicRefusals`: repeated, it means that other items will fail alike."""
    if isinstance(error, ItemRefused):
        return row is None or not row.about_picture
    return row is not None and row.alive


def task_twice(task_id: str, owner: str, request_id: str | None) -> InDoubt:
    """Make the error of a create that was answered with the task of another item, `owner`."""
    return InDoubt(
        f"the vendor says success and names the task {task_id}, which it named for {owner!r} before",
        code=Code.TASK_TWICE,
        may_exist=True,
        request_id=request_id,
    )
