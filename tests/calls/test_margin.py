"""Lone refusals for speed cost a wider margin and no speed; refusals that go on slow calls down; in virtual time."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import pytest

from pipeline.calls.limiter import Limiter
from pipeline.calls.margin import FEW, MARGIN_S, NARROW_EVERY_S, WIDEST_S, Margin
from tests.support.lengths import lengths
from tests.support.virtual_time import run_virtually

Way = Callable[[random.Random], float]  # the seconds that a call travels

WAYS: dict[str, Way] = {
    "even": lambda dice: 0.001,
    "up to 6 ms longer": lambda dice: dice.uniform(0, 0.006),
    "often 2 ms longer or shorter": lambda dice: abs(dice.gauss(0.01, 0.0015)),
    "one in a thousand up to 50 ms longer": lambda dice: dice.uniform(0.004, 0.05) if dice.random() < 0.001 else 0.0,
    "a millisecond longer, seldom many": lambda dice: dice.expovariate(1000.0),
}


@dataclass
class StrictVendor:
    """A vendor that takes `limit` calls in any second that its own clock shows, and refuses all others."""

    limit: int
    granted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._taken = deque([float("-inf")] * self.limit, maxlen=self.limit)

    def accepts(self, now: float) -> bool:
        accepted = now - self._taken[0] >= 1.0
        if accepted:
            self._taken.append(now)
        (self.granted if accepted else self.refused).append(now)
        return accepted


def use(vendor: StrictVendor, way: Way, *, qps: float, seconds: float, seed: int) -> float:
    """Send for so long as many calls as the limiter lets go; return when it began."""
    dice = random.Random(seed)

    async def scenario() -> float:
        limiter, began = Limiter(qps), anyio.current_time()

        async def calls() -> None:
            while True:
                await limiter.permit()
                await anyio.sleep(way(dice))
                if vendor.accepts(anyio.current_time()):
                    await anyio.sleep(0.2)
                    limiter.answered()
                else:
                    await anyio.sleep(0.05)
                    limiter.slow_down()

        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as workers:
                for _ in range(int(qps / 2) + 4):
                    workers.start_soon(calls)
        return began

    return run_virtually(scenario)


@pytest.mark.parametrize("runs", lengths(long=15, thorough=40))
@pytest.mark.parametrize("way", WAYS)
def test_a_strict_vendor_is_used_to_nearly_all_of_its_limit_however_calls_travel(way: str, runs: int) -> None:
    qps, seconds, granted, refused = 50, 20.0, 0, 0
    for seed in range(runs):
        vendor = StrictVendor(qps)
        use(vendor, WAYS[way], qps=qps, seconds=seconds, seed=seed)
        assert len(vendor.granted) >= 0.985 * qps * seconds
        granted, refused = granted + len(vendor.granted), refused + len(vendor.refused)
    assert refused <= 0.002 * granted


@pytest.mark.parametrize("qps", [20, 50, 200])
def test_a_tenth_of_what_is_asked_for_is_found_within_half_a_minute(qps: int) -> None:
    vendor = StrictVendor(qps // 10)
    began = use(vendor, WAYS["even"], qps=qps, seconds=60.0, seed=1)
    assert sum(at >= began + 30 for at in vendor.granted) >= 0.9 * 30 * vendor.limit


def margin_after(accepted: int, *, qps: float = 50.0, before_s: float = 10.0) -> Margin:
    """A margin after a lone refusal at time 0, and so many calls that were accepted within the seconds after it."""
    margin = Margin(qps)
    assert margin.refused(0.0, full_rate=True)
    for number in range(accepted):
        margin.accepted(before_s * number / accepted)
    return margin


def test_a_lone_refusal_widens_the_margin_up_to_what_is_bearable() -> None:
    margin, widths = Margin(50.0), [MARGIN_S]
    for number in range(12):
        for _ in range(FEW[0]):
            margin.accepted(number * 6.0)
        assert margin.refused(number * 6.0, full_rate=True)
        widths.append(margin.seconds)
    assert widths == sorted(widths)
    assert widths[1] > MARGIN_S
    assert widths[-1] == WIDEST_S <= 0.03


def test_the_margin_narrows_again_when_nothing_is_refused() -> None:
    margin = margin_after(100)
    for number in range(1, 20):
        margin.accepted(20.0 + number * NARROW_EVERY_S)
    assert margin.seconds == MARGIN_S


@pytest.mark.parametrize(
    ("accepted", "later_s", "lone"),
    [
        pytest.param(FEW[1], 1.5, True, id="one in fifty"),
        pytest.param(FEW[1] - 1, 4.9, False, id="more than one in fifty within 5 s"),
        pytest.param(FEW[0], 5.0, True, id="none for 5 s"),
        pytest.param(FEW[0] - 1, 60.0, False, id="hardly any calls in between"),
        pytest.param(0, 3600.0, False, id="no call in between, because the vendor asks to wait"),
    ],
)
def test_a_refusal_is_alone_when_few_calls_are_refused(accepted: int, later_s: float, lone: bool) -> None:
    assert margin_after(accepted, before_s=later_s).refused(later_s, full_rate=True) is lone


def test_at_the_widest_margin_refusals_that_go_on_are_the_limit() -> None:
    margin = margin_after(FEW[1], before_s=1.5)
    margin.seconds = WIDEST_S
    assert not margin.refused(1.6, full_rate=True)


def test_below_the_full_rate_no_refusal_is_forgiven() -> None:
    """The rate feels its way there: a refusal says that it has gone too far."""
    margin = margin_after(1000)
    assert not margin.refused(100.0, full_rate=False)
    assert margin.seconds < 2 * MARGIN_S


def test_a_few_calls_that_one_delay_made_late_are_one_refusal_and_many_are_the_limit() -> None:
    margin = margin_after(FEW[1])
    assert [margin.refused(20.0 + number / 100, full_rate=True) for number in range(7)] == [True] * 5 + [False] * 2
