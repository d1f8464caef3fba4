"""The picture of a run while it goes on, and the line that a person reads of it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.calls.limiter import Limiter
from pipeline.cli.live import one_line
from pipeline.engine.causes import Causes
from pipeline.models import PAID, Kind, State
from pipeline.run.gauges import Gauges
from pipeline.run.progress import Progress
from tests.support.fakes import job
from tests.support.virtual_time import run_virtually

LATER = 1_795_302_000.0  # 2026-11-21T23:00:00Z


class Parts:
    """A run with ten items waiting, of which everything can be changed between two pictures."""

    def __init__(
        self, *, paused_s: float = 0.0, waits_until: float | None = None, unreachable: bool = False, down: bool = False
    ) -> None:
        self.items = dict.fromkeys(State, 0) | {State.PENDING: 10}
        self.engine = SimpleNamespace(
            items=lambda: self.items, in_flight=0, all_in=True, ended_by=None, causes=Causes()
        )
        self.client = SimpleNamespace(
            stats=SimpleNamespace(sent=dict.fromkeys(Kind, 0), units=0.0),
            limiters={kind: Limiter(5) for kind in PAID},
            paused_s=paused_s,
            waits_until=waits_until,
            unreachable=unreachable,
            blocked=down or unreachable or waits_until is not None,
        )
        self.budget = SimpleNamespace(calls={kind: SimpleNamespace(used=0) for kind in PAID})

    def pictures(self, folder: Path, *changes: Callable[[], None]) -> list[Progress]:
        """Take a picture now, and one a second after each of these changes."""

        async def take() -> list[Progress]:
            journal: Any = SimpleNamespace(budget=self.budget)
            engine: Any = self.engine
            client: Any = self.client
            gauges = Gauges(job(folder), engine, client, journal, run="job")
            pictures = [gauges.picture()]
            for change in changes:
                change()
                await anyio.sleep(1)
                pictures.append(gauges.picture())
            return pictures

        return run_virtually(take)


def said(folder: Path, **changes: Any) -> str:
    [picture] = Parts(**changes).pictures(folder)
    return one_line(picture)


def test_while_calls_go_the_time_that_is_left_is_said(tmp_path: Path) -> None:
    assert "about 7 s left, bound by the limit of 5 search calls a second" in said(tmp_path)


def test_a_pause_of_all_calls_counts_as_time_that_is_left(tmp_path: Path) -> None:
    line = said(tmp_path, paused_s=30.0)
    assert "about 37 s left" in line
    assert "all calls pause for 30 s" in line


def test_while_the_vendor_cannot_be_reached_or_is_down_nobody_is_told_that_it_takes_seconds(tmp_path: Path) -> None:
    unreached, down = said(tmp_path, paused_s=9.0, unreachable=True), said(tmp_path, paused_s=30.0, down=True)
    assert "left" not in unreached + down
    assert unreached.endswith("; the vendor cannot be reached; next try in 9 s")
    assert down.endswith("; all calls pause for 30 s")


@pytest.mark.parametrize(
    ("paused_s", "words"),
    [(40_000.0, "calls wait for the day's limit to be lifted, until 2026-11-2"), (0.0, "one is on its way to see")],
    ids=["until the reset", "while a probe is under way"],
)
def test_while_calls_wait_for_the_days_limit_nobody_is_told_that_it_takes_seconds(
    tmp_path: Path, paused_s: float, words: str
) -> None:
    line = said(tmp_path, paused_s=paused_s, waits_until=LATER)
    assert "left" not in line
    assert words in line


def test_the_rate_of_calls_is_that_of_the_last_seconds_and_never_above_the_limit(tmp_path: Path) -> None:
    parts = Parts()

    def send(count: int) -> Callable[[], None]:
        return lambda: parts.client.stats.sent.update({Kind.SEARCH: parts.client.stats.sent[Kind.SEARCH] + count})

    pictures = parts.pictures(tmp_path, send(3), send(5), *[send(0)] * 6, send(40))
    flows = [picture.flows[Kind.SEARCH] for picture in pictures]
    assert [flow.per_s for flow in flows[:3]] == [0.0, 3.0, 4.0]
    assert (flows[-2].per_s, flows[-1].per_s, flows[-1].sent) == (0.0, 5.0, 48)
    assert [picture.elapsed_s for picture in pictures[:3]] == [0.0, 1.0, 2.0]


def test_answers_that_come_much_slower_than_the_limit_are_what_binds(tmp_path: Path) -> None:
    parts = Parts()
    parts.items[State.PENDING] = 1_000
    one = parts.pictures(tmp_path, lambda: parts.client.stats.sent.update({Kind.CREATE: 1, Kind.SEARCH: 1}))[-1]
    assert (one.left_s, one.binds) == (1_000.0, "the vendor's answers")


@pytest.mark.parametrize("how", ["nothing waits", "items still come in", "the run is ending"])
def test_nobody_can_tell_how_long_it_takes(tmp_path: Path, how: str) -> None:
    parts = Parts()
    if how == "nothing waits":
        parts.items[State.PENDING] = 0
    elif how == "items still come in":
        parts.engine.all_in = False
    else:
        parts.engine.ended_by = ValueError("stopped")
    [picture] = parts.pictures(tmp_path)
    assert (picture.left_s, picture.binds) == (None, "")
    assert picture.ending == ("stopped" if how == "the run is ending" else None)
