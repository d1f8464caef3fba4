"""Errors to outcomes: problems, doubts, and what the second create of an item in doubt came to."""

from dataclasses import replace
from typing import assert_never

from pipeline.errors import CallError, Code, InDoubt, ItemRefused
from pipeline.models import Doubtful, Failed, Lapsed, NoHits, Outcome, Problem, PutBack, SearchOnly, Tasked
from pipeline.system.clock import iso


def doubtful(error: InDoubt, sent_at: float | None) -> Doubtful:
    """A create that may exist: what happened, when, and who decides."""
    when = "" if sent_at is None else f" (sent {iso(sent_at)})"
    problem = problem_of("create", error)
    return Doubtful(replace(problem, message=f"{problem.message}{when}; it may exist and be paid"))


def after_doubt(doubt: Problem, outcome: Outcome) -> Outcome:
    """What the second create of an item in doubt came to: only a task ends the doubt about the first."""
    match outcome:
        case Tasked() | PutBack():
            return outcome
        case Doubtful(problem):
            return Doubtful(problem.with_earlier(doubt))
        case Failed(problem) | Lapsed(problem):
            said = f"was tried and failed: {problem.message}"
        case NoHits() | SearchOnly():
            said = "was not made: a new search found nothing to make it of"
        case _:
            assert_never(outcome)
    return Doubtful(replace(doubt, message=f"{doubt.message}; a second create {said}"))


def problem_of(stage: str, error: CallError) -> Problem:
    """What a failed call means for its item."""
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
