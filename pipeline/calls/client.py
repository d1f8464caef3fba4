"""The vendor's endpoints with their rules: permit, token, retry, slow-down; what is left goes to the engine."""

import functools
import random
import uuid
from collections.abc import Callable, Mapping
from typing import TypeVar

import anyio

from pipeline.calls.access import Access, TokenSource
from pipeline.calls.attempt import Attempt, Sender
from pipeline.calls.breaker import Breaker, UnknownCodes
from pipeline.calls.last_word import last_word
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import PauseGate, QuotaGate
from pipeline.calls.retry import RetryBudget, delay_s
from pipeline.calls.stats import Stats
from pipeline.calls.transport import Transport
from pipeline.endpoints.consequences import RULES, UNKNOWN, Table, consequence, end_of_run
from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.endpoints.patsnap import wire
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import (
    CallError,
    GivenUp,
    HoldAll,
    InDoubt,
    ItemRefused,
    Reconnect,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    Stopping,
    TryAgain,
)
from pipeline.models import UPLOAD_LIFE_S, Choice, Hits, Kind, Task, Upload
from pipeline.ports import Meter
from pipeline.system.clock import steady

MAX_DEFERRALS = 10

_T = TypeVar("_T")


class Client:
    """The vendor's endpoints. Every method raises CallError by consequence, GivenUp, or Stopping when it was not
    sent.

    `table` says what follows from which error; `quota` is where calls wait once the day's limit is reached.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        limiters: Mapping[Kind, Limiter],
        *,
        on_sent: Callable[[Kind, float], None] | None = None,
        table: Table = RULES,
        quota: QuotaGate | None = None,
    ) -> None:
        self.stats = Stats()
        self.limiters = limiters
        sleep = functools.partial(self._sleep_unless_ending, Kind.TOKEN)
        tokens = TokenSource(transport, credentials, self.stats.sent, sleep=sleep)
        self._access = Access(credentials, fetch=tokens.fetch, clock=steady)
        self._budget = RetryBudget()
        self._breaker = Breaker()
        self._unknown = UnknownCodes()
        self._table = table
        self._quota = quota or QuotaGate(None)
        self._pause = PauseGate()
        self._gates = (self._quota, self._pause)
        self._sender = Sender(transport, self._access, limiters, self._gates, stats=self.stats, on_sent=on_sent)
        self._endings = {kind: anyio.Event() for kind in Kind}

    async def upload(self, picture: bytes, file_type: str, meter: Meter) -> Upload:
        """Make a local picture reachable (P010)."""
        request = wire.upload_request(picture, file_type)
        return await self._call(request, lambda answer: wire.read_upload(answer, lifetime_s=UPLOAD_LIFE_S), meter)

    async def search(self, endpoint: str, url: str, params: Mapping[str, object], meter: Meter) -> Hits:
        """Search one picture (P009 or P060)."""
        read = functools.partial(wire.read_search, endpoint=endpoint, params=params)
        return await self._call(wire.search_request(endpoint, url, params), read, meter)

    async def create(
        self, url: str, choice: Choice, meter: Meter, *, report_lang: str, country: list[str] | None
    ) -> Task:
        """Open an infringement task (AI39-1). Sent again only when the vendor provably did not execute it."""
        request = wire.create_request(url, choice, report_lang=report_lang, country=country)
        return await self._call(request, wire.read_create, meter)

    @property
    def retries_left(self) -> bool:
        """Whether at least half of the run's retries are there, so that what gave up for want of them may go again."""
        return self._budget.refilled

    @property
    def paused_s(self) -> float:
        """Seconds for which no call of any kind goes."""
        return max(self._quota.wait_s, self._pause.wait_s, *(limiter.paused_s for limiter in self.limiters.values()))

    @property
    def waits_until(self) -> float | None:
        """When calls that wait for the day's limit try again (epoch seconds); None while they do not wait for it."""
        return self._quota.until

    def stop(self, *kinds: Kind) -> None:
        """Send nothing more, of these kinds or at all: calls that wait, for a permit or to try again, get Stopping.

        While all wait for the day's limit to be lifted they end together: a drain would only wait with them.
        """
        for kind in (() if self._quota.closed else kinds) or (*self.limiters, Kind.TOKEN):
            self._endings[kind].set()
            if kind in self.limiters:
                self.limiters[kind].close()

    def clock_jumped(self) -> None:
        """Take nothing for granted after a sleep or a moved clock: a new token, and no burst."""
        self._access.renew()
        for limiter in self.limiters.values():
            limiter.start_evenly()

    async def _call(self, request: Request, read: Callable[[Answer], _T], meter: Meter) -> _T:
        doubted: list[CallError] = []
        try:
            return await self._until_answered(request, read, meter, doubted)
        except (CallError, GivenUp, Stopping) as end:
            word = last_word(doubted, end)
            if word is end:
                raise
            raise word from end

    async def _until_answered(
        self, request: Request, read: Callable[[Answer], _T], meter: Meter, doubted: list[CallError]
    ) -> _T:
        """Send the call until it is answered or given up; `doubted` gets the attempts that may have been executed."""
        attempt, deferrals = 1, 0
        while True:
            # A name, not a secret: uuid4 asks the system each time.
            this = Attempt(request, uuid.UUID(int=random.getrandbits(128), version=4).hex, meter)
            try:
                await self._turn(this)
                await self._access.ready()
                result = await self._once(this, read)
            except Stopping:
                meter.not_executed(request.kind, sent=False)
                raise
            except CallError as error:
                if error.may_exist:
                    doubted.append(error)
                ends_run = self._report(request.kind, error, this.answer, meter)
                if isinstance(error, InDoubt):
                    if ends_run is not None:
                        raise GivenUp(error, ends_run) from None
                    raise
                if isinstance(error, TryAgain):
                    pause_s = self._pause_before_retry(error, attempt)
                    attempt += 1
                    await self._sleep_unless_ending(request.kind, pause_s)
                elif not isinstance(error, Reconnect) and not self._quota.waits_for(error, request.kind):
                    deferrals += not isinstance(error, HoldAll)  # the gate has its own patience
                    self._defer(request.kind, error, deferrals, this.bearer)
            else:
                self._succeeded(request.kind)
                return result
            finally:
                for gate in this.probed:
                    gate.done()

    async def _once(self, this: Attempt, read: Callable[[Answer], _T]) -> _T:
        """Send one attempt and read its answer. Raises CallError as the table says, or Stopping."""
        try:
            return read(await self._sender.send(this))
        except Refusal as refusal:
            # `from None`: behind a refusal may stand an error of aiohttp, whose text holds the apikey.
            raise consequence(
                refusal,
                this.request.kind,
                table=self._table,
                sent=this.sent,
                request_id=this.request_id,
                correlation_id=_correlation_id(this.answer),
            ) from None

    async def _turn(self, this: Attempt) -> None:
        """Wait while nothing may be sent, or until this is the one that may probe."""
        kind = this.request.kind
        for gate in self._gates:
            if gate.closed and await gate.turn(functools.partial(self._sleep_unless_ending, kind), kind):
                this.probed.append(gate)

    def _succeeded(self, kind: Kind) -> None:
        self.limiters[kind].succeeded()
        self._access.accepted()
        self._budget.succeeded()
        self._breaker.succeeded()
        self._pause.passed(kind)
        self._quota.passed(kind)

    def _report(self, kind: Kind, error: CallError, answer: Answer | None, meter: Meter) -> RunStopped | None:
        """Tell everyone who counts what a failed attempt means for them.

        Return what ends the run once a create in doubt is recorded.
        """
        ends_run = end_of_run(error, self._table) if isinstance(error, InDoubt) else None
        if answer is not None and not isinstance(error, RefreshToken):
            self._access.accepted()
        if error.may_exist:
            meter.may_exist()  # its intent stays, also while it waits to be sent again
        else:
            meter.not_executed(kind, sent=error.sent)
        if error.condition in UNKNOWN and error.code not in self._table:
            ends_run = self._stop_if_unknown(error) or ends_run
        if isinstance(error, TryAgain | InDoubt):
            self._pause_if_down(error)
        elif answer is not None:
            self._breaker.succeeded()
            if isinstance(error, ItemRefused):  # refused for what it is, so all else let it pass
                self._pause.passed(kind)
                self._quota.passed(kind)
        return ends_run

    def _stop_if_unknown(self, error: CallError) -> RunStopped | None:
        try:
            self._unknown.seen(anyio.current_time(), error.message)
        except RunStopped as stop:
            if not isinstance(error, InDoubt):
                raise
            return stop  # what is in doubt must be recorded as such first
        return None

    def _pause_if_down(self, error: CallError) -> None:
        try:
            pause_s = self._breaker.failed(anyio.current_time(), error.message)
        except RunPaused:
            if isinstance(error, InDoubt):
                return  # what is in doubt must be recorded as such; the next failure ends the run
            raise
        self._pause.pause(pause_s)

    def _pause_before_retry(self, error: TryAgain, attempt: int) -> float:
        """Seconds to wait before the next attempt; raises `error` when there is none."""
        pause_s = delay_s(attempt, error, jitter=random.random())  # noqa: S311 - jitter, not cryptography
        if pause_s is None:
            raise error
        if not self._budget.spend():
            raise GivenUp(error)
        self.stats.retried += 1
        return pause_s

    def _defer(self, kind: Kind, error: CallError, deferrals: int, bearer: str) -> None:
        """Do what a call needs that goes back without an attempt spent; raises `error` if it is no such call."""
        if deferrals > MAX_DEFERRALS:
            raise error
        if isinstance(error, RefreshToken):
            self._access.refused(bearer, error.message)
        elif isinstance(error, SlowDown):
            self.stats.too_fast[kind] += 1
            try:
                self.limiters[kind].slow_down(retry_after_s=error.retry_after_s)
            except RunPaused as quota:
                if not self._quota.waits_for(quota, kind):
                    raise
        elif isinstance(error, HoldAll):
            self._pause.pause_all(error)
        else:
            raise error

    async def _sleep_unless_ending(self, kind: Kind, seconds: float) -> None:
        """Sleep; raises Stopping as soon as calls of this kind end, for the vendor may ask for minutes."""
        with anyio.move_on_after(seconds):
            await self._endings[kind].wait()
        if self._endings[kind].is_set():
            raise Stopping("the run is ending")


def _correlation_id(answer: Answer | None) -> str | None:
    """Return the vendor's id of an answer, as far as a file takes it."""
    if answer is None:
        return None
    return answer.headers.get("x-correlation-id", "").encode("utf-8", "replace").decode()[:128] or None
