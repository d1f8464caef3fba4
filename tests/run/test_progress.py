"""What a run says of itself while it goes on."""

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.calls.limiter import Limiter
from pipeline.cli.screen import one_line
from pipeline.models import PAID, Kind, State
from pipeline.run.progress import Watch
from tests.support.fakes import job

LATER = 1_795_302_000.0  # 2026-11-21T23:00:00Z


def said(tmp_path: Any, *, paused_s: float = 0.0, waits_until: float | None = None) -> str:
    """The line of a run with ten items waiting."""

    async def look() -> str:
        items = dict.fromkeys(State, 0) | {State.PENDING: 10}
        engine: Any = SimpleNamespace(items=lambda: items, in_flight=0, all_in=True, ended_by=None)
        client: Any = SimpleNamespace(
            stats=SimpleNamespace(sent=dict.fromkeys(Kind, 0), units=0.0),
            limiters={kind: Limiter(5) for kind in PAID},
            paused_s=paused_s,
            waits_until=waits_until,
        )
        journal: Any = SimpleNamespace(calls={kind: SimpleNamespace(used=0) for kind in PAID})
        return one_line(Watch(job(tmp_path), engine, client, journal).look())

    return anyio.run(look)


def test_while_calls_go_the_time_that_is_left_is_said(tmp_path: Any) -> None:
    assert "about 7 s left, bound by the limit of 5 search calls a second" in said(tmp_path)


def test_a_rest_of_all_calls_counts_as_time_that_is_left(tmp_path: Any) -> None:
    line = said(tmp_path, paused_s=30.0)
    assert "about 37 s left" in line
    assert "all calls rest for 30 s" in line


@pytest.mark.parametrize(
    ("paused_s", "words"),
    [(40_000.0, "calls wait for the day's limit to be lifted, until 2026-11-2"), (0.0, "one is on its way to see")],
    ids=["until the reset", "while a probe is under way"],
)
def test_while_calls_wait_for_the_days_limit_nobody_is_told_that_it_takes_seconds(
    tmp_path: Any, paused_s: float, words: str
) -> None:
    line = said(tmp_path, paused_s=paused_s, waits_until=LATER)
    assert "left" not in line
    assert words in line
