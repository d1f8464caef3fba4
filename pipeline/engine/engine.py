"""Many items at once, each by `process`, and how each ended.

A failed item is a value; what leaves `Engine.run` as an exception is a journal that cannot be written, or a bug.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from typing import assert_never

import anyio
from anyio.abc import TaskGroup

from pipeline.endpoints.consequences import row_for
from pipeline.engine.intake import Intake
from pipeline.engine.item import process_item
from pipeline.engine.meter import ItemMeter
from pipeline.engine.order import Feed, Handout
from pipeline.engine.outcomes import after_doubt, doubtful, problem_of
from pipeline.engine.parts import Ports
from pipeline.engine.stops import Doubts, Systemic
from pipeline.errors import (
    CallError,
    Code,
    GivenUp,
    InDoubt,
    ItemRefused,
    JournalError,
    PipelineError,
    RunPaused,
    RunStopped,
    SpecError,
    Stopping,
)
from pipeline.models import (
    SETTLED,
    Doubtful,
    Failed,
    Kind,
    Lapsed,
    NoHits,
    Outcome,
    Problem,
    PutBack,
    SearchOnly,
    State,
    Tasked,
    Work,
)
from pipeline.results.record import RecordLines

_log = logging.getLogger(__name__)


class Engine:
    """Runs all items of one job. `tally` counts the items already in; `ended_by` says what ended the run early."""

    def __init__(self, ports: Ports, intake: Intake, records: RecordLines, *, tally: Mapping[State, int]) -> None:
        self._tally = Counter(tally)
        self.ended_by: PipelineError | None = None
        self._ports = ports
        self._table = ports.spec.api.table
        self._intake = intake
        self._records = records
        self._systemic = Systemic()
        self._doubts = Doubts()
        self._again: list[int] = []  # items that failed only because the run's retries were used up
        self._meters: set[ItemMeter] = set()
        self._broken: JournalError | None = None

    def items(self) -> dict[State, int]:
        """Items per state, those that came in meanwhile included."""
        return {state: self._tally[state] + self._intake.tally[state] for state in State}

    @property
    def in_flight(self) -> int:
        """Items of which something has been sent and that have not ended yet."""
        return sum(meter.began for meter in self._meters)

    @property
    def all_in(self) -> bool:
        """Whether every item of the job has been read."""
        return self._intake.done

    def stop_intake(self, reason: PipelineError) -> None:
        """Begin no more items; those in flight go on."""
        self.ended_by = self.ended_by or reason
        self._intake.stop()

    def drain(self, reason: PipelineError) -> None:
        """Begin no more items, and search no more pictures; items whose search is paid go on to their task."""
        self.stop_intake(reason)
        self._ports.vendor.stop(Kind.UPLOAD, Kind.SEARCH)

    def stop_calls(self, reason: PipelineError) -> None:
        """Send nothing more; answers under way are still waited for and recorded."""
        self.stop_intake(reason)
        self._ports.vendor.stop()

    def journal_failed(self, error: JournalError) -> None:
        """Send nothing more; answers under way are waited for, because the journal keeps what is paid aside."""
        self._broken = self._broken or error
        self.stop_calls(error)

    async def run(self, *, limit: int | None = None) -> None:
        """Work on every waiting item (at most `limit`), then let the ones with the same picture share the outcome.

        Raises JournalError, but only when nothing is under way any more.
        """
        begun = await self._pass(limit)
        if self.ended_by is None and (limit is None or begun < limit):
            await self._second_pass()
        if self.ended_by is None and (limit is None or begun < limit):
            begun += await self._pass(None if limit is None else limit - begun, doubtful=True)
        if self.ended_by is None and (limit is None or begun < limit):
            await self._settle_twins()

    async def _second_pass(self) -> None:
        """Begin once more what was not tried again because the vendor failed too often, if that is over."""
        again, self._again = self._again, []
        if not again or not self._ports.vendor.retries_left:
            return
        _log.info("run.second_pass items=%s", len(again))
        searched = await self._ports.ledger.waiting.requeue(again)
        self._tally[State.FAILED] -= len(again)
        self._tally[State.SEARCHED] += searched
        self._tally[State.PENDING] += len(again) - searched
        await self._pass(None)

    async def _pass(self, limit: int | None, *, doubtful: bool = False) -> int:
        """Work on every waiting item, at most `limit`; return how many were begun.

        With `doubtful`, on those in doubt that may be created once more.
        """
        feed = Feed(self._ports.ledger.waiting, self._intake, self._tally, now=self._ports.now, ended=self._has_ended)
        async with aclosing(feed.doubtful() if doubtful else feed.items()) as items:
            handout = Handout(items, limit)
            async with anyio.create_task_group() as workers:
                if not self._intake.done:
                    workers.start_soon(self._take_in)
                workers.start_soon(self._work, handout, workers, self._ports.spec.max_in_flight)
        if self._broken is not None:
            raise self._broken
        return handout.given

    async def _work(self, handout: Handout, workers: TaskGroup, most: int) -> None:
        """Carry one item after the other; with the first, call in one more worker until there are `most`."""
        try:
            while (work := await handout.next()) is not None and not self._has_ended():
                if most > 1:
                    workers.start_soon(self._work, handout, workers, most - 1)
                    most = 1
                await self._carry(work)
        except JournalError as error:
            self.journal_failed(error)
        if handout.left:
            self._intake.stop()

    def _has_ended(self) -> bool:
        return self.ended_by is not None

    async def _take_in(self) -> None:
        try:
            await self._intake.run()
        except SpecError as error:  # a manifest that breaks off, say: what is in flight is still finished
            self.stop_intake(error)
        except JournalError as error:
            self.journal_failed(error)

    async def _carry(self, work: Work) -> None:
        """Process one item and record how it ended. Shielded: what is paid is recorded whatever happens around it."""
        before = State.SEARCHED if work.hits is not None else State.PENDING
        if work.doubt is not None:
            before = State.IN_DOUBT
        meter = ItemMeter(work, self._ports)
        self._meters.add(meter)
        try:
            outcome = await self._outcome(work, meter)
            if work.doubt is not None:
                outcome = after_doubt(work.doubt, outcome)
            with anyio.CancelScope(shield=True):
                after = await self._record(work, outcome)
            self._tally[before] -= 1
            self._tally[after] += 1
        except JournalError as error:
            self.journal_failed(error)
        finally:
            self._meters.discard(meter)

    async def _outcome(self, work: Work, meter: ItemMeter) -> Outcome:
        try:
            settled = await process_item(work, self._ports, meter)
        except Stopping:
            return PutBack(work.hits)
        except GivenUp as given_up:
            outcome = self._unsettled(work, meter, given_up.error)
            if given_up.ends_run is not None:
                self._end_with(given_up.ends_run)
            else:
                self._again.append(work.ord)
            return outcome
        except CallError as error:
            return self._unsettled(work, meter, error)
        self._systemic.passed()
        if isinstance(settled, Tasked):
            self._doubts.known()
        return settled

    def _unsettled(self, work: Work, meter: ItemMeter, error: CallError) -> Failed | Lapsed | Doubtful | PutBack:
        if isinstance(error, RunPaused | RunStopped):
            self._end_with(error)
            return PutBack(work.hits)
        if isinstance(error, InDoubt):
            self._watch_doubt(error)
            return doubtful(error, meter.sent_at)
        return self._failed(meter.stage, error)

    def _failed(self, stage: str, error: CallError) -> Failed | Lapsed:
        if error.code == Code.EXPIRED:
            return Lapsed(problem_of(stage, error))
        if isinstance(error, ItemRefused):
            if stage == "create" and error.sent:
                self._doubts.known()
            row = row_for(error, self._table)
            if row is None or not row.about_picture:
                self._watch_refusal(error)
        return Failed(problem_of(stage, error))

    def _watch_refusal(self, error: ItemRefused) -> None:
        try:
            self._systemic.refused(error.code, error.message)
        except RunStopped as systemic:
            self.stop_calls(systemic)

    def _watch_doubt(self, error: InDoubt) -> None:
        try:
            row = row_for(error, self._table)
            self._doubts.doubtful(error.code, names_no_task=row is not None and row.names_no_task)
        except RunStopped as systemic:
            self.stop_calls(systemic)

    def _end_with(self, error: RunPaused | RunStopped) -> None:
        # A budget that is used up ends each item at its own next call; what is reserved already still goes.
        end = self.stop_intake if error.code == Code.BUDGET else self.stop_calls
        end(error)

    async def _record(self, work: Work, outcome: Outcome) -> State:
        """Make an outcome durable; return the item's new state."""
        steps = self._ports.ledger.steps
        match outcome:
            case Tasked() | NoHits() | SearchOnly():
                state, line, task = self._records.settled(work, outcome)
                await steps.settle(work, state, line, task)
                return state
            case Failed(problem):
                _log_open(work, State.FAILED, problem)
                await steps.leave_open(work, State.FAILED, problem, work.hits)
                return State.FAILED
            case Lapsed(problem):
                _log_open(work, State.EXPIRED, problem)
                await steps.leave_open(work, State.EXPIRED, problem, work.hits)
                return State.EXPIRED
            case Doubtful(problem):
                _log_open(work, State.IN_DOUBT, problem)
                await steps.leave_open(work, State.IN_DOUBT, problem, work.hits)
                return State.IN_DOUBT
            case PutBack(hits):
                steps.put_back(work, hits)
                if work.doubt is not None:
                    return State.IN_DOUBT
                return State.SEARCHED if hits is not None else State.PENDING
            case _:
                assert_never(outcome)

    async def _settle_twins(self) -> None:
        """Give every item that shows an earlier item's picture that item's hits and task, without a call."""
        after = 0
        while batch := await self._ports.ledger.waiting.take_twins(after=after, generation=self._intake.generation):
            for twin, first_ord in batch:
                after = twin.ord
                id_, state, line, problem = await self._ports.ledger.waiting.standing(first_ord)
                if state in SETTLED and line is not None:
                    await self._ports.ledger.steps.settle(twin, state, self._records.twin(twin, line), None)
                    self._tally[state] += 1
                elif problem is not None:
                    message = f"shows the same picture as {id_!r}, which is open: {problem.message}"
                    shared = Problem(problem.stage, Code.SAME_PICTURE, message, "retry", True)
                    await self._ports.ledger.steps.leave_open(twin, State.FAILED, shared, None)
                    self._tally[State.FAILED] += 1
                else:
                    continue
                self._tally[State.PENDING] -= 1


def _log_open(work: Work, state: State, problem: Problem) -> None:
    told = (work.item.id, problem.stage, problem.code, problem.message)
    _log.warning(f"item.{state.word} item=%s stage=%s code=%s %s", *told)
