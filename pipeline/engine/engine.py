"""The engine: many items at once, each by `process_item`, and each recorded as it ended.

A failed item is a value; the exceptions that leave `Engine.run` are a journal that cannot be written, or a bug.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing

import anyio
from anyio.abc import TaskGroup

from pipeline.engine.causes import Causes
from pipeline.engine.intake import Intake
from pipeline.engine.meter import ItemMeter
from pipeline.engine.order import Order, Queue, looked_at
from pipeline.engine.parts import Ports
from pipeline.engine.problems import after_doubt, is_budget
from pipeline.engine.promises import Promises
from pipeline.engine.recording import record
from pipeline.engine.reports import ReportReader
from pipeline.engine.sharing import Sharing
from pipeline.engine.verdicts import Verdicts
from pipeline.errors import (
    Code,
    JournalError,
    NotConfirmed,
    PipelineError,
    RunPaused,
    RunStopped,
    SpecError,
)
from pipeline.models import Kind, State, Work
from pipeline.outcomes import Doubtful, Expired, Failed, Settled, Tasked
from pipeline.results.record import RecordLines

_log = logging.getLogger(__name__)


class Engine:
    """The work on all items of one job.

    ended_by  the reason why it ends early; None while there is none
    causes    of items that stayed open in this run
    """

    def __init__(self, ports: Ports, intake: Intake, records: RecordLines, *, tally: Mapping[State, int]) -> None:
        """Begin with the items that are in already, counted per state by `tally`."""
        self.ended_by: PipelineError | None = None
        self.causes = Causes()
        self._tally = Counter(tally)
        self._ports = ports
        self._intake = intake
        self._records = records
        self._verdicts = Verdicts(ports, stop=self.stop_calls, end_with=self._end_with)
        spec = ports.spec
        self._promises = Promises(
            ports.ledger.budget,
            tasks=spec.task.enabled,
            reports=spec.awaits_reports,
            now=ports.now,
            pages=spec.search.pages_left,
        )
        if ports.details is not None:
            ports.details.budget.promised = self._promises.money  # what items are promised is not spent on details
        self._meters: set[ItemMeter] = set()
        self._journal_error: JournalError | None = None
        self._reports: ReportReader | None = None
        if spec.awaits_reports:
            self._reports = ReportReader(
                ports, self._promises, records, self._tally, causes=self.causes, ended=self._ended_by_reports
            )

    def items(self) -> dict[State, int]:
        """Count the items per state, with those that came in meanwhile."""
        return {state: self._tally[state] + self._intake.tally[state] for state in State}

    @property
    def in_flight(self) -> int:
        """Items of which something has been sent and that have not ended yet."""
        return sum(meter.has_sent for meter in self._meters)

    @property
    def all_in(self) -> bool:
        """True once every item of the job has been read."""
        return self._intake.done

    def stop_intake(self, reason: PipelineError) -> None:
        """Begin no more items; those in flight go on."""
        self.ended_by = self.ended_by or reason
        self._intake.stop()
        self._ports.first_items.end()
        if self._reports is not None and not is_budget(reason):  # what is paid is read, also when no more may be paid
            self._reports.end()

    def drain(self, reason: PipelineError) -> None:
        """Begin no more items, and search no more pictures; items whose search is paid go on to their task."""
        self.stop_intake(reason)
        self._ports.vendor.stop(Kind.UPLOAD, Kind.SEARCH)

    def stop_calls(self, reason: PipelineError) -> None:
        """Send nothing more; answers under way are still waited for and recorded."""
        self.stop_intake(reason)
        self._ports.vendor.stop()
        if self._ports.details is not None:
            self._ports.details.stop()

    def journal_failed(self, error: JournalError) -> None:
        """Send nothing more; answers under way are waited for, because their lines are kept in the emergency file."""
        self._journal_error = self._journal_error or error
        self.stop_calls(error)

    async def run(self, *, limit: int | None = None) -> None:
        """Work on every waiting item (at most `limit`), then let the ones with the same picture share the outcome.

        Raises JournalError, but only when nothing is under way any more.
        """
        if self._reports is None:
            await self._run(limit)
            return
        async with self._reports.reading():
            await self._run(limit)
        if self._journal_error is not None:
            raise self._journal_error

    async def _run(self, limit: int | None) -> None:
        begun = await self._pass(limit)
        if self._may_go_on(begun, limit):
            await self._second_pass()
        if self._may_go_on(begun, limit):
            begun += await self._pass(None if limit is None else limit - begun, doubtful=True)
        await self._reports_in()
        while self._may_share() and await self._share() and self._may_go_on(begun, limit):
            begun += await self._pass(None if limit is None else limit - begun)
            await self._reports_in()

    async def _reports_in(self) -> None:
        if self._reports is not None:
            await self._reports.all_in()

    async def _room(self) -> None:
        assert self._reports is not None
        await self._reports.room(lambda: len(self._meters))

    def _ended_by_reports(self, error: RunPaused | RunStopped | JournalError) -> None:
        if isinstance(error, JournalError):
            self.journal_failed(error)
        else:
            self._end_with(error)

    async def _share(self) -> int:
        """Let items with the same picture share its outcome; return how many show another picture by now."""
        sharing = Sharing(self._ports, self._records, generation=self._intake.generation)
        async for state in sharing.share():
            self._tally[State.PENDING] -= 1
            self._tally[state] += 1
        return sharing.parted

    def _may_go_on(self, begun: int, limit: int | None) -> bool:
        return not self._has_ended() and (limit is None or begun < limit)

    def _may_share(self) -> bool:
        """Return whether outcomes may be shared, which sends nothing: also with a budget that is used up, say."""
        return self.ended_by is None or isinstance(self.ended_by, RunPaused | RunStopped)

    def _has_ended(self) -> bool:
        return self.ended_by is not None

    async def _second_pass(self) -> None:
        """Begin the items once more that failed for want of retries, if there are retries again."""
        again = self._verdicts.out_of_retries()
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

        With `doubtful`, work on those in doubt that may be created once more.
        """
        waiting = self._ports.ledger.waiting
        most = min(self._ports.spec.max_in_flight, self._ports.most)
        order = Order(waiting, self._intake, self._tally, now=self._ports.now, ended=self._has_ended)
        ordered = order.doubtful() if doubtful else order.items()
        async with aclosing(ordered), aclosing(looked_at(ordered, self._ports, self._tally)) as items:
            room = None if self._reports is None else self._room
            queue = Queue(items, limit, self._promises, self._ports.first_items, room=room)
            async with anyio.create_task_group() as workers:
                if not self._intake.done:
                    workers.start_soon(self._take_in)
                workers.start_soon(self._work, queue, workers, most)
        if self._journal_error is not None:
            raise self._journal_error
        return queue.begun

    async def _work(self, queue: Queue, workers: TaskGroup, most: int) -> None:
        """Process one item after the other; with the first, start one more worker until there are `most`."""
        try:
            with anyio.CancelScope() as scope:  # one for all items: to enter one for each costs throughput
                while (work := await queue.next()) is not None:
                    if self._has_ended():
                        self._promises.end(work.ord)
                        break
                    if most > 1:
                        workers.start_soon(self._work, queue, workers, most - 1)
                        most = 1
                    await self._process(work, scope)
        except NotConfirmed as error:
            self.stop_intake(error)
        except JournalError as error:
            self.journal_failed(error)
        if queue.has_more:
            self._intake.stop()
        if queue.lacking is not None:
            self._end_with(self._ports.ledger.budget.used_up(queue.lacking))

    async def _take_in(self) -> None:
        try:
            await self._intake.run()
        except SpecError as error:  # a manifest that breaks off, say: items in flight are still finished
            self.stop_intake(error)
        except JournalError as error:
            self.journal_failed(error)

    async def _process(self, work: Work, scope: anyio.CancelScope) -> None:
        """Process one item and record its outcome; `scope` shields the recording, because the outcome is paid."""
        before = State.SEARCHED if work.hits is not None else State.PENDING
        if work.doubt is not None:
            before = State.IN_DOUBT
        after: State | None = None
        meter = ItemMeter(work, self._ports, self._promises)
        self._meters.add(meter)
        try:
            outcome = await self._verdicts.outcome(work, meter)
            if work.doubt is not None:
                outcome = after_doubt(work.doubt, outcome)
            if self._ports.keep_pictures is not None:
                self._ports.keep_pictures(work, outcome.hits if isinstance(outcome, Settled) else work.hits)
            scope.shield = True
            after = await record(
                work,
                outcome,
                steps=self._ports.ledger.steps,
                records=self._records,
                details=self._ports.details,
                is_new=before is State.PENDING,
            )
            self._tally[before] -= 1
            self._tally[after] += 1
            if self._ports.paid is not None and after is State.TASKED and isinstance(outcome, Tasked):
                self._ports.paid(outcome.task)
            if isinstance(outcome, Failed | Expired | Doubtful):
                self.causes.add(after, work, outcome.problem)
            if self._reports is not None and after is State.REPORT_PENDING and isinstance(outcome, Tasked):
                self._reports.add(work, outcome.task)
        except JournalError as error:
            meter.journal_failed()
            self.journal_failed(error)
        finally:
            scope.shield = False
            self._meters.discard(meter)
            if after is State.REPORT_PENDING:
                self._promises.await_report(work.ord)
            else:
                self._promises.end(work.ord)
            self._ports.first_items.ended(work, after, sent=meter.has_sent)
            if self._reports is not None:
                self._reports.item_ended()

    def _end_with(self, error: RunPaused | RunStopped) -> None:
        # A budget that is used up ends each item at its own next call; calls that are reserved already still go.
        if error.code == Code.BUDGET:
            self.stop_intake(error)
        elif error.code == Code.SYSTEM_LIMIT:  # the open connections may suffice to create tasks for what is searched
            self.drain(error)
        else:
            self.stop_calls(error)
