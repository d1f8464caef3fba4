"""One item all the way, and many at once. Knows the vendor and the journal only as protocols.

A failed item is a value; what leaves `Engine.run` as an exception is a journal that cannot be written, or a bug.
"""

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

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
from pipeline.hits import choose
from pipeline.intake import Intake
from pipeline.models import (
    EXPIRY_MARGIN_S,
    SETTLED,
    Doubtful,
    Failed,
    Kind,
    NoHits,
    Outcome,
    Problem,
    PutBack,
    SearchOnly,
    Settled,
    State,
    Tasked,
    Work,
)
from pipeline.pictures import Picture
from pipeline.ports import Ledger, Vendor
from pipeline.record import RecordWriter
from pipeline.spec.model import JobSpec

_log = logging.getLogger(__name__)

# These say something about one picture; every other refusal, repeated, says that the job is wrong.
ABOUT_THE_PICTURE = frozenset({"68300010", "picture", "incomplete_hits"})


@dataclass(frozen=True, slots=True)
class Ports:
    """What an item needs on its way; `read_picture` reads and checks a local picture in a thread."""

    spec: JobSpec
    params: Mapping[str, Any]
    vendor: Vendor
    ledger: Ledger
    read_picture: Callable[[str], Picture]
    now: Callable[[], float] = time.time


class ItemMeter:
    """Counts one item's calls, and makes each durable before its first byte."""

    def __init__(self, work: Work, ports: Ports) -> None:
        self.stage = "read"
        self._work = work
        self._ledger = ports.ledger
        self._now = ports.now
        self._intended = False
        self._reserved = False

    async def before(self, kind: Kind, request_id: str) -> None:
        """Reserve the call; for a create also make the intent durable."""
        await self._ledger.reserve(kind)
        self._reserved = True
        if kind is Kind.CREATE:
            assert self._work.hits is not None
            await self._ledger.intend(self._work, self._work.hits, request_id=request_id, at=self._now())
            self._intended = True

    def sent(self, kind: Kind) -> None:
        """Count the call: from here on it may be paid."""
        self._reserved = False
        self._work.calls.add(kind)
        self._ledger.sent(kind)

    def not_executed(self, kind: Kind, *, sent: bool) -> None:
        """Take the intent back, and the reservation too if nothing was sent."""
        if self._reserved:
            self._ledger.release(kind)
            self._reserved = False
        if self._intended:
            self._ledger.put_back(self._work, None)
            self._intended = False


async def process_item(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Take one item all the way: item -> (upload) -> search -> select -> task. Raises what stops it on the way."""
    spec = ports.spec
    url = await _reachable(work, ports, meter)
    meter.stage = "search"
    if work.hits is None:
        work.hits = await ports.vendor.search(spec.search.endpoint, url, ports.params, meter)
    choice = choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None:
        return NoHits(work.hits)
    if not spec.task.enabled:
        return SearchOnly(work.hits)
    meter.stage = "create"
    if choice.count == 0:
        raise ItemRefused("no hit has all the fields that a task needs", code="incomplete_hits", sent=False)
    task = await ports.vendor.create(url, choice, meter, report_lang=spec.task.report_lang, country=spec.task.country)
    return Tasked(work.hits, choice, task)


async def _reachable(work: Work, ports: Ports, meter: ItemMeter) -> str:
    """The picture's URL at the vendor; a local picture is uploaded unless an earlier upload still lives."""
    if not work.item.local:
        return work.item.source
    if work.upload is None or work.upload.expires_at - EXPIRY_MARGIN_S < ports.now():
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source)
        meter.stage = "upload"
        work.upload = await ports.vendor.upload(picture.data, picture.file_type, meter)
        work.sha256 = picture.sha256
        if work.hits is None:
            ports.ledger.uploaded(work, work.upload, picture.sha256)
    return work.upload.url


def problem_of(stage: str, error: CallError) -> Problem:
    """What a failed call means for its item."""
    consequence = "in_doubt" if isinstance(error, InDoubt) else "fail" if isinstance(error, ItemRefused) else "retry"
    return Problem(
        stage=stage,
        code=error.code,
        message=error.message,
        consequence=consequence,
        # What the vendor refused for good stays refused; a file on this machine can be mended and costs nothing.
        retryable=consequence == "retry" or stage == "read",
        request_id=error.request_id,
        correlation_id=error.correlation_id,
    )


def _told(work: Work, problem: Problem) -> tuple[str, str, str, str]:
    return work.item.id, problem.stage, problem.code, problem.message


class Engine:
    """Runs all items of one job. `tally` counts the items already in; `ended_by` says what ended the run early."""

    def __init__(self, ports: Ports, intake: Intake, records: RecordWriter, *, tally: Mapping[State, int]) -> None:
        self._tally = Counter(tally)
        self.in_flight = 0
        self.ended_by: PipelineError | None = None
        self._ports = ports
        self._intake = intake
        self._records = records
        self._systemic = Systemic()

    def items(self) -> dict[State, int]:
        """Items per state, those that came in meanwhile included."""
        return {state: self._tally[state] + self._intake.tally[state] for state in State}

    @property
    def all_in(self) -> bool:
        """Whether every item of the job has been read."""
        return self._intake.done

    def stop_intake(self, reason: PipelineError) -> None:
        """Begin no more items; those in flight go on."""
        self.ended_by = self.ended_by or reason
        self._intake.stop()

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
            async for work in self._feed():
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

    async def _feed(self) -> AsyncIterator[Work]:
        """Waiting items: first those whose hits are paid, then the rest, in the job's order, as they come in."""
        for state in (State.SEARCHED, State.PENDING):
            after = 0
            while self.ended_by is None:
                all_in = self._intake.done
                batch = await self._ports.ledger.take(
                    state, after=after, generation=self._intake.generation, now=self._ports.now()
                )
                for work in batch:
                    if state is State.PENDING or work.hits is not None:  # hits too old: it comes again as pending
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
        self.in_flight += 1
        try:
            outcome = await self._outcome(work)
            with anyio.CancelScope(shield=True):
                after = await self._record(work, outcome)
            self._tally[before] -= 1
            self._tally[after if after is not None else before] += 1
        finally:
            self.in_flight -= 1
            room.release()

    async def _outcome(self, work: Work) -> Outcome:
        meter = ItemMeter(work, self._ports)
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
                _log.warning("item.failed item=%s stage=%s code=%s %s", *_told(work, problem))
                await ledger.leave_open(work, State.FAILED, problem, work.hits)
                return State.FAILED
            case Doubtful(problem):
                _log.warning("item.in_doubt item=%s stage=%s code=%s %s", *_told(work, problem))
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
