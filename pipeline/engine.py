"""Many items at once, each by `process`, and how each ended.

A failed item is a value; what leaves `Engine.run` as an exception is a journal that cannot be written, or a bug.
"""

import logging
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import assert_never

import anyio

from pipeline.errors import (
    CallError,
    InDoubt,
    ItemRefused,
    PipelineError,
    RunPaused,
    RunStopped,
    SpecError,
    Stopping,
)
from pipeline.guards import Systemic
from pipeline.intake import Intake
from pipeline.models import (
    SETTLED,
    Doubtful,
    Failed,
    Kind,
    NoHits,
    Outcome,
    Problem,
    PutBack,
    SearchOnly,
    State,
    Tasked,
    Work,
)
from pipeline.process import ItemMeter, Ports, problem_of, process_item
from pipeline.record import RecordWriter

_log = logging.getLogger(__name__)

# These say something about one picture; every other refusal, repeated, says that the job is wrong.
ABOUT_THE_PICTURE = frozenset({"68300010", "picture", "incomplete_hits"})


class Engine:
    """Runs all items of one job. `tally` counts the items already in; `ended_by` says what ended the run early."""

    def __init__(self, ports: Ports, intake: Intake, records: RecordWriter, *, tally: Mapping[State, int]) -> None:
        self._tally = Counter(tally)
        self.ended_by: PipelineError | None = None
        self._ports = ports
        self._intake = intake
        self._records = records
        self._systemic = Systemic()
        self._meters: set[ItemMeter] = set()

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

    async def run(self, *, limit: int | None = None) -> None:
        """Work on every waiting item (at most `limit`), then let the ones with the same picture share the outcome."""
        room = anyio.Semaphore(self._ports.spec.max_in_flight)
        begun = 0
        async with anyio.create_task_group() as workers:
            if not self._intake.done:
                workers.start_soon(self._take_in)
            async with aclosing(self._feed()) as feed:
                async for work in feed:
                    await room.acquire()
                    if self.ended_by is not None or (limit is not None and begun >= limit):
                        break
                    begun += 1
                    workers.start_soon(self._carry, work, room)
            if limit is not None and begun >= limit:
                self._intake.stop()
        if self.ended_by is None and (limit is None or begun < limit):
            await self._settle_twins()

    async def _take_in(self) -> None:
        try:
            await self._intake.run()
        except SpecError as error:  # a manifest that breaks off, say: what is in flight is still finished
            self.stop_intake(error)

    async def _feed(self) -> AsyncGenerator[Work, None]:
        """Waiting items: first those whose hits are paid, then the rest, in the job's order, as they come in."""
        while self._tally[State.SEARCHED] and not self._intake.done:
            await self._intake.more()  # which of the paid ones are still listed is known once all items are in
        for state in (State.SEARCHED, State.PENDING):
            after = 0
            while self.ended_by is None:
                all_in = self._intake.done
                batch = await self._ports.ledger.take(
                    state, after=after, generation=self._intake.generation, now=self._ports.now()
                )
                for work in batch:
                    if state is State.SEARCHED and work.hits is None:  # too old: it comes again as pending
                        self._tally[State.SEARCHED] -= 1
                        self._tally[State.PENDING] += 1
                    else:
                        yield work
                if batch:
                    after = batch[-1].ord
                elif all_in or state is State.SEARCHED:
                    break
                else:
                    await self._intake.more()

    async def _carry(self, work: Work, room: anyio.Semaphore) -> None:
        """Process one item and record how it ended. Shielded: what is paid is recorded whatever happens around it."""
        before = State.SEARCHED if work.hits is not None else State.PENDING
        meter = ItemMeter(work, self._ports)
        self._meters.add(meter)
        try:
            outcome = await self._outcome(work, meter)
            with anyio.CancelScope(shield=True):
                after = await self._record(work, outcome)
            self._tally[before] -= 1
            self._tally[after if after is not None else before] += 1
        finally:
            self._meters.discard(meter)
            room.release()

    async def _outcome(self, work: Work, meter: ItemMeter) -> Outcome:
        try:
            settled = await process_item(work, self._ports, meter)
        except Stopping:
            return PutBack(work.hits)
        except (RunPaused, RunStopped) as error:
            # A budget that is used up ends each item at its own next call; what is reserved already still goes.
            end = self.stop_intake if error.code == "budget" else self.stop_calls
            end(error)
            return PutBack(work.hits)
        except InDoubt as error:
            return Doubtful(problem_of("create", error))
        except CallError as error:
            if isinstance(error, ItemRefused) and error.code not in ABOUT_THE_PICTURE:
                self._watch(error)
            return Failed(problem_of(meter.stage, error))
        self._systemic.passed()
        return settled

    def _watch(self, error: ItemRefused) -> None:
        try:
            self._systemic.refused(error.code, error.message)
        except RunStopped as systemic:
            self.stop_calls(systemic)

    async def _record(self, work: Work, outcome: Outcome) -> State | None:
        """Make an outcome durable; return the item's new state, None if it waits where it stood."""
        ledger = self._ports.ledger
        match outcome:
            case Tasked() | NoHits() | SearchOnly():
                state, line, task = self._records.settled(work, outcome)
                await ledger.settle(work, state, line, task)
                return state
            case Failed(problem):
                _log_open(work, State.FAILED, problem)
                await ledger.leave_open(work, State.FAILED, problem, work.hits)
                return State.FAILED
            case Doubtful(problem):
                _log_open(work, State.IN_DOUBT, problem)
                await ledger.leave_open(work, State.IN_DOUBT, problem, work.hits)
                return State.IN_DOUBT
            case PutBack(hits):
                ledger.put_back(work, hits)
                return State.SEARCHED if hits is not None else None
            case _:
                assert_never(outcome)

    async def _settle_twins(self) -> None:
        """Give every item that shows an earlier item's picture that item's hits and task, without a call."""
        after = 0
        while batch := await self._ports.ledger.take_twins(after=after, generation=self._intake.generation):
            for twin, first_ord in batch:
                after = twin.ord
                id_, state, line, problem = await self._ports.ledger.standing(first_ord)
                if state in SETTLED and line is not None:
                    await self._ports.ledger.settle(twin, state, self._records.twin(twin, line), None)
                    self._tally[state] += 1
                elif problem is not None:
                    message = f"shows the same picture as {id_!r}, which is open: {problem.message}"
                    shared = Problem(problem.stage, "same_picture", message, "retry", True)
                    await self._ports.ledger.leave_open(twin, State.FAILED, shared, None)
                    self._tally[State.FAILED] += 1
                else:
                    continue
                self._tally[State.PENDING] -= 1


def _log_open(work: Work, state: State, problem: Problem) -> None:
    told = (work.item.id, problem.stage, problem.code, problem.message)
    _log.warning(f"item.{state.word} item=%s stage=%s code=%s %s", *told)
