"""Outcomes made durable: an item's line and state, and the outcome that items with the same picture share."""

import logging
from collections.abc import AsyncIterator
from typing import assert_never

from pipeline.errors import Code
from pipeline.models import (
    SETTLED,
    Doubtful,
    Expired,
    Failed,
    NoHits,
    Outcome,
    Problem,
    PutBack,
    SearchOnly,
    State,
    Tasked,
    Work,
)
from pipeline.ports import Ledger, Steps
from pipeline.results.record import RecordLines

_log = logging.getLogger(__name__)


async def record(work: Work, outcome: Outcome, *, steps: Steps, records: RecordLines) -> State:
    """Make an outcome durable; return the item's new state."""
    match outcome:
        case Tasked() | NoHits() | SearchOnly():
            state, line, task = records.settled(work, outcome)
            await steps.settle(work, state, line, task)
            return state
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


async def share_with_twins(ledger: Ledger, records: RecordLines, *, generation: int) -> AsyncIterator[State]:
    """Give every item that shows an earlier item's picture that item's outcome, without a call; yield its new state.

    A twin whose first item has no outcome yet goes on waiting.
    """
    after = 0
    while batch := await ledger.waiting.take_twins(after=after, generation=generation):
        for twin, first_ord in batch:
            after = twin.ord
            first_id, state, line, problem = await ledger.waiting.standing(first_ord)
            if state in SETTLED and line is not None:
                await ledger.steps.settle(twin, state, records.twin(twin, line), None)
                yield state
            elif problem is not None:
                message = f"shows the same picture as {first_id!r}, which is open: {problem.message}"
                shared = Problem(problem.stage, Code.SAME_PICTURE, message, "retry", True)
                await ledger.steps.leave_open(twin, State.FAILED, shared, None)
                yield State.FAILED


async def _leave_open(work: Work, state: State, problem: Problem, steps: Steps) -> State:
    facts = (work.item.id, problem.stage, problem.code, problem.message)
    _log.warning(f"item.{state.word} item=%s stage=%s code=%s %s", *facts)
    await steps.leave_open(work, state, problem, work.hits)
    return state
