"""One call for the details of some patents: its place in the budget, and what follows where it is not answered.

Nothing that goes wrong here ends a run or holds an item up: it is said once, and records say what they lack.
"""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import anyio
import msgspec

from pipeline.endpoints.consequences import Table, row_for
from pipeline.endpoints.details import FAILED, NOT_ALLOWED, OVER_BUDGET, PENDING
from pipeline.endpoints.own_answers import PatentsOf
from pipeline.engine.patent_batches import Answered, Tell
from pipeline.engine.patent_budget import PatentBudget
from pipeline.engine.patent_halves import without_refused
from pipeline.errors import CallError, Code, GivenUp, ItemRefused, JournalError, RunPaused, RunStopped, Stopping
from pipeline.models import Kind
from pipeline.ports import Endpoint, Vendor

ENOUGH_FAILURES = 3  # calls in a row that failed for good, after which no more are made

_log = logging.getLogger(__name__)


class PatentEndpoint(Endpoint[tuple[str, ...], Mapping[str, Any]], Protocol):
    """An endpoint that is asked for patents by their ids.

    name  the vendor's
    what  it brings, in words: details of hits
    """

    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...


class PatentAsking:
    """The calls of one endpoint of patent data.

    name    the vendor's name of the endpoint
    budget  shared by all endpoints of patent data
    table   the run's error table
    say     is told once, in a line, why there are no more details in this run
    """

    def __init__(
        self,
        endpoint: PatentEndpoint,
        vendor: Vendor,
        budget: PatentBudget,
        *,
        table: Table,
        say: Callable[[str], None],
    ) -> None:
        self._endpoint = endpoint
        self._vendor = vendor
        self._budget = budget
        self._table = table
        self._say = say
        self._off = ""  # why nothing more is asked for in this run
        self._failures = 0
        self._goes_well = False  # until a call went well, and since one failed, calls go one at a time
        self._alone = anyio.Lock()

    async def ask(self, ids: Sequence[str], on_sent: Callable[[], None], tell: Tell) -> Answered:
        """Ask for patents, as many as the budget allows. Raises no CallError.

        `on_sent` is called when a call is about to leave. Where it takes several calls, `tell` is told of those that
        each answered; the others are returned.
        """
        if self._goes_well:
            return await self._ask_all(ids, on_sent, tell)
        async with self._alone:
            return await self._ask_all(ids, on_sent, tell)

    async def _ask_all(self, ids: Sequence[str], on_sent: Callable[[], None], tell: Tell) -> Answered:
        try:
            return await self._ask_some(ids, on_sent)
        except ItemRefused as refusal:  # perhaps for one of them
            _log.warning("details.refused endpoint=%s patents=%s %s", self._endpoint.name, len(ids), refusal.message)
            read, missing = await without_refused(ids, functools.partial(self._ask_some, on_sent=on_sent), tell)
            if not read:
                self._failed(refusal)
            return Answered({}, missing)

    async def _ask_some(self, ids: Sequence[str], on_sent: Callable[[], None]) -> Answered:
        """Ask for as many as the budget allows. Raises ItemRefused, with nothing read."""
        if self._off:
            return Answered({}, dict.fromkeys(ids, self._off))
        allowed = self._budget.left
        some, rest = (ids, []) if allowed is None else (ids[:allowed], ids[allowed:])
        asked = await self._ask(some, on_sent) if some else Answered({}, {})
        if not rest:
            return asked
        self._end(OVER_BUDGET, str(self._budget.used_up()))
        return Answered(asked.answers, {**asked.missing, **dict.fromkeys(rest, OVER_BUDGET)})

    async def _ask(self, ids: Sequence[str], on_sent: Callable[[], None]) -> Answered:
        meter = _Meter(self._budget, len(ids), on_sent)
        try:
            found = await self._vendor.call(PatentsOf(self._endpoint, ids), tuple(ids), meter)
        except Stopping:
            return Answered({}, dict.fromkeys(ids, PENDING))
        except JournalError:  # whoever notes the calls ends the run for it
            return Answered({}, dict.fromkeys(ids, PENDING))
        except GivenUp as given_up:
            return Answered({}, dict.fromkeys(ids, self._failed(given_up.error)))
        except CallError as error:
            if isinstance(error, ItemRefused):
                raise
            return Answered({}, dict.fromkeys(ids, self._failed(error)))
        self._failures, self._goes_well = 0, True
        answers = {id_: msgspec.json.encode(found[id_]) if id_ in found else None for id_ in ids}
        there = len(found)
        self._budget.counts.found += there
        self._budget.refund(max(0, len(ids) - there))
        await self._note()
        return Answered(answers, {})

    async def _note(self) -> None:
        try:
            await self._budget.note()
        except JournalError as error:  # the answer is paid: it is kept all the same
            _log.warning("details.not_noted %s", error)

    def _failed(self, error: CallError) -> str:
        """Decide why the patents of a call have no details, and whether to make more calls; return the reason."""
        _log.warning("details.failed endpoint=%s code=%s %s", self._endpoint.name, error.code, error.message)
        row = row_for(error, self._table)
        if error.code == Code.BUDGET:
            return self._end(OVER_BUDGET, str(error))
        if row is not None and row.denied:
            return self._end(NOT_ALLOWED, f"{error.message}; {self._endpoint.name} needs a permission of its own")
        self._failures += 1
        self._goes_well = False
        if isinstance(error, RunPaused | RunStopped) or self._failures >= ENOUGH_FAILURES:
            return self._end(FAILED, error.message)
        return FAILED

    def _end(self, why: str, text: str) -> str:
        """Ask for nothing more in this run, and say so once."""
        if not self._off:
            self._off = why
            self._say(f"note: no more {self._endpoint.what} in this run, which goes on without: {text}")
        return why


class _Meter:
    """The meter of one call (ports.Meter): each attempt counts all its patents, and gives back what was not billed."""

    def __init__(self, budget: PatentBudget, patents: int, on_sent: Callable[[], None]) -> None:
        self._budget = budget
        self._patents = patents
        self._on_sent = on_sent
        self._reserved = False  # and nothing was sent for it yet

    async def before(self, kind: Kind, request_id: str) -> None:
        await self._budget.reserve(self._patents)
        self._reserved = True

    def sent(self, kind: Kind) -> None:
        self._budget.sent(self._patents)
        self._reserved = False
        self._on_sent()

    def not_executed(self, kind: Kind) -> None:
        if self._reserved:
            self._reserved = False
            self._budget.release(self._patents)

    def refused(self) -> None:
        """Give back what the last attempt reserved, for it is not billed."""
        self._budget.refund(self._patents)

    def may_exist(self) -> None:
        raise AssertionError("only a create may exist")
