"""Outcomes made durable: an item's line and state."""

import logging
from typing import assert_never

from pipeline.endpoints.details import Details
from pipeline.engine.detailed import details_for
from pipeline.engine.details import HitDetails
from pipeline.models import Problem, State, Work
from pipeline.outcomes import Doubtful, Expired, Failed, Outcome, PutBack, Settled, Tasked
from pipeline.ports import Steps
from pipeline.reports import ReusedTask
from pipeline.results.record import RecordLines

_log = logging.getLogger(__name__)


async def record(
    work: Work,
    outcome: Outcome,
    *,
    steps: Steps,
    records: RecordLines,
    details: HitDetails | None = None,
    is_new: bool = False,
) -> State:
    """Make an outcome durable; return the item's new state. `details` and `is_new`: see `details_for`."""
    if isinstance(outcome, Tasked) and isinstance(outcome.task, ReusedTask) and outcome.task.report is not None:
        work.hits = outcome.hits
        state, line = records.reported(
            work, outcome.task, outcome.task.note, outcome.task.report, await _awaited(work, details), hits_lost=False
        )
        await steps.settle(work, state, line, outcome.task)
        return state
    if isinstance(outcome, Tasked) and records.spec.awaits_reports:
        await steps.await_report(work, outcome.task, records.note(outcome))
        return State.REPORT_PENDING
    if isinstance(outcome, Settled):
        said = None
        if details is not None:
            said = await details_for(work, outcome, details, steps=steps, records=records, is_new=is_new)
        state, line, task = records.settled(work, outcome, said)
        await steps.settle(work, state, line, task)
        return state
    if details is not None:
        details.forget(work.ord)
    match outcome:
        case Failed(problem):
            return await _leave_open(work, State.FAILED, problem, steps)
        case Expired(problem):
            return await _leave_open(work, State.EXPIRED, problem, steps)
        case Doubtful(problem):
            return await _leave_open(work, State.IN_DOUBT, problem, steps)
        case PutBack(hits):
            steps.put_back(work, hits)
            if work.doubt is not None:
                return State.IN_DOUBT
            return State.SEARCHED if hits is not None else State.PENDING
        case _:
            assert_never(outcome)


async def _awaited(work: Work, details: HitDetails | None) -> Details | None:
    """Return the details for what another run has paid for, a minute from now at the latest."""
    if details is None:
        return None
    if not details.has(work.ord):
        await details.wait(work.ord)
    return details.end(work.ord)


async def _leave_open(work: Work, state: State, problem: Problem, steps: Steps) -> State:
    facts = (work.item.id, problem.stage, problem.code, problem.message)
    _log.warning(f"item.{state.word} item=%s stage=%s code=%s %s", *facts)
    await steps.leave_open(work, state, problem, work.hits)
    return state
