"""The health of vendor and account as answers show it: told of each answer once, asked before each call."""

import functools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import anyio

from pipeline.calls.access import Access
from pipeline.calls.breaker import Breaker, UnknownCodes
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import Gate, PauseGate, QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.calls.retry import RetryBudget, Tries, delay_s
from pipeline.calls.stats import Stats
from pipeline.endpoints.consequences import Table, end_of_run, row_for
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
    TryAgain,
)
from pipeline.models import Kind
from pipeline.reports import APART_S

# Calls that no search and no create waits for. Their failures open no breaker and wait for no daily limit: their caller
# decides what follows. A full platform, a vendor out of reach and a refused token concern all calls, also from here.
ASIDE = (Kind.DETAILS, Kind.QUERY)

NAP_S = 5.0  # a search that waits for creates to be accepted looks again this often


class Waits(NamedTuple):
    """The gates at which the job lets calls wait: for the day's limit to be lifted, and until the vendor is reached."""

    quota: QuotaGate
    reach: ReachGate


class Health:
    """All that counts outcomes of calls: the limiters, the access, the breaker, the gates and the retry budget.

    `table` is the run's error table.
    `sleep(kind, seconds)` waits, and raises Stopping as soon as calls of that kind end.
    """

    def __init__(
        self,
        limiters: Mapping[Kind, Limiter],
        access: Access,
        *,
        table: Table,
        waits: Waits,
        stats: Stats,
        sleep: Callable[[Kind, float], Awaitable[None]],
    ) -> None:
        self._limiters = limiters
        self._access = access
        self._table = table
        self._quota, self._reach = waits
        self._stats = stats
        self._sleep = sleep
        self._creates = limiters[Kind.CREATE]
        self._pause = PauseGate()
        self._gates: tuple[Gate, ...] = (self._reach, self._quota, self._pause)
        self._breaker = Breaker()
        self._unknown = UnknownCodes()
        self._retries = RetryBudget()

    @property
    def paused_s(self) -> float:
        """Seconds for which no call of any kind goes."""
        gates = (gate.wait_s for gate in self._gates)
        return max(*gates, *(limiter.paused_s for limiter in self._limiters.values()))

    @property
    def waits_until(self) -> float | None:
        """The moment when calls that wait for the day's limit try again (epoch seconds); None while none waits."""
        return self._quota.until

    @property
    def quota(self) -> QuotaGate:
        """The gate that waits for the day's limit to be lifted."""
        return self._quota

    @property
    def unreachable(self) -> bool:
        """Return whether calls wait until the vendor can be reached."""
        return self._reach.closed

    @property
    def blocked(self) -> bool:
        """Return whether no call but a probe goes; nobody knows for how long."""
        return any(gate.closed for gate in self._gates)

    @property
    def retries_left(self) -> bool:
        """Return whether at least half of the run's retries are there."""
        return self._retries.refilled

    async def open(self, kind: Kind) -> tuple[Gate, ...]:
        """Wait until a call of this kind may go. Return the gates that it probes; their callers must call `done`.

        A picture is not searched, nor uploaded, while the account accepts no creates: its search would be paid, and no
        task would follow.
        """
        while self._would_be_paid_in_vain(kind):
            await self._sleep(kind, NAP_S)
        probed: tuple[Gate, ...] = ()
        try:
            for gate in self._gates:
                if gate.closed and await gate.turn(functools.partial(self._sleep, kind), kind):
                    probed += (gate,)
        except BaseException:
            self.done(probed)
            raise
        return probed

    def closed_to(self, kind: Kind, probed: Sequence[Gate]) -> bool:
        """Return whether a gate was shut since `open` let a call of this kind pass as the probe of these."""
        return any(gate.closed and gate not in probed for gate in self._gates) or self._would_be_paid_in_vain(kind)

    def done(self, probed: Sequence[Gate]) -> None:
        """Let another call probe these gates."""
        for gate in probed:
            gate.done()

    def answered(self, kind: Kind) -> None:
        """Count a call that was granted."""
        self._limiters[kind].answered()
        self._access.answered()
        self._retries.answered()
        self._breaker.answered()
        for gate in self._gates:
            gate.answered(kind)

    def failed(self, kind: Kind, error: CallError, *, answered: bool, bearer: str) -> RunPaused | RunStopped | None:
        """Count an attempt that failed. `answered`: a whole answer came. `bearer`: the one it was sent with.

        Return what ends the run once a create in doubt is recorded. Raises RunPaused or RunStopped to end it now.
        """
        if answered and not isinstance(error, RefreshToken):
            self._access.answered()
        if error.sent:
            self._reach.answered(kind)
        elif self._reach.waits_for(error):
            self._reach.refused(error)
            return None
        ends_run: RunPaused | RunStopped | None = None if kind in ASIDE else self._ends_run(error)
        row = row_for(error, self._table)
        alive = answered and row is not None and row.alive
        if isinstance(error, InDoubt) and row is not None and row.full:
            ends_run = self._pause_for_others(error) or ends_run
        elif isinstance(error, TryAgain | InDoubt) and not alive:
            if kind not in ASIDE:
                self._pause_if_down(error)
        elif answered:
            self._breaker.answered()
        match error:
            case _ if alive:  # the vendor called it a success
                self._let_in(kind)
            case ItemRefused() if answered:  # for its content, so it had passed the limits of the account
                self._let_in(kind)
            case RefreshToken():
                self._access.refused(bearer, error.message)
            case SlowDown():
                self._slow_down(kind, error)
            case HoldAll():
                self._pause.pause_all(error)
            case RunPaused() if kind not in ASIDE and self._quota.waits_for(error):
                self._quota.refused(kind, error)
        return ends_run

    def retry(self, kind: Kind, error: CallError, tries: Tries) -> float | None:
        """Return the seconds after which a failed call is sent again, or None when it ends with this error.

        1. An error that may pass: after a backoff, while the call has attempts and the run has retries left. A question
           for a report of which a byte may have left is asked again after APART_S seconds at the earliest.
        2. Nothing was sent, or a gate was shut that has a patience of its own: at once.
        3. Refused for its token, or for speed while the account accepts others: at once, ten times at most. While it
           accepts none: at once, until the limiter ends the run.
        4. All others are final.
        """
        match error:
            case TryAgain() if self._reach.waits_for(error):
                return 0.0
            case TryAgain():
                pause_s = delay_s(tries.attempt, error, jitter=random.random())  # noqa: S311 - jitter, not cryptography
                if pause_s is None or not self._retries.spend():
                    return None
                self._stats.retried += 1
                tries.attempt += 1
                return max(pause_s, APART_S) if kind is Kind.QUERY and error.sent else pause_s
            case Reconnect() | HoldAll():
                return 0.0
            case RunPaused() if kind not in ASIDE and self._quota.waits_for(error):
                return 0.0
            case SlowDown():
                return tries.too_fast(self._limiters[kind].accepted)
            case RefreshToken():
                return tries.defer()
        return None

    def _would_be_paid_in_vain(self, kind: Kind) -> bool:
        return self._creates.starves and kind is not Kind.CREATE and kind not in ASIDE

    def _let_in(self, kind: Kind) -> None:
        """Count a call that came to nothing, and that the account let in all the same."""
        self._limiters[kind].answered()
        self._pause.answered(kind)
        self._quota.answered(kind)

    def _ends_run(self, error: CallError) -> RunStopped | None:
        """Return what ends the run beside this error; raises it at once unless a create in doubt is recorded first."""
        ends_run = end_of_run(error, self._table) if isinstance(error, InDoubt) else None
        row = self._table.get(error.condition)
        if row is not None and row.unknown and error.code not in self._table:
            try:
                self._unknown.seen(anyio.current_time(), error.message)
            except RunStopped as stop:
                if not isinstance(error, InDoubt):
                    raise
                return stop
        return ends_run

    def _pause_if_down(self, error: CallError) -> None:
        try:
            pause_s = self._breaker.failed(anyio.current_time(), error.message)
        except RunPaused:
            if isinstance(error, InDoubt):
                return  # what is in doubt must be recorded as such; the next failure ends the run
            raise
        self._pause.pause(pause_s)

    def _pause_for_others(self, error: InDoubt) -> RunPaused | None:
        """Pause all calls for a create in doubt that met a full platform; return what ends the run after it."""
        self._breaker.answered()
        try:
            self._pause.pause_all(error)
        except RunPaused as full:
            return full
        return None

    def _slow_down(self, kind: Kind, error: SlowDown) -> None:
        self._stats.too_fast[kind] += 1
        try:
            self._limiters[kind].slow_down(f"{kind.value}: {error.message}", retry_after_s=error.retry_after_s)
        except RunPaused as quota:
            if kind in ASIDE or not self._quota.waits_for(quota):
                raise
            self._quota.refused(kind, quota)
