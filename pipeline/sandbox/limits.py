"""The limits of an account: calls a second for each endpoint, paid calls a day, paid calls in all."""

from collections import deque

from pipeline.sandbox.envelope import Refused

PAID = frozenset({"search", "create", "query"})

_TOO_FAST = 67200002
_NO_BALANCE = 67200005
_DAY_FULL = 67200007
_DAY_S = 86_400


class Limits:
    """The account's counters. A refused call counts towards none of them, else an overload would never end."""

    def __init__(self, *, qps: float | None, daily_limit: int | None, balance: int | None) -> None:
        # A fraction is kept by a longer or shorter window: 2.5 a second are two in 0.8 s, 0.5 a second is one in 2 s.
        self._calls = 0 if qps is None else max(1, int(qps))
        self._window_s = 0.0 if qps is None else self._calls / qps
        self._accepted: dict[str, deque[float]] = {}
        self._daily_limit = daily_limit
        self._balance = balance
        self._day = 0
        self._today = 0

    @property
    def balance(self) -> int | None:
        """Paid calls left; None when they are not limited."""
        return self._balance

    def admit(self, endpoint: str, *, monotonic_s: float, wall_s: float) -> None:
        """Count one call and reserve its price. Raises Refused when a limit is reached."""
        self._admit_rate(endpoint, monotonic_s)
        if endpoint in PAID:
            self._reserve(int(wall_s // _DAY_S))

    def give_back(self, endpoint: str) -> None:
        """Return the price of a call that was refused after all."""
        if endpoint not in PAID:
            return
        self._today -= 1
        if self._balance is not None:
            self._balance += 1

    def _admit_rate(self, endpoint: str, now_s: float) -> None:
        if not self._calls:
            return
        accepted = self._accepted.setdefault(endpoint, deque(maxlen=self._calls))
        if len(accepted) == self._calls and now_s - accepted[0] < self._window_s:
            raise Refused(_TOO_FAST)
        accepted.append(now_s)

    def _reserve(self, day: int) -> None:
        if day != self._day:
            self._day, self._today = day, 0
        if self._daily_limit is not None and self._today >= self._daily_limit:
            raise Refused(_DAY_FULL)
        if self._balance is not None:
            if self._balance <= 0:
                raise Refused(_NO_BALANCE)
            self._balance -= 1
        self._today += 1
