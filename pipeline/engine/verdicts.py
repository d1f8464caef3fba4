"""The verdict on each item of a run: its outcome, and the end of the run where that follows from it."""

import contextlib
from collections.abc import Callable, Iterator

from pipeline.endpoints.consequences import Condition, row_for
from pipeline.engine.item import process_item
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.engine.problems import counts_as_systemic, doubtful, problem_of, task_twice
from pipeline.engine.stops import DoubtRate, SystemicRefusals, TaskIds
from pipeline.errors import CallError, Code, GivenUp, InDoubt, ItemRefused, RunPaused, RunStopped, Stopping
from pipeline.models import Kind, Work
from pipeline.outcomes import Doubtful, Expired, Failed, Outcome, PutBack, Tasked


class Verdicts:
    """The verdicts of one run. `stop` sends nothing more, `end_with` ends the run as an error asks for."""

    def __init__(
        self, ports: Ports, *, stop: Callable[[RunStopped], None], end_with: Callable[[RunPaused | RunStopped], None]
    ) -> None:
        self._ports = ports
        self._table = ports.spec.api.table
        self._stop = stop
        self._end_with = end_with
        self._refusals = SystemicRefusals()
        self._doubts = DoubtRate()
        self._task_ids = TaskIds()
        self._out_of_retries: list[int] = []  # items that failed only because the run's retries were used up

    def out_of_retries(self) -> list[int]:
        """Return, once, the numbers of the items that failed only because the run's retries were used up."""
        numbers, self._out_of_retries = self._out_of_retries, []
        return numbers

    async def outcome(self, work: Work, meter: ItemMeter) -> Outcome:
        """Take an item all the way; return what it came to."""
        try:
            settled = await process_item(work, self._ports, meter)
        except Stopping:
            return PutBack(work.hits)
        except GivenUp as given_up:
            outcome = self._unsettled(work, meter, given_up.error)
            if given_up.ends_run is not None:
                self._end_with(given_up.ends_run)
            else:
                self._out_of_retries.append(work.ord)
            return outcome
        except CallError as error:
            return self._unsettled(work, meter, error)
        if isinstance(settled, Tasked):
            owner = self._task_ids.owner(settled.task.task_id, work.item.id)
            if owner != work.item.id:
                return self._unsettled(work, meter, task_twice(settled.task.task_id, owner, meter.request_id))
            self._doubts.known()
        self._refusals.passed()
        return settled

    def _unsettled(self, work: Work, meter: ItemMeter, error: CallError) -> Failed | Expired | Doubtful | PutBack:
        """Turn the error of a call into the item's outcome, and into the end of the run where it says so.

        1. Calls make no sense any more: the run ends, the item waits.
        2. The create may exist: the item is in doubt.
        3. The links expired, also those of a second search: the item is expired.
        4. Everything else: the item failed.
        """
        row = row_for(error, self._table)
        if isinstance(error, RunPaused | RunStopped):
            self._end_with(self._with_other_way(error, row, meter.stage))
            return PutBack(work.hits)
        if isinstance(error, InDoubt):
            with self._stopped_by_rate():
                self._doubts.doubtful(error.code, names_no_task=row is not None and row.names_no_task)
            return doubtful(error, meter.sent_at)
        if error.code == Code.EXPIRED:
            return Expired(problem_of(meter.stage, error))
        if isinstance(error, ItemRefused) and meter.stage == "create" and error.sent:
            self._doubts.known()
        if counts_as_systemic(error, row):
            with self._stopped_by_rate():
                self._refusals.refused(error.code, error.message, by_contract=isinstance(error, ItemRefused))
        return Failed(problem_of(meter.stage, error))

    def _with_other_way(
        self, error: RunPaused | RunStopped, row: Condition | None, stage: str
    ) -> RunPaused | RunStopped:
        """Add what a person can do when the account may not use this endpoint."""
        if row is None or not row.denied or not (way := self._ports.endpoints.otherwise.get(Kind(stage))):
            return error
        return type(error)(f"{error.message}; {way}", code=error.code, request_id=error.request_id)

    @contextlib.contextmanager
    def _stopped_by_rate(self) -> Iterator[None]:
        try:
            yield
        except RunStopped as reason:
            self._stop(reason)
