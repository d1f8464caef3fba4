"""The turns of tasks that are asked for their reports: when each is asked next, and which of several is asked first."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import anyio

from pipeline.endpoints.patsnap.codes import MAX_ANSWER_S
from pipeline.engine.report_meter import ReportMeter
from pipeline.models import TASK_LIFE_S, State, Task, Work
from pipeline.reports import APART_S

MOST_S = 600.0  # between two questions for one task; APART_S at least
SHARE = 0.25  # of a task's age is waited before it is asked again
READ_BY_S = TASK_LIFE_S - 3600  # every task is read before the last hour of its life
LEARNED = 50  # the last so many reports say when tasks usually are done
POLLS_AT_FIRST = 2.0  # questions that a report is taken to need until some were read


@dataclass(slots=True, eq=False)
class Waiting:
    """A task that is asked for its report; `state` is that of its item, None once it needs no more questions."""

    work: Work
    state: State | None
    task: Task
    meter: ReportMeter
    was_asked: bool = False


class Turns:
    """The tasks of one run. `qps` are the questions that may be asked a second."""

    def __init__(self, *, now: Callable[[], float], qps: float) -> None:
        self._now = now
        self._qps = qps
        self._later: list[tuple[float, int, Waiting]] = []  # by the loop's time of the next question
        self._due: list[tuple[float, int, Waiting]] = []  # by the end of the task's life
        self._all: dict[int, Waiting] = {}
        self._under_way = 0
        self._most_at_once = max(2, round(qps * MAX_ANSWER_S))
        self._ages: deque[float] = deque(maxlen=LEARNED)  # of tasks when their reports were found
        self._polls: deque[int] = deque(maxlen=LEARNED)
        self._waited_for = 0

    @property
    def awaited(self) -> int:
        """Number of items whose reports are waited for: pending ones, and others until they were asked about once."""
        return self._waited_for

    @property
    def most(self) -> int:
        """Number of tasks that can be read before the last hour of their lives."""
        needed = sum(self._polls) / len(self._polls) if self._polls else POLLS_AT_FIRST
        return max(1, int(READ_BY_S * self._qps / max(1.0, needed)))

    def has_room(self, under_way: int) -> bool:
        """Return whether one more task could be read in time beside these, and those that are under way."""
        return self._waited_for + under_way < self.most

    def add(self, one: Waiting) -> None:
        """Take a task in; one that is new is first asked when tasks usually are done."""
        self._all[one.work.ord] = one
        self._waited_for += 1
        age = max(0.0, self._now() - one.task.at)
        self._push(one, max(APART_S, self._typical() - age))  # an earlier run may have asked a moment ago

    def until_next(self) -> float:
        """Return the seconds until a question may be begun; infinity while nothing is to be asked."""
        if self._under_way >= self._most_at_once:
            return float("inf")
        now = anyio.current_time()
        while self._later and self._later[0][0] <= now:
            _, ord_, one = heapq.heappop(self._later)
            heapq.heappush(self._due, (one.task.expires_at, ord_, one))
        if self._due:
            return 0.0
        return self._later[0][0] - now if self._later else float("inf")

    def take(self) -> Waiting:
        """Take the task whose turn it is: of those whose time has come, the one that expires first."""
        self._under_way += 1
        return heapq.heappop(self._due)[2]

    def asked(self, one: Waiting, *, again: bool) -> None:
        """Note that a question is over; ask `again` after a while that grows with the age of the task."""
        self._under_way -= 1
        if not one.was_asked:
            one.was_asked = True
            if one.state is State.REPORT_FAILED:
                self._waited_for -= 1
        if again and one.meter.may_ask:
            age = max(0.0, self._now() - one.task.at)
            until_end = max(APART_S, one.task.expires_at - self._now())
            self._push(one, min(MOST_S, until_end, max(APART_S, SHARE * age)))
        elif again and one.state is State.REPORT_PENDING:
            self._waited_for -= 1  # asked often enough in this run, or no more for want of budget

    def done(self, one: Waiting) -> None:
        """Learn from a report when tasks are done, and how many questions it takes."""
        age = max(0.0, self._now() - one.task.at)
        self._ages.append(0.9 * age if one.meter.polls <= 1 else age)  # one found at once was done before
        self._polls.append(one.meter.polls)

    def moved(self, one: Waiting, state: State | None) -> None:
        """Note an item's new state; None when it needs no more questions."""
        if one.state is State.REPORT_PENDING or not one.was_asked:
            self._waited_for -= 1
        one.state = state
        one.was_asked = True
        if state is None:
            del self._all[one.work.ord]

    def left(self) -> list[Waiting]:
        """List the tasks that still need questions."""
        return list(self._all.values())

    def _typical(self) -> float:
        return max(APART_S, median(self._ages)) if self._ages else APART_S

    def _push(self, one: Waiting, after_s: float) -> None:
        heapq.heappush(self._later, (anyio.current_time() + after_s, one.work.ord, one))
