"""Whether a failed call is tried again, and when: a pure decision, and the budget that keeps retries a small share."""

from pipeline.errors import CallError, TryAgain

CAP_S = 20.0


def delay_s(attempt: int, error: CallError, *, jitter: float) -> float | None:
    """Seconds to wait before attempt `attempt + 1`, or None to give up. `attempt` counts from 1.

    `jitter` is uniform in [0, 1): full jitter, so that workers that failed together do not come back together. A
    `retry_after_s` sent by the vendor is the least that is waited.
    """
    if not isinstance(error, TryAgain) or attempt >= error.attempts:
        return None
    backoff_s = min(CAP_S, error.base_s * 2.0 ** (attempt - 1)) * jitter
    return max(backoff_s, min(error.retry_after_s or 0.0, 300.0))


class RetryBudget:
    """A bucket of retries: 50 in a burst, then one for every ten successes, over all workers of a run.

    A vendor that is down must not be asked four times for each picture; Google SRE caps retries at 10 % of traffic.
    """

    def __init__(self, *, size: float = 50.0, refill: float = 0.1) -> None:
        self._size = size
        self._refill = refill
        self._left = size

    def succeeded(self) -> None:
        """Count a success."""
        self._left = min(self._size, self._left + self._refill)

    @property
    def refilled(self) -> bool:
        """Whether at least half of the retries are there again."""
        return self._left * 2 >= self._size

    def take(self) -> bool:
        """Take one retry; False when the bucket is empty."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
