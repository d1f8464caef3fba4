"""The vendor's endpoints with their rules: permit, token, retry, slow-down; what is left goes to the engine."""

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import anyio
from aiolimiter import AsyncLimiter

from pipeline.api import wire
from pipeline.api.auth import Auth, Credentials
from pipeline.api.transport import Headers, Transport
from pipeline.errors import (
    CallError,
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
from pipeline.guards import Breaker
from pipeline.limiter import Limiter
from pipeline.models import UPLOAD_LIFE_S, Choice, Hits, Kind, Task, Upload
from pipeline.ports import Meter
from pipeline.retry import RetryBudget, delay_s

# How far ahead of their permit calls may open a connection (in seconds of calls), and how old it may be when sent on.
AHEAD_S = 0.5
STALE_S = 3.0
# How far ahead of their permit calls make their intent durable: long enough to hide a slow disk's fsync (70 ms), short
# because each of them is in doubt, for nothing, after a kill.
INTENT_S = 0.1
MAX_DEFERRALS = 10
MAX_HOLD_S = 3600.0
_AMOUNT = re.compile(r"[0-9]{0,12}\.?[0-9]{0,6}")

_T = TypeVar("_T")


@dataclass(slots=True)
class Stats:
    """What this process has asked for; `units` is what the vendor says it billed."""

    sent: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    too_fast: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    retried: int = 0
    units: float = 0.0


class Client:
    """The vendor's endpoints. Every method raises CallError by consequence, or Stopping when it was not sent."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        limiters: Mapping[Kind, Limiter],
        *,
        on_sent: Callable[[Kind, float], None] | None = None,
    ) -> None:
        self.stats = Stats()
        self.limiters = limiters
        self._transport = transport
        self._credentials = credentials
        self._on_sent = on_sent
        self._auth = Auth(credentials, fetch=self._fetch_token, clock=_age_clock)
        self._doors = {
            kind: anyio.Semaphore(max(4, round(limiter.qps * AHEAD_S))) for kind, limiter in limiters.items()
        }
        self._thresholds = {
            kind: anyio.Semaphore(max(2, round(limiter.qps * INTENT_S))) for kind, limiter in limiters.items()
        }
        self._token_pace = AsyncLimiter(1, 1.0)
        self._budget = RetryBudget()
        self._breaker = Breaker()
        self._held_since: float | None = None
        self._endings = {kind: anyio.Event() for kind in Kind}

    async def upload(self, picture: bytes, file_type: str, meter: Meter) -> Upload:
        """Make a local picture reachable (P010)."""
        request = wire.upload_request(picture, file_type)
        return await self._call(request, lambda answer: wire.read_upload(answer, lifetime_s=UPLOAD_LIFE_S), meter)

    async def search(self, endpoint: str, url: str, params: Mapping[str, object], meter: Meter) -> Hits:
        """Search one picture (P009 or P060)."""
        hits = await self._call(wire.search_request(endpoint, url, params), wire.read_search, meter)
        return replace(hits, endpoint=endpoint, params=params)

    async def create(
        self, url: str, choice: Choice, meter: Meter, *, report_lang: str, country: list[str] | None
    ) -> Task:
        """Open an infringement task (AI39-1). Sent again only when the vendor provably did not execute it."""
        request = wire.create_request(url, choice, report_lang=report_lang, country=country)
        return await self._call(request, wire.read_create, meter)

    def stop(self, *kinds: Kind) -> None:
        """Send nothing more, of these kinds or at all: calls that wait, for a permit or to try again, get Stopping."""
        for kind in kinds or (*self.limiters, Kind.TOKEN):
            self._endings[kind].set()
            if kind in self.limiters:
                self.limiters[kind].close()

    async def _call(self, request: wire.Request, read: Callable[[wire.Answer], _T], meter: Meter) -> _T:
        attempt, deferrals = 1, 0
        while True:
            bearer = ""
            answer: wire.Answer | None = None
            request_id = uuid.uuid4().hex
            try:
                await self._auth.ready()
                answer, bearer = await self._send(request, request_id, meter)
                result = read(answer)
            except Stopping:
                meter.not_executed(request.kind, sent=False)
                raise
            except CallError as error:
                error.request_id = request_id
                self._report(request.kind, error, answer, meter)
                if isinstance(error, TryAgain):
                    pause_s = self._pause_before_retry(error, attempt)
                    attempt += 1
                    await self._rest(request.kind, pause_s)
                elif not isinstance(error, Reconnect):
                    deferrals += 1
                    self._defer(request.kind, error, deferrals, bearer)
            else:
                self._succeeded(request.kind)
                return result

    async def _send(self, request: wire.Request, request_id: str, meter: Meter) -> tuple[wire.Answer, str]:
        """One attempt: open a connection, then intent, permit and token, then the bytes. Returns the token, too."""
        kind = request.kind
        door = self._doors[kind]
        inside = True
        bearer = ""

        async def leave(headers: Headers) -> None:
            nonlocal inside, bearer
            at: float | None = None
            # Given up before the permit is taken: at one call a second all that wait grow old, and permits that fell
            # to old connections would be lost to everyone.
            try:
                with anyio.CancelScope(deadline=anyio.current_time() + STALE_S):
                    async with self._thresholds[kind]:
                        with anyio.CancelScope(shield=True):
                            await meter.before(kind, request_id)
                        at = await self.limiters[kind].permit()
            except anyio.get_cancelled_exc_class():
                meter.not_executed(kind, sent=False)  # cut short before its first byte: it need not be in doubt
                raise
            if at is None:
                raise Reconnect("its connection grew old before its turn", code="stale", sent=False)
            inside = False
            door.release()
            bearer = self._auth.bearer
            headers["Authorization"] = f"Bearer {bearer}"
            meter.sent(kind)
            self.stats.sent[kind] += 1
            if self._on_sent:
                self._on_sent(kind, at)

        await self.limiters[kind].rested()
        await door.acquire()
        try:
            answer = await self._transport.exchange(
                request, request_id=request_id, apikey=self._auth.apikey, leave=leave
            )
        finally:
            if inside:
                door.release()
        self.stats.units += _units(answer.headers.get("x-openapi-amount", ""))
        return answer, bearer

    def _succeeded(self, kind: Kind) -> None:
        self._held_since = None
        self.limiters[kind].succeeded()
        self._auth.accepted()
        self._budget.succeeded()
        self._breaker.succeeded()

    def _report(self, kind: Kind, error: CallError, answer: wire.Answer | None, meter: Meter) -> None:
        """Tell everyone who counts what a failed attempt means for them."""
        if answer is not None:
            # Headers may hold bytes that no file takes.
            correlation_id = answer.headers.get("x-correlation-id", "").encode("utf-8", "replace").decode()
            error.correlation_id = correlation_id[:128] or None
            if not isinstance(error, RefreshToken):
                self._auth.accepted()
        if not (error.sent and isinstance(error, InDoubt)):
            meter.not_executed(kind, sent=error.sent)
        if isinstance(error, TryAgain | InDoubt):
            self._rest_if_down(error)
        elif answer is not None:
            self._breaker.succeeded()

    def _rest_if_down(self, error: CallError) -> None:
        try:
            rest_s = self._breaker.failed(anyio.current_time(), error.message)
        except RunPaused:
            if isinstance(error, InDoubt):
                return  # what is in doubt must be recorded as such; the next failure ends the run
            raise
        for limiter in self.limiters.values():
            limiter.pause(rest_s)

    def _pause_before_retry(self, error: TryAgain, attempt: int) -> float:
        """Seconds to wait before the next attempt; raises `error` when there is none."""
        pause_s = delay_s(attempt, error, jitter=random.random())  # noqa: S311 - jitter, not cryptography
        if pause_s is None or not self._budget.take():
            raise error
        self.stats.retried += 1
        return pause_s

    def _defer(self, kind: Kind, error: CallError, deferrals: int, bearer: str) -> None:
        """Do what a call needs that goes back without an attempt spent; raises `error` if it is no such call."""
        if deferrals > MAX_DEFERRALS:
            raise error
        if isinstance(error, RefreshToken):
            self._auth.refused(bearer, error.message)
        elif isinstance(error, SlowDown):
            self.stats.too_fast[kind] += 1
            self.limiters[kind].slow_down(retry_after_s=error.retry_after_s)
        elif isinstance(error, HoldAll):
            now = anyio.current_time()
            self._held_since = self._held_since or now
            if now - self._held_since > MAX_HOLD_S:
                raise RunPaused(f"no call was accepted for an hour: {error.message}", code=error.code)
            for limiter in self.limiters.values():
                limiter.hold()
        else:
            raise error

    async def _rest(self, kind: Kind, seconds: float) -> None:
        """Sleep; raises Stopping as soon as calls of this kind end, for the vendor may ask for minutes."""
        with anyio.move_on_after(seconds):
            await self._endings[kind].wait()
        if self._endings[kind].is_set():
            raise Stopping("the run is ending")

    async def _fetch_token(self) -> wire.Token:
        """Ask for a token, up to four times. Raises RunPaused when nobody answers, RunStopped when it is refused."""
        attempt = 1
        while True:
            await self._rest(Kind.TOKEN, 0.0)
            try:
                async with self._token_pace:
                    return wire.read_token(await self._ask_token())
            except TryAgain as error:
                pause_s = delay_s(attempt, error, jitter=random.random())  # noqa: S311
                if pause_s is None:
                    reason = f"no access token after {attempt} attempts: {error.message}"
                    raise RunPaused(reason, code=error.code, sent=False) from None
                attempt += 1
                await self._rest(Kind.TOKEN, pause_s)
            except (RefreshToken, SlowDown, HoldAll, ItemRefused) as error:
                hint = ". Check PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET" if isinstance(error, RefreshToken) else ""
                raise RunStopped(f"no access token: {error.message}{hint}", code=error.code, sent=False) from None

    async def _ask_token(self) -> wire.Answer:
        async def leave(headers: Headers) -> None:
            headers["Authorization"] = self._credentials.basic
            self.stats.sent[Kind.TOKEN] += 1

        return await self._transport.exchange(
            wire.token_request(), request_id=uuid.uuid4().hex, apikey=None, leave=leave
        )


def _units(amount: str) -> float:
    """The units in a header; nonsense counts as none: a paid answer must not be lost to it."""
    return float(amount) if _AMOUNT.fullmatch(amount) and amount.strip(".") else 0.0


def _age_clock() -> float:
    """Seconds that also count while the machine sleeps: a token ages with the lid closed."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) if boottime is not None else time.monotonic()
