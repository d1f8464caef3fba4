"""Reports read while a run goes on: each paid task is asked for its report until it is in, failed or expired.

The questions go beside the items' own calls, at their own pace (api.qps.query). Of the tasks whose turn has come, the
one that expires first is asked. A task is asked when tasks of this run usually are done, then ever less often, never
twice within 2 seconds. Nothing is created here, so a question may be repeated.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable

import anyio
from anyio.abc import TaskGroup

from pipeline.endpoints.consequences import Condition, row_for
from pipeline.endpoints.own_answers import ReportOf
from pipeline.engine import report_words as words
from pipeline.engine.causes import Causes
from pipeline.engine.parts import Ports
from pipeline.engine.promises import Promises
from pipeline.engine.report_meter import ReportMeter
from pipeline.engine.report_records import ReportRecords
from pipeline.engine.report_turns import Turns, Waiting
from pipeline.errors import CallError, Code, GivenUp, JournalError, RunPaused, RunStopped, Stopping
from pipeline.models import Kind, Problem, State, Task, Work
from pipeline.reports import Progress, Report, WholeReport
from pipeline.results.record import RecordLines

FOLLOW_S = 2.0  # between two looks at a run that goes on; no task is asked about sooner

_log = logging.getLogger(__name__)


class ReportReader:
    """The reports of one run. `ended` tells the engine of what ends the run, or of a journal that failed.

    tally   the engine's count of items per state: an item that ends here moves in it
    causes  the engine's, for items that stay open here
    """

    def __init__(
        self,
        ports: Ports,
        promises: Promises,
        records: RecordLines,
        tally: Counter[State],
        *,
        causes: Causes,
        ended: Callable[[RunPaused | RunStopped | JournalError], None],
    ) -> None:
        self._ports = ports
        self._promises = promises
        self._records = ReportRecords(ports, records)
        self._tally = tally
        self._ended = ended
        self._causes = causes
        self._turns = Turns(now=ports.now, qps=ports.questions_per_s)
        self._is_over = False  # no more questions in this run
        self._said_held = self._said_denied = False
        self._after = 0  # the last item that the journal named
        self._more = ports.follow is not None  # whether tasks of another process may still come
        self._over = anyio.Event()
        self._changed = anyio.Event()

    @property
    def awaited(self) -> int:
        """Number of items whose reports are waited for."""
        return self._turns.awaited

    def add(self, work: Work, task: Task) -> None:
        """Ask for the report of a task that was just created, or that the journal knows from an earlier run."""
        self._add(work, State.REPORT_PENDING, task)

    async def room(self, under_way: Callable[[], int]) -> None:
        """Wait until one more task could be read in time; `under_way` counts items that may become tasks yet."""
        while not self._is_over and not self._turns.has_room(under_way()):
            if not self._said_held:
                self._said_held = True
                text = words.held_back(self._turns.most, self._ports.questions_per_s)
                _log.info("reports.held_back %s", text)
                self._ports.say(text)
            await self._changed.wait()

    def item_ended(self) -> None:
        """Note that an item is under way no longer: another may find room."""
        self._wake()

    def end(self) -> None:
        """Ask nothing more in this run: what is not in stays open, and the next run asks."""
        self._is_over = True
        self._over.set()
        self._ports.vendor.stop(Kind.QUERY)
        self._wake()

    async def all_in(self) -> None:
        """Wait until no report is waited for any more, or nothing is asked any more."""
        while not self._is_over and (self._turns.awaited or self._more):
            await self._changed.wait()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Ask until the block ends. What the block raises leaves it as it is, once nothing is asked any more."""
        raised: Exception | None = None
        await self._remember()
        async with anyio.create_task_group() as beside:
            beside.start_soon(self.run)
            if self._more:
                beside.start_soon(self._follow)
            try:
                yield
            except Exception as error:
                raised = error
            self.end()
        if raised is not None:
            raise raised

    async def run(self) -> None:
        """Ask until `end`."""
        try:
            async with anyio.create_task_group() as questions:
                while not self._is_over:
                    await self._ask_next(questions)
        except JournalError as error:
            self._ended(error)
        finally:
            self._is_over = True
            self._leave()
            self._wake()

    async def _follow(self) -> None:
        """Take in the tasks that a run pays meanwhile, until it is over."""
        assert self._ports.follow is not None
        try:
            while self._more and not self._is_over:
                self._more = await self._ports.follow()
                await self._remember(counted=False)
                self._wake()
                if self._more:
                    with anyio.move_on_after(FOLLOW_S):
                        await self._over.wait()
        except JournalError as error:
            self._ended(error)

    async def _remember(self, *, counted: bool = True) -> None:
        """Take in what the journal knows: of earlier runs, a question for each comes before any new item's.

        Those that are not `counted` are new in this run's tally.
        """
        while batch := await self._ports.ledger.reports.awaited(after=self._after):
            self._after = batch[-1].work.ord
            for work, state, task in batch:
                self._tally[state] += not counted
                self._promises.await_earlier(work.ord)
                self._add(work, state, task)

    def _add(self, work: Work, state: State, task: Task) -> None:
        work.hits = None  # in the spool, and up to 100 KB
        meter = ReportMeter(work, self._ports.ledger.budget, self._promises)
        self._turns.add(Waiting(work, state, task, meter))
        self._wake()

    async def _ask_next(self, questions: TaskGroup) -> None:
        """Begin the next question, or wait until its turn comes or anything changes."""
        changed = self._changed
        wait_s = self._turns.until_next()
        if wait_s > 0:
            with anyio.move_on_after(wait_s):
                await changed.wait()
            return
        questions.start_soon(self._ask, self._turns.take())

    async def _ask(self, one: Waiting) -> None:
        try:
            if one.task.expires_at <= self._ports.now():
                await self._leave_open(one, State.REPORT_LOST, words.lost(one.task))
            else:
                await self._asked(one)
        except JournalError as error:
            self._is_over = True
            self._ended(error)
        finally:
            self._turns.asked(one, again=one.state is not None)
            self._wake()

    async def _asked(self, one: Waiting) -> None:
        """Ask once, and take in what is answered."""
        try:
            question = ReportOf(self._ports.endpoints.query, one.task.task_id)
            report = await self._ports.vendor.call(question, one.task.task_id, one.meter)
        except Stopping:
            self.end()
        except GivenUp as given_up:
            if given_up.ends_run is not None:
                self._stop(given_up.ends_run)
        except (RunPaused, RunStopped) as error:
            if error.code == Code.BUDGET:
                self._deny(one, error)
            else:
                self._stop(error)
        except CallError as error:
            _log.info("report.not_read item=%s code=%s %s", one.work.item.id, error.code, error.message)
            await self._unanswered(one, words.not_read(one.task, error))
        else:
            await self._take_in(one, report)

    def _stop(self, error: RunPaused | RunStopped) -> None:
        """Ask nothing more, and end the run: its account would pay for tasks that nobody can read."""
        row: Condition | None = row_for(error, self._ports.spec.api.table)
        if not self._is_over:
            if row is not None and row.denied:
                otherwise = self._ports.endpoints.otherwise.get(Kind.QUERY, "")
                text = words.cannot_be_asked(error, otherwise, submits=self._ports.spec.submits)
                error = type(error)(text, code=error.code, request_id=error.request_id)
            else:
                self._ports.say(words.not_asked_any_more(error))
            _log.warning("reports.ended code=%s %s", error.code, error.message)
            self.end()
            self._ended(error)

    def _deny(self, one: Waiting, error: RunPaused | RunStopped) -> None:
        """Ask about one task no more, for want of a budget: others that are promised a question go on."""
        one.meter.deny()
        self._promises.end(one.work.ord)
        if not self._said_denied:
            self._said_denied = True
            _log.warning("reports.denied %s", error.message)
            self._ports.say(words.some_not_asked_any_more(error))

    async def _take_in(self, one: Waiting, report: Report) -> None:
        if isinstance(report, WholeReport) and report.lacks_hits and not self._is_late(one):
            _log.warning("report.lacks_hits item=%s task=%s", one.work.item.id, one.task.task_id)  # perhaps they follow
        elif report.is_in:
            await self._settle(one, report)
        elif report.progress is Progress.FAILED:
            await self._leave_open(one, State.REPORT_FAILED, words.failed_at_vendor(one.task, report.request_id))
        elif report.progress is Progress.UNSAID:
            settle_s = self._ports.spec.task.settle_s
            await self._unanswered(one, words.no_answer(one.task, settle_s, report.request_id))

    async def _unanswered(self, one: Waiting, problem: Problem) -> None:
        """Leave an item open once its task has had the time that tasks take; it is asked about all the same."""
        if self._is_late(one) and one.state is State.REPORT_PENDING:
            await self._leave_open(one, State.REPORT_FAILED, problem, is_final=False)

    def _is_late(self, one: Waiting) -> bool:
        """Return whether a task has had the time that tasks take."""
        return self._ports.now() - one.task.at >= self._ports.spec.task.settle_s

    async def _settle(self, one: Waiting, report: Report) -> None:
        """Write the record that a report ends with; shielded, because the report is read."""
        with anyio.CancelScope(shield=True):
            work, state, line = await self._records.make(one, report)
            await self._ports.ledger.steps.settle(work, state, line, one.task)
        self._turns.done(one)
        self._move(one, state, is_final=True)

    async def _leave_open(self, one: Waiting, state: State, problem: Problem, *, is_final: bool = True) -> None:
        facts = (one.work.item.id, problem.code, problem.message)
        _log.warning(f"item.{state.word} item=%s code=%s %s", *facts)
        await self._ports.ledger.steps.leave_open(one.work, state, problem, None)
        self._causes.add(state, one.work, problem)
        self._move(one, state, is_final=is_final)

    def _move(self, one: Waiting, state: State, *, is_final: bool) -> None:
        assert one.state is not None
        self._tally[one.state] -= 1
        self._tally[state] += 1
        if is_final:
            self._promises.end(one.work.ord)
        self._turns.moved(one, None if is_final else state)

    def _leave(self) -> None:
        """Give back what was promised to items that are still awaited, and note the questions that they cost."""
        left = self._turns.left()
        self._promises.end_questions()
        for one in left:
            self._promises.end(one.work.ord)
        try:
            self._ports.ledger.steps.count_calls([(one.work.ord, one.work.calls) for one in left if one.meter.polls])
        except JournalError as error:
            self._ended(error)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
