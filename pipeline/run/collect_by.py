"""The time by which `pipeline collect` must start, so that every paid task is read before the last hour of its life.

Tasks are read by their expiry, at `api.qps.query`, with as many questions for each as are usual.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from pipeline.engine.report_turns import POLLS_AT_FIRST, READ_BY_S
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.journal.places import run_of_shard
from pipeline.models import WAITING, Kind, State, Task
from pipeline.system.clock import iso
from pipeline.system.fault import typed


def start_by(spec: JobSpec, created: Iterable[float], *, before: float = float("inf"), read: int = 0) -> float | None:
    """Return when collecting must start for tasks created at these times, the earliest first; None without any.

    `before` is that of `read` tasks that were created before them.
    """
    by = before
    for number, at in enumerate(created, start=read + 1):
        by = min(by, at + READ_BY_S - number * _task_s(spec))
    return None if by == float("inf") else by


def _task_s(spec: JobSpec) -> float:
    """Return the seconds of the account's pace that the questions for one task take."""
    return POLLS_AT_FIRST / spec.api.qps_of(Kind.QUERY)


def clock_time(seconds: float) -> str:
    """Write a time for people, on their own clock."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M %Z}"


class CollectBy:
    """The time of one run as it pays for tasks; `earlier` are those that were not read when it began.

    expected counts the items that may become tasks yet

    by  the time; None while no task is paid
    """

    def __init__(
        self,
        spec: JobSpec,
        folder: Path,
        earlier: Iterable[float],
        *,
        expected: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        tasks = list(earlier)
        self.by = start_by(spec, tasks)
        self._spec = spec
        self._run = run_of_shard(folder) or folder  # `collect` takes a run as a whole
        self._expected = expected
        self._say = say
        self._number = len(tasks)
        self._said = False

    def paid(self, task: Task) -> None:
        """Count a task that is paid now; with the first one, say by when all of them must begin to be read."""
        before = float("inf") if self.by is None else self.by
        self.by = start_by(self._spec, [task.at], before=before, read=self._number)
        self._number += 1
        if not self._said:
            self._said = True
            self._say(
                f"tasks are paid from now on, and this run reads no report: so that every one can be read in time, "
                f"`{typed('collect', self._run)}` must start by {clock_time(self._foreseen(task))}, best while this "
                "run goes on"
            )

    def _foreseen(self, task: Task) -> float:
        """Foresee the time for all items that may become tasks, at the pace of creates."""
        assert self.by is not None
        a_create = 1 / self._spec.api.qps_of(Kind.CREATE)
        behind = max(0.0, max(0, self._expected()) * (_task_s(self._spec) - a_create))
        return min(self.by, task.at + READ_BY_S - self._number * _task_s(self._spec) - behind)


def iso_of(seconds: float | None) -> str:
    """Write a time for programs; "" for none."""
    return "" if seconds is None else iso(seconds)


async def collect_by_of(
    spec: JobSpec, folder: Path, journal: Journal, items: Callable[[], Mapping[State, int]], say: Callable[[str], None]
) -> CollectBy | None:
    """Make the time of a run that leaves its reports to be collected; None for any other one."""
    if not spec.reads_later:
        return None
    earlier = await journal.reports.unread(now=time.time())

    def expected() -> int:
        return sum(items().get(state, 0) for state in WAITING)

    return CollectBy(spec, folder, earlier, expected=expected, say=say)
