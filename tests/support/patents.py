"""A vendor of patent data alone, a cache in memory, and what both saw."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from decimal import Decimal
from typing import Any

from pipeline.endpoints.details import PatentDetail
from pipeline.engine.patent_batches import Answers, Taken
from pipeline.errors import CallError, Code, GivenUp, RunPaused
from pipeline.models import Kind


class PatentVendor:
    """Knows every patent but those in `unknown`; `replies` are the ends of its first calls, None for a good one.

    calls  the patents of each call that was sent
    """

    retries_left = True

    def __init__(
        self,
        *replies: CallError | GivenUp | None,
        unknown: Collection[str] = (),
        answering: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._replies = list(replies)
        self._unknown = unknown
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
            error = reply.error if isinstance(reply, GivenUp) else reply
            meter.not_executed(Kind.DETAILS, sent=error.sent)
            raise reply
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

    def affords(self, kind: Kind, *, beside: Decimal) -> int | None:
        return int((self.money_left() - beside) // self.prices[kind]) if kind in self.prices else None

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
