"""Counts of what came to a sandbox, to compare a client's own figures with.

The sandbox's thread writes them, and any thread may read: every method returns a copy.
"""

import asyncio
import time
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

_TICK_S = 0.005
_TICKS_KEPT = 20_000  # 100 s


class SandboxStats:
    """Counts of calls: when they came, how they ended, and how late the sandbox's own event loop ran.

    A call to no known endpoint counts under the name `unknown`, a redirect that was followed under `redirected`.
    """

    def __init__(self) -> None:
        self._arrivals: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._outcomes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._executed: Counter[str] = Counter()
        self._searches: set[int] = set()
        self._polls: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._patents: Counter[str] = Counter()
        self._lags: deque[float] = deque(maxlen=_TICKS_KEPT)
        self._lag_max_s = 0.0
        self._units = 0

    def arrived(self, endpoint: str) -> float:
        """Log one arrival and return its time."""
        now = time.monotonic()
        self._arrivals[endpoint].append(now)
        return now

    def answered(self, endpoint: str, outcome: str) -> None:
        """Count how a call ended: `ok`, an error code as text, or a kind of fault."""
        self._outcomes[endpoint][outcome] += 1

    def executed_call(self, endpoint: str, units: int) -> None:
        """Count a call that took effect, whether its answer arrives or not."""
        self._executed[endpoint] += 1
        self._units += units

    def searched(self, question: object) -> None:
        """Remember a search, so that repeated ones can be told apart."""
        self._searches.add(hash(question))

    def polled(self, task_id: str) -> None:
        """Log a question about a task, also about an unknown one, that the account's limits let pass."""
        self._polls[task_id].append(time.monotonic())

    def asked_about(self, patents: Iterable[str]) -> None:
        """Count the patents that a call for details names."""
        self._patents.update(patents)

    async def watch_loop(self, closing: asyncio.Event) -> None:
        """Wake up every 5 ms until `closing` is set, and note how late that was."""
        loop = asyncio.get_running_loop()
        due = loop.time() + _TICK_S
        while not closing.is_set():
            await asyncio.sleep(due - loop.time())
            now = loop.time()
            lag = now - due
            self._lags.append(lag)
            self._lag_max_s = max(self._lag_max_s, lag)
            due = now + _TICK_S

    def arrivals(self, endpoint: str) -> list[float]:
        """Return when an endpoint's calls came, on `time.monotonic`; refused ones are among them."""
        return self._arrivals[endpoint].tolist() if endpoint in self._arrivals else []

    def calls(self, endpoint: str) -> int:
        """Return how many calls of an endpoint arrived."""
        return len(self._arrivals[endpoint]) if endpoint in self._arrivals else 0

    def most_in_a_second(self, endpoint: str) -> int:
        """Return the largest number of arrivals in any sliding second."""
        times = self.arrivals(endpoint)
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most

    @property
    def outcomes(self) -> dict[str, dict[str, int]]:
        """Number of calls by endpoint and by how they ended."""
        return {endpoint: dict(counts) for endpoint, counts in self._outcomes.copy().items()}

    @property
    def executed(self) -> dict[str, int]:
        """Number of calls that took effect, by endpoint."""
        return dict(self._executed)

    @property
    def executed_creates(self) -> int:
        """Number of tasks created, whether the answer arrived or not."""
        return self._executed["create"]

    @property
    def distinct_searches(self) -> int:
        """Number of different questions among the searches that took effect."""
        return len(self._searches)

    @property
    def polls(self) -> dict[str, int]:
        """Number of questions about each task."""
        return {task_id: len(times) for task_id, times in self._polls.copy().items()}

    def polls_of(self, task_id: str) -> list[float]:
        """Return when a task was asked about, on `time.monotonic`."""
        return self._polls[task_id].tolist() if task_id in self._polls else []

    @property
    def patents_asked(self) -> dict[str, int]:
        """Number of calls that named a patent, by its id, among the calls for details that took effect."""
        return dict(self._patents)

    @property
    def units(self) -> int:
        """Units billed in all."""
        return self._units

    @property
    def lag_max_s(self) -> float:
        """Worst lateness of the loop so far, in seconds."""
        return self._lag_max_s

    @property
    def lag_p99_s(self) -> float:
        """99th percentile of the loop's lateness over the last 100 s, in seconds."""
        lags = sorted(self._lags.copy())
        return lags[int(len(lags) * 0.99)] if lags else 0.0
