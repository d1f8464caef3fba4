"""One attempt of a call, and what all attempts of a run share.

An attempt takes a slot to connect, opens its connection, makes its intent durable, takes its permit, and is sent with
the bearer of that moment. So a permit is never spent on a connection that is not there yet.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import anyio
import msgspec

from pipeline.calls.access import Access
from pipeline.calls.health import Health
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import Gate
from pipeline.calls.stats import Stats, units
from pipeline.calls.tally import Cell
from pipeline.calls.transport import Headers, Transport
from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.errors import Code, PipelineError, Reconnect
from pipeline.models import Kind
from pipeline.ports import Meter
from pipeline.system.clock import loop_time

AHEAD_S = 0.5  # connect at most so many seconds' worth of calls before their permits
STALE_S = 3.0  # drop a connection that has waited for its permit for longer
# Make the intents of at most so many seconds' worth of calls durable before their permits: long enough to hide a slow
# disk's fsync (70 ms), short because after a kill each of these calls is in doubt for nothing.
INTENT_S = 0.1
LEAST_CONNECTING, LEAST_INTENDING = 4, 2


# The bits of a UUID that name its kind, and what they are in a random one (RFC 9562, section 5.4).
_VERSION_BITS = 0xF000 << 64 | 0xC000 << 48
_VERSION_4 = 0x4000 << 64 | 0x8000 << 48


class Slots:
    """Slots for a number of attempts at a time; each gives its slot back once, however often it says so."""

    def __init__(self, count: int) -> None:
        self._free = anyio.Semaphore(count, fast_acquire=True)
        self._taken: set[object] = set()

    async def take(self, attempt: object, *, deadline: float = math.inf) -> bool:
        """Wait for a slot; return False if there was none until the deadline (seconds of the loop's clock)."""
        if self._free.value > 0:  # most often, and a scope costs as much as all else here
            self._free.acquire_nowait()
        else:
            with anyio.CancelScope(deadline=deadline) as waiting:
                await self._free.acquire()
            if waiting.cancelled_caught:
                return False
        self._taken.add(attempt)
        return True

    def give_back(self, attempt: object) -> None:
        """Free the slot of an attempt, if it has one."""
        if attempt in self._taken:
            self._taken.remove(attempt)
            self._free.release()


class Lane(NamedTuple):
    """The limits of one kind of call: its permits, and the slots of attempts that connect or make their intent."""

    limiter: Limiter
    connecting: Slots
    intending: Slots

    async def permit(self, *, deadline: float) -> float | None:
        """Return the time of a permit; None if there was none until the deadline (seconds of the loop's clock)."""
        if (at := self.limiter.permit_nowait()) is not None:  # most often, see above
            return at
        with anyio.CancelScope(deadline=deadline):
            return await self.limiter.permit()
        return None


class Attempts:
    """All that the attempts of a run share."""

    def __init__(
        self,
        transport: Transport,
        access: Access,
        limiters: Mapping[Kind, Limiter],
        health: Health,
        *,
        stats: Stats,
    ) -> None:
        self.transport = transport
        self.access = access
        self.health = health
        self.stats = stats
        self._lanes = {
            kind: Lane(
                limiter,
                connecting=Slots(max(LEAST_CONNECTING, round(limiter.qps * AHEAD_S))),
                intending=Slots(max(LEAST_INTENDING, round(limiter.qps * INTENT_S))),
            )
            for kind, limiter in limiters.items()
        }

    def new(self, request: Request, meter: Meter) -> "Attempt":
        """Make an attempt with a request id of its own."""
        # The id is a name and no secret: uuid4 would ask the system for each, and take five times as long.
        request_id = f"{random.getrandbits(128) & ~_VERSION_BITS | _VERSION_4:032x}"
        return Attempt(request, request_id, meter, self, self._lanes[request.kind])


class Attempt(msgspec.Struct, eq=False):
    """One attempt of a call.

    probed  the gates that it was let through as their probe; whoever awaited `send` must tell them when it is done
    bearer  the token or API key that it was sent with; "" before
    sent    True once a byte may have left
    answer  the whole answer; None before it has come
    counted where its answer counts; None before it is sent
    """

    request: Request
    request_id: str
    meter: Meter
    shared: Attempts
    lane: Lane
    probed: Sequence[Gate] = ()
    bearer: str = ""
    sent: bool = False
    answer: Answer | None = None
    counted: Cell | None = None

    @property
    def apikey(self) -> str | None:
        """The `apikey` of the query."""
        return self.shared.access.apikey

    async def send(self) -> Answer:
        """Wait until the call may go, send it and read the whole answer.

        Raises Refusal, or CallError or Stopping when nothing was sent.
        """
        self.probed = await self.shared.health.open(self.request.kind)
        await self.shared.access.ready()
        await self.lane.limiter.until_unpaused()
        await self.lane.connecting.take(self)
        try:
            self.answer = await self.shared.transport.exchange(self.request, self)
        finally:
            self.lane.connecting.give_back(self)
        self.shared.stats.units += units(self.answer.headers.get("x-openapi-amount", ""))
        return self.answer

    async def depart(self, headers: Headers, require_open: Callable[[], None]) -> None:
        """Prepare to send, with a connection: on return the headers go out.

        Raises Reconnect when the connection grew too old or a gate was shut meanwhile, what `require_open` raises when
        it was closed, Stopping when the run ends, and what the meter raises to forbid the call. Nothing was sent then.
        """
        kind, lane, stale_at = self.request.kind, self.lane, loop_time() + STALE_S
        at: float | None = None
        try:
            if await lane.intending.take(self, deadline=stale_at):
                await self.meter.before(kind, self.request_id)
                # The age ends the wait, and is not looked at after it: at one call a second all connections grow old
                # while they wait, and a permit spent on one that is too old is lost for all callers.
                at = await lane.permit(deadline=stale_at)
        except anyio.get_cancelled_exc_class():
            self.meter.not_executed(kind)  # cut short before its first byte: it need not be in doubt
            raise
        finally:
            lane.intending.give_back(self)
        if at is None:
            raise Reconnect("its connection grew old before its turn", code=Code.STALE, sent=False)
        try:
            if self.shared.health.closed_to(kind, self.probed):
                raise Reconnect("a gate was shut before its turn", code=Code.STALE, sent=False)
            require_open()
        except (PipelineError, Refusal):
            lane.limiter.give_back(at)  # else calls whose connections are closed while they wait would use up the pace
            raise
        self.bearer = self.shared.access.bearer
        headers["Authorization"] = f"Bearer {self.bearer}"
        self.meter.sent(kind)
        self.shared.stats.sent[kind] += 1
        self.counted = self.shared.stats.tally.sent(self.request.path, kind)
        if self.shared.stats.on_sent is not None:
            self.shared.stats.on_sent(kind, at)
        lane.connecting.give_back(self)

    def refused(self) -> None:
        """Note that the vendor refused the call: it executed nothing and bills nothing."""
        self.meter.refused()
        if self.counted is not None:
            self.counted.refused += 1
