"""The decision to retry a failed call and when, as a pure function, and the budget that keeps retries few."""

import msgspec

from pipeline.errors import CallError, TryAgain

CAP_S = 20.0
LONGEST_RETRY_AFTER_S = 300.0
MAX_DEFERRALS = 10


class Tries(msgspec.Struct):
    """The tries of one call.

    accepted   how many calls of its kind the account had accepted when it was refused for speed last, or begun
    attempt    the number of the attempt under way, from 1
    deferrals  the refusals that spent no attempt and concern this call: the account accepted others meanwhile
    """

    accepted: int = 0
    attempt: int = 1
    deferrals: int = 0

    def defer(self) -> float | None:
        """Count a refusal that spends no attempt; return the seconds to wait, or None to give up after ten of them."""
        self.deferrals += 1
        return 0.0 if self.deferrals <= MAX_DEFERRALS else None

    def too_fast(self, accepted: int) -> float | None:
        """Count a refusal for speed as `defer` does, unless the account has accepted no other call since the last one.

        While it accepts none, no call fails: the limiter waits, and ends the run when that goes on.
        """
        if accepted == self.accepted:
            return 0.0
        self.accepted = accepted
        return self.defer()


def delay_s(attempt: int, error: CallError, *, jitter: float) -> float | None:
    """Return the seconds to wait before attempt `attempt + 1`, or None to give up. `attempt` counts from 1.

    `jitter` is uniform in [0, 1): full jitter, so that workers that failed together do not come back together. A
    `retry_after_s` sent by the vendor is the least that is waited.
    """
    if not isinstance(error, TryAgain) or attempt >= error.attempts:
        return None
    backoff_s = min(CAP_S, error.base_s * 2.0 ** (attempt - 1)) * jitter
    return max(backoff_s, min(error.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


class RetryBudget:
    """A bucket of retries for all workers of a run: `size` at once, then `refill` of a retry for each granted call.

    A vendor that is down must not be asked four times for each picture; Google SRE caps retries at 10 % of traffic.
    """

    def __init__(self, *, size: float = 50.0, refill: float = 0.1) -> None:
        self._size = size
        self._refill = refill
        self._left = size

    @property
    def refilled(self) -> bool:
        """Return whether at least half of the retries are there again."""
        return self._left * 2 >= self._size

    def answered(self) -> None:
        """Count a call that was granted."""
        self._left = min(self._size, self._left + self._refill)

    def spend(self) -> bool:
        """Spend one retry; return False when there is none."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
