"""One attempt of a call: a connection first, then its intent, its permit and the token, then the bytes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import anyio

from pipeline.calls.access import Access
from pipeline.calls.health import Health
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import Gate
from pipeline.calls.stats import Stats, units
from pipeline.calls.transport import Headers, Transport
from pipeline.endpoints.interface import Answer, Request
from pipeline.errors import Code, Reconnect
from pipeline.models import Kind
from pipeline.ports import Meter
from pipeline.system.clock import loop_time

# How far ahead of their permit calls may open a connection (in seconds of calls), and how old it may be when sent on.
AHEAD_S = 0.5
STALE_S = 3.0
# How far ahead of their permit calls make their intent durable: long enough to hide a slow disk's fsync (70 ms), short
# because each of them is in doubt, for nothing, after a kill.
INTENT_S = 0.1


@dataclass(slots=True)
class Attempt:
    """A call about to be sent: who counts it, the gates it passes as their probe, and the token it left with."""

    request: Request
    request_id: str
    meter: Meter
    probed: Sequence[Gate] = ()
    bearer: str = ""
    answer: Answer | None = None
    sent: bool = False  # a byte of it may have left


class Sender:
    """Sends attempts at the pace of their kind's limiter, while all `gates` are open or the attempt is their probe."""

    def __init__(
        self,
        transport: Transport,
        access: Access,
        limiters: Mapping[Kind, Limiter],
        health: Health,
        *,
        stats: Stats,
        on_sent: Callable[[Kind, float], None] | None,
    ) -> None:
        self._transport = transport
        self._access = access
        self._limiters = limiters
        self._health = health
        self._stats = stats
        self._on_sent = on_sent
        self._doors = {kind: _room(limiter, AHEAD_S, 4) for kind, limiter in limiters.items()}
        self._thresholds = {kind: _room(limiter, INTENT_S, 2) for kind, limiter in limiters.items()}

    async def send(self, attempt: Attempt) -> Answer:
        """Send and read the whole answer. Raises Refusal, or CallError or Stopping when nothing was sent."""
        kind = attempt.request.kind
        await self._limiters[kind].until_unpaused()
        door = self._doors[kind]
        await _enter(door)

        async def leave(headers: Headers) -> None:
            await self._leave(attempt, headers)
            door.release()

        try:
            attempt.answer = await self._transport.exchange(
                attempt.request, request_id=attempt.request_id, apikey=self._access.apikey, leave=leave
            )
        finally:
            if not attempt.sent:
                door.release()
        self._stats.units += units(attempt.answer.headers.get("x-openapi-amount", ""))
        return attempt.answer

    async def _leave(self, attempt: Attempt, headers: Headers) -> None:
        """Make the intent durable, wait for the permit, and let the headers go."""
        kind = attempt.request.kind
        at = await self._permit(attempt)
        if at is None or self._health.closed_to(attempt.probed):
            raise Reconnect("its connection grew old before its turn", code=Code.STALE, sent=False)
        attempt.bearer = self._access.bearer
        headers["Authorization"] = f"Bearer {attempt.bearer}"
        attempt.meter.sent(kind)
        self._stats.sent[kind] += 1
        if self._on_sent:
            self._on_sent(kind, at)
        attempt.sent = True

    async def _permit(self, attempt: Attempt) -> float | None:
        """When the permit came; None when the connection grew old before.

        Given up before the permit is taken: at one call a second all that wait grow old, and permits that fell to old
        connections would be lost to everyone.
        """
        kind, meter = attempt.request.kind, attempt.meter
        limiter, threshold = self._limiters[kind], self._thresholds[kind]
        deadline = loop_time() + STALE_S
        entered = False
        try:
            entered = await _enter(threshold, deadline)
            if not entered:
                return None
            await meter.before(kind, attempt.request_id)
            # Most often there is nothing to wait for, and a scope costs as much as all else here.
            if (at := limiter.permit_nowait()) is not None:
                return at
            with anyio.CancelScope(deadline=deadline):
                return await limiter.permit()
        except anyio.get_cancelled_exc_class():
            meter.not_executed(kind, sent=False)  # cut short before its first byte: it need not be in doubt
            raise
        finally:
            if entered:
                threshold.release()
        return None


async def _enter(room: anyio.Semaphore, deadline: float = math.inf) -> bool:
    """Enter as soon as there is room; False when there was none until the deadline (seconds of the loop's clock)."""
    if room.value > 0:
        room.acquire_nowait()
        return True
    with anyio.CancelScope(deadline=deadline):
        await room.acquire()
        return True
    return False


def _room(limiter: Limiter, seconds: float, least: int) -> anyio.Semaphore:
    return anyio.Semaphore(max(least, round(limiter.qps * seconds)), fast_acquire=True)
