"""Where calls wait when it makes no sense to send any: for a while, and then for one probe to succeed."""

from collections import Counter
from collections.abc import Awaitable, Callable

import anyio

from pipeline.errors import CallError, RunPaused
from pipeline.models import Kind

NAP_S = 30.0  # the clock is asked again: a machine may sleep through the wait
HOLD_S, LONGEST_HOLD_S, MAX_HELD_S = 30.0, 600.0, 3600.0


class Gate:
    """Open until `shut`; from then on nothing passes but one probe at a time, until `passed`. Times are `now`'s."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.closed = False
        self._now = now
        self._opens_at = 0.0
        self._probing = False
        self._waiting: Counter[Kind] = Counter()

    @property
    def wait_s(self) -> float:
        """Seconds until a probe may go; 0 when the gate is open."""
        return max(0.0, self._opens_at - self._now()) if self.closed else 0.0

    async def turn(self, rest: Callable[[float], Awaitable[None]], kind: Kind) -> bool:
        """Wait, in naps of `rest`, until a call may go; True when it is the probe, which must tell `done`."""
        if not self.closed:
            return False
        self._waiting[kind] += 1
        try:
            while self.closed:
                wait_s = self.wait_s
                if wait_s <= 0 and not self._probing and self._is_first(kind):
                    self._probing = True
                    return True
                await rest(min(max(wait_s, 1.0), NAP_S))
        finally:
            self._waiting[kind] -= 1
        return False

    def _is_first(self, kind: Kind) -> bool:
        """Whether no call waits that would be a better probe."""
        return all(self._rank(kind) <= self._rank(other) for other, count in self._waiting.items() if count)

    def _rank(self, kind: Kind) -> tuple[bool, ...]:
        """How bad a probe this kind is: a create may end in doubt, and goes only where nothing else waits."""
        return (kind is Kind.CREATE,)

    def done(self) -> None:
        """Let another probe go, whatever came of this one."""
        self._probing = False

    def shut(self, until: float) -> None:
        """Let nothing pass before `until`, and then a probe."""
        self.closed, self._opens_at = True, until

    def passed(self, kind: Kind) -> bool:
        """Open the gate again: a call of a kind went through when one could; say whether the gate was shut."""
        was_shut = self.closed and self._now() >= self._opens_at
        if was_shut:
            self.closed = False
        return was_shut


class PauseGate(Gate):
    """Holds all calls while the platform is full or the vendor is down."""

    def __init__(self) -> None:
        super().__init__(anyio.current_time)
        self._hold_s = HOLD_S
        self._held_since: float | None = None

    def rest(self, seconds: float) -> None:
        """Let calls rest."""
        if seconds:
            self.shut(max(self._opens_at, self._now() + seconds))

    def hold(self, error: CallError) -> None:
        """Let calls rest for 30 s, doubled up to 10 minutes while the platform stays full.

        Raises RunPaused when it has accepted no call for an hour.
        """
        now = self._now()
        if self._held_since is None:
            self._held_since = now
        if now - self._held_since > MAX_HELD_S:
            raise RunPaused(f"no call was accepted for an hour: {error.message}", code=error.code)
        if not self.closed or now >= self._opens_at:  # else the others who were under way say the same
            self.rest(self._hold_s)
            self._hold_s = min(LONGEST_HOLD_S, self._hold_s * 2)

    def passed(self, kind: Kind) -> bool:
        """Open the gate, and forget how long it was shut."""
        if not self.closed:
            self._held_since, self._hold_s = None, HOLD_S
        elif super().passed(kind):
            self._held_since, self._hold_s = None, HOLD_S
            return True
        return False
