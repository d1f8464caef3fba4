"""A vendor of patent data alone, a cache in memory, what both saw, and the asking between them."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from decimal import Decimal
from typing import Any

import anyio

from pipeline.endpoints.details import NOT_FOUND, PatentDetail
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.d301 import PatentDetails
from pipeline.engine.patent_asking import PatentAsking
from pipeline.engine.patent_batches import Answered, Answers, PatentBatches, Taken, WantedPatent
from pipeline.engine.patent_budget import PatentBudget
from pipeline.errors import CallError, Code, GivenUp, ItemRefused, RunPaused
from pipeline.models import Kind
from pipeline.results.patent_counts import META, PatentCounts, counts_in
from tests.support.processes import PATIENCE_S


class PatentVendor:
    """Knows every patent but those in `unknown`; `replies` are the ends of its first calls, None for a good one.

    refused  patents that spoil the whole call that they are in
    calls    the patents of each call that was sent
    """

    retries_left = True

    def __init__(
        self,
        *replies: CallError | GivenUp | None,
        unknown: Collection[str] = (),
        refused: Collection[str] = (),
        answering: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._replies = list(replies)
        self._unknown = unknown
        self._refused = refused
        self._answering = answering

    @property
    def asked(self) -> Counter[str]:
        """How often each patent was asked for."""
        return Counter(id_ for call in self.calls for id_ in call)

    async def call(self, endpoint: Any, asked: tuple[str, ...], meter: Any) -> Any:
        await meter.before(Kind.DETAILS, "request")
        meter.sent(Kind.DETAILS)
        self.calls.append(asked)
        if self._answering is not None:
            await self._answering()
        if self._replies and (reply := self._replies.pop(0)) is not None:
            meter.not_executed(Kind.DETAILS)
            raise reply
        if not set(self._refused).isdisjoint(asked):
            meter.refused()
            meter.not_executed(Kind.DETAILS)
            raise ItemRefused("invalid parameter", code="68300004", condition="68300004")
        return {id_: PatentDetail(number=id_) for id_ in asked if id_ not in self._unknown}

    def stop(self, *kinds: Kind) -> None:
        raise NotImplementedError


class MemoryCache:
    """A cache that lasts as long as itself. `elsewhere` are patents that another process asks for."""

    usable = True

    def __init__(self, **known: bytes | None) -> None:
        self.answers: Answers = dict(known)
        self.elsewhere: set[str] = set()
        self.looked_up: list[list[str]] = []
        self.given_back: list[str] = []

    def take(self, endpoint: str, ids: Sequence[str]) -> Taken:
        self.looked_up.append(list(ids))
        known = {id_: self.answers[id_] for id_ in ids if id_ in self.answers}
        ours = [id_ for id_ in ids if id_ not in known and id_ not in self.elsewhere]
        return Taken(known, ours, [id_ for id_ in ids if id_ in self.elsewhere and id_ not in known])

    def keep(self, endpoint: str, answers: Answers) -> None:
        self.answers |= answers

    def give_back(self, endpoint: str, ids: Collection[str]) -> None:
        self.given_back += ids


class PatentPurse:
    """A journal's budget of patents alone, with a cap and with money; `reserved` and `sent` are its counts."""

    def __init__(self, cap: int | None = None, *, price: Decimal | None = None, money: Decimal = Decimal(0)) -> None:
        self.cap = cap
        self.reserved = self.sent_ = 0
        self.prices = {} if price is None else {Kind.DETAILS: price}
        self._money = money

    def left(self, kind: Kind) -> int | None:
        assert kind is Kind.DETAILS
        return None if self.cap is None else self.cap - self.reserved

    def money_left(self) -> Decimal:
        return self._money - self.prices[Kind.DETAILS] * self.reserved

    def affords(self, kind: Kind, *, promised: Decimal) -> int | None:
        limits = [self.left(kind), int((self.money_left() - promised) // self.prices[kind]) if self.prices else None]
        return min((limit for limit in limits if limit is not None), default=None)

    async def reserve(self, kind: Kind, count: int = 1) -> None:
        if (left := self.left(kind)) is not None and left < count:
            raise self.used_up(kind)
        self.reserved += count

    def release(self, kind: Kind, count: int = 1) -> None:
        self.reserved -= count

    def sent(self, kind: Kind, count: int = 1) -> None:
        self.sent_ += count

    def refund(self, kind: Kind, count: int = 1) -> None:
        self.reserved -= count
        self.sent_ -= count

    def used_up(self, lacking: str) -> RunPaused:
        return RunPaused(f"the budget is used up: {lacking}", code=Code.BUDGET, sent=False)


class Remembered:
    """The remembered values of a journal, in memory; `history` has every value that was written."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.history: list[dict[str, str]] = []

    async def recall(self, keys: Sequence[str]) -> dict[str, str | None]:
        return {key: self.values.get(key) for key in keys}

    async def remember(self, values: Any) -> None:
        self.values |= values
        self.history.append(dict(values))


class Asking:
    """An asking with a vendor of its own; `said` are the remarks for people."""

    def __init__(self, vendor: PatentVendor, *, cap: int | None = None, purse: PatentPurse | None = None) -> None:
        self.notes = Remembered()
        self.said: list[str] = []
        self.purse = purse or PatentPurse(cap)
        self.budget = PatentBudget(self.purse, self.notes, PatentCounts())
        self.vendor = vendor
        self._asking = PatentAsking(PatentDetails(), vendor, self.budget, table=TABLE, say=self.said.append)

    async def ask(self, *ids: str) -> dict[str, str]:
        """Return why patents have no details; "" for those that have."""
        told: dict[str, bytes | None] = {}

        async def tell(part: Answered) -> None:
            assert not told.keys() & part.answers.keys()
            told.update(part.answers)

        asked = await self._asking.ask(ids, lambda: None, tell)
        told |= asked.answers
        answered = {id_: NOT_FOUND if found is None else "" for id_, found in told.items()}
        assert not answered.keys() & asked.missing.keys()
        return answered | dict(asked.missing)

    @property
    def counts(self) -> PatentCounts:
        return counts_in(self.notes.values[META])


@contextlib.asynccontextmanager
async def batches_of(vendor: PatentVendor, cache: MemoryCache) -> AsyncIterator[PatentBatches]:
    """Run the batches of a vendor while the block lasts."""
    counts = PatentCounts()
    budget = PatentBudget(PatentPurse(), Remembered(), counts)
    asking = PatentAsking(PatentDetails(), vendor, budget, table=TABLE, say=print)
    batches = PatentBatches("D301", asking.ask, cache, counts)
    async with anyio.create_task_group() as group:
        group.start_soon(batches.run)
        yield batches
        group.cancel_scope.cancel()


async def all_of(wanted: list[WantedPatent]) -> list[WantedPatent]:
    """Wait for all of these."""
    with anyio.fail_after(PATIENCE_S):
        for one in wanted:
            await one.done.wait()
    return wanted
