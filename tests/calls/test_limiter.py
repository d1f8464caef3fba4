"""Permits for one kind of call, in virtual time: never above the limit, close to all of it, slower and faster again."""

import random
from collections import deque
from collections.abc import Callable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calls.client import Client
from pipeline.calls.limiter import CATCH_UP_S, STARVES_S, Limiter
from pipeline.calls.margin import MARGIN_S
from pipeline.calls.rate import AdaptiveRate
from pipeline.endpoints.patsnap.codes import MAX_ANSWER_S
from pipeline.errors import RunPaused, Stopping
from pipeline.models import Kind
from tests.support.lengths import only_short
from tests.support.virtual_time import run_virtually
from tests.support.virtual_vendor import VirtualVendor, client_of, search

RATES = (0.5, 1, 2, 7, 50, 200)


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def take(limiter: Limiter, count: int) -> list[float]:
    return [await limiter.permit() for _ in range(count)]


def assert_never_above(times: list[float], qps: float) -> None:
    """No sliding second holds more than `qps`; below one call a second, no two are nearer than 1/qps."""
    together, window_s = (int(qps), 1.0) if qps >= 1 else (1, 1.0 / qps)
    assert times == sorted(times)
    for first, beyond in zip(times, times[together:], strict=False):
        assert beyond - first > window_s, (first, beyond)


async def arrivals(limiter: Limiter, pattern: list[tuple[float, int]]) -> list[float]:
    """Ask for permits in bursts: each after a pause, `count` callers at once."""
    times: list[float] = []

    async def one() -> None:
        times.append(await limiter.permit())

    async with anyio.create_task_group() as callers:
        for pause_s, count in pattern:
            await anyio.sleep(pause_s)
            for _ in range(count):
                callers.start_soon(one)
    return times


@pytest.mark.proofs
@pytest.mark.parametrize("qps", only_short(RATES, 0.5, 2, 50))
def test_no_sliding_second_holds_more_than_the_limit(qps: float) -> None:
    """Whatever comes when, and however late the event loop is."""
    pause_s = st.floats(0, 3 * max(1.0, 1 / qps))
    bursts = st.lists(st.tuples(pause_s, st.integers(1, int(1.5 * qps) + 3)), min_size=1, max_size=5)

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(bursts, st.floats(0, 1.5), st.floats(0, 1), st.integers(0, 2**32))
    def check(pattern: list[tuple[float, int]], worst_s: float, often: float, seed: int) -> None:
        dice = random.Random(seed)

        def lateness() -> float:
            return dice.uniform(0, worst_s) if dice.random() < often else 0.0

        async def scenario() -> list[float]:
            return await arrivals(Limiter(qps), pattern)

        times = run_virtually(scenario, lateness=lateness)
        assert len(times) == sum(count for _, count in pattern)
        assert_never_above(times, qps)

    check()


@pytest.mark.parametrize("late_s", [0.0, 0.002], ids=["a punctual loop", "a loop up to 2 ms late"])
@pytest.mark.parametrize("qps", RATES)
def test_a_saturated_limiter_uses_nearly_all_of_the_limit(qps: float, late_s: float) -> None:
    count = max(40, int(qps * 20))
    dice = random.Random(7)

    async def scenario() -> list[float]:
        return await take(Limiter(qps), count)

    times = run_virtually(scenario, lateness=lambda: dice.uniform(0, late_s))
    assert_never_above(times, qps)
    assert (count - 1) / (times[-1] - times[0]) / qps >= 0.98


@pytest.mark.parametrize("qps", RATES)
def test_calls_go_evenly_and_never_in_a_burst_after_idle(qps: float) -> None:
    async def scenario() -> list[float]:
        limiter = Limiter(qps)
        await take(limiter, 3)
        await anyio.sleep(1000)
        return await take(limiter, int(qps) + 3)

    times = run_virtually(scenario)
    for span_s in (0.0, 0.1, 0.5):
        at_once = sum(at <= times[0] + span_s for at in times)
        assert at_once <= 1 + (span_s + CATCH_UP_S) * qps + 1e-6


def test_a_limit_that_is_not_paced_would_fail_these_tests() -> None:
    """The check itself is checked: calls exactly a second apart in groups of qps + 1."""
    with pytest.raises(AssertionError):
        assert_never_above([0.0, 0.0, 0.0, 1.0], 2)
    with pytest.raises(AssertionError):
        assert_never_above([0.0, 1.9], 0.5)


def test_first_come_is_first_served() -> None:
    order: list[int] = []

    async def one(limiter: Limiter, number: int) -> None:
        await limiter.permit()
        order.append(number)

    async def scenario() -> None:
        limiter = Limiter(10)
        async with anyio.create_task_group() as callers:
            for number in range(40):
                callers.start_soon(one, limiter, number)
                await anyio.sleep(0.001)

    run_virtually(scenario)
    assert order == list(range(40))


def test_a_pause_stops_all_who_wait_and_the_longest_one_counts() -> None:
    async def scenario() -> tuple[float, list[float]]:
        limiter = Limiter(10)
        await limiter.permit()
        async with anyio.create_task_group() as callers:
            times: list[float] = []

            async def one() -> None:
                times.append(await limiter.permit())

            for _ in range(5):
                callers.start_soon(one)
            limiter.pause(5)
            limiter.pause(1)
            began = anyio.current_time()
            await anyio.sleep(3)
            assert limiter.paused_s == pytest.approx(2)
            limiter.pause(10)
        return began, times

    began, times = run_virtually(scenario)
    assert all(at >= began + 13 for at in times)
    assert times[-1] < began + 14


def test_waiting_until_nothing_is_paused_takes_no_permit() -> None:
    async def scenario() -> None:
        limiter = Limiter(1)
        began = anyio.current_time()
        await limiter.until_unpaused()
        assert anyio.current_time() == began
        limiter.pause(7)
        await limiter.until_unpaused()
        assert anyio.current_time() == pytest.approx(began + 7)
        assert limiter.sent == 0

    run_virtually(scenario)


@pytest.mark.parametrize("wait", ["permit", "until_unpaused"])
def test_closing_wakes_everyone_who_waits_with_stopping(wait: str) -> None:
    async def scenario() -> float:
        limiter = Limiter(1)
        await limiter.permit()
        limiter.pause(3600)
        stopped = 0

        async def one() -> None:
            nonlocal stopped
            with pytest.raises(Stopping):
                await getattr(limiter, wait)()
            stopped += 1

        async with anyio.create_task_group() as callers:
            for _ in range(30):
                callers.start_soon(one)
            await anyio.sleep(1)
            began = anyio.current_time()
            limiter.close()
        assert (stopped, limiter.sent) == (30, 1)
        with pytest.raises(Stopping):
            await limiter.permit()
        return anyio.current_time() - began

    assert run_virtually(scenario) <= 0.25


def test_a_caller_who_gives_up_takes_no_permit_along() -> None:
    async def scenario() -> list[float]:
        limiter = Limiter(2)
        times = [await limiter.permit()]
        for wait_s in (0.1, 0.3, 0.45):
            with anyio.move_on_after(wait_s) as scope:
                await limiter.permit()
            if scope.cancelled_caught:
                continue
            times.append(anyio.current_time())
        times += await take(limiter, 3)
        assert limiter.sent == len(times)
        return times

    times = run_virtually(scenario)
    assert [at - times[0] for at in times] == pytest.approx([0, 0.5, 1.004, 1.504, 2.008], abs=CATCH_UP_S)


def test_a_crowd_that_gives_up_leaves_the_turn_to_the_next() -> None:
    async def scenario() -> float:
        limiter = Limiter(1)
        began = await limiter.permit()
        async with anyio.create_task_group() as callers:
            for _ in range(20):
                callers.start_soon(limiter.permit)
            await anyio.sleep(0.5)
            callers.cancel_scope.cancel()
        return await limiter.permit() - began

    assert run_virtually(scenario) == pytest.approx(1 + MARGIN_S, abs=0.01)


# --- slower, faster, quota ---


def refused_at(rate: AdaptiveRate, *times: float) -> list[float]:
    """Refuse a call at each of these times; return the rate after each."""
    rates = []
    for now in times:
        rate.refused(now)
        rates.append(rate.rate)
    return rates


def test_a_refusal_for_speed_takes_a_tenth_at_most_once_a_second() -> None:
    rates = refused_at(AdaptiveRate(100), 0.0, 0.0, 0.99, 1.0, 1.5)
    assert rates == pytest.approx([90.0, 90.0, 90.0, 81.0, 81.0])


def test_the_third_refusal_within_5_seconds_halves_and_still_only_once_a_second() -> None:
    rates = refused_at(AdaptiveRate(100), 0.0, 2.0, 5.0, 5.0, 5.9, 6.0)
    assert rates == pytest.approx([90.0, 81.0, 40.5, 40.5, 40.5, 36.45])


def test_after_a_halving_two_more_refusals_do_not_halve_again() -> None:
    rates = refused_at(AdaptiveRate(100), 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert rates == pytest.approx([90.0, 81.0, 40.5, 36.45, 32.805, 16.4025])


def test_three_refusals_in_more_than_5_seconds_do_not_halve() -> None:
    assert refused_at(AdaptiveRate(100), 0.0, 2.6, 5.2)[-1] == pytest.approx(72.9)


def test_the_rate_recovers_by_a_twentieth_of_the_limit_every_10_clean_seconds() -> None:
    rate = AdaptiveRate(100)
    rate.refused(0.0)
    rates = []
    for second in range(1, 42):
        rate.accepted(float(second))
        rates.append(round(rate.rate, 6))
    assert rates == [90.0] * 9 + [95.0] * 10 + [100.0] * 22


def test_a_refusal_starts_the_clean_seconds_anew() -> None:
    rate = AdaptiveRate(100)
    refused_at(rate, 0.0, 9.0)
    rate.accepted(18.9)
    assert rate.rate == pytest.approx(81.0)
    rate.accepted(19.0)
    assert rate.rate == pytest.approx(86.0)


def test_seconds_asleep_are_not_clean_seconds() -> None:
    rate = AdaptiveRate(100)
    rate.refused(0.0)
    rate.start_evenly(3600.0)
    rate.accepted(3601.0)
    assert rate.rate == pytest.approx(90.0)


def test_a_limiter_that_slept_keeps_the_rate_it_was_slowed_to() -> None:
    now = [0.0]
    limiter = Limiter(100, clock=lambda: now[0])
    limiter.slow_down()
    now[0] = 2.0  # the first one was alone
    limiter.slow_down()
    now[0] = 3600.0
    limiter.start_evenly()
    limiter.answered()
    assert limiter.rate == pytest.approx(90.0)


def test_above_the_rate_that_was_refused_last_it_feels_its_way() -> None:
    """By a twentieth of itself, not of the limit: an account that allows a tenth would be overshot by half."""
    rate = AdaptiveRate(100)
    rate.rate = 10.0
    rate.refused(0.0)
    rates = []
    for tens in range(1, 5):
        rate.accepted(10.0 * tens)
        rates.append(rate.rate)
    assert rates == pytest.approx([9.45, 9.9225, 10.418625, 10.93955625])


def slow_to_the_floor(rate: AdaptiveRate, *, now: float = 0.0) -> float:
    """Refuse one call a second until the rate is a twentieth of 100; return the time of the last refusal."""
    for second in range(100):
        rate.refused(now + second)
        if rate.rate <= 5.0:
            return now + second
    raise AssertionError(rate.rate)


def test_the_rate_never_falls_below_a_twentieth_of_the_limit() -> None:
    rate = AdaptiveRate(100)
    reached = slow_to_the_floor(rate)
    assert refused_at(rate, reached + 5) == [5.0]


def test_15_minutes_of_refusals_at_the_lowest_rate_are_the_quota() -> None:
    rate = AdaptiveRate(100)
    reached = slow_to_the_floor(rate)
    rate.refused(reached + 900.0)
    with pytest.raises(RunPaused) as pause:
        rate.refused(reached + 901.1)
    assert pause.value.code == "quota"


def test_15_minutes_at_the_lowest_rate_count_from_time_zero_too() -> None:
    rate = AdaptiveRate(100)
    slow_to_the_floor(rate, now=-100.0)
    rate.accepted(-1.0)
    refused_at(rate, 0.0, 899.0)
    with pytest.raises(RunPaused):
        rate.refused(901.0)


def test_a_success_at_the_lowest_rate_means_it_is_not_the_quota() -> None:
    rate = AdaptiveRate(100)
    reached = slow_to_the_floor(rate)
    rate.accepted(reached + 899.0)
    assert refused_at(rate, reached + 920.0) == [5.0]


@pytest.mark.parametrize(("asked_s", "paused_s"), [(None, 0.0), (0.0, 0.0), (12.0, 12.0), (9999.0, 300.0)])
def test_a_pause_that_the_vendor_asks_for_is_kept_up_to_5_minutes(
    clock: Clock, asked_s: float | None, paused_s: float
) -> None:
    limiter = Limiter(100, clock=clock)
    limiter.slow_down(retry_after_s=asked_s)
    assert limiter.paused_s == paused_s


@pytest.mark.parametrize("slow", [lambda limiter: None, Limiter.slow_down], ids=["as it is", "slowed down"])
def test_a_slower_rate_is_the_rate_that_is_kept(slow: Callable[[Limiter], None]) -> None:
    async def scenario() -> tuple[float, list[float]]:
        limiter = Limiter(10)
        slow(limiter)
        return limiter.rate, await take(limiter, 50)

    rate, times = run_virtually(scenario)
    assert 49 / (times[-1] - times[0]) == pytest.approx(rate, rel=0.02)


def test_the_limiter_says_where_it_stands() -> None:
    assert repr(Limiter(5)) == "Limiter(qps=5, rate=5, sent=0)"


# --- a vendor that counts exactly ---


def strict(limit: int) -> VirtualVendor:
    """A vendor that takes `limit` calls in any sliding second and refuses all others."""
    taken: deque[float] = deque([float("-inf")] * limit, maxlen=limit)

    def reply(kind: Kind, number: int) -> int | None:
        now = anyio.current_time()
        if now - taken[0] < 1.0:
            return 67200002
        taken.append(now)
        return None

    return VirtualVendor(reply, latency_s=0.2)


async def two_hundred_searches(client: Client) -> None:
    async with anyio.create_task_group() as calls:
        for number in range(200):
            calls.start_soon(search, client, number)


def test_calls_at_the_limit_are_never_refused() -> None:
    async def scenario() -> int:
        vendor = strict(50)
        await two_hundred_searches(client_of(vendor, qps=50))
        return len(vendor.sent)

    assert run_virtually(scenario) == 200


def test_asked_for_more_than_the_account_has_the_rate_falls_and_none_is_lost() -> None:
    async def scenario() -> None:
        vendor = strict(40)
        client = client_of(vendor, qps=50)
        await two_hundred_searches(client)
        granted = [reply for _, _, reply in vendor.answered if reply is None]
        assert len(granted) == 200
        assert len(vendor.sent) - 200 == client.stats.too_fast[Kind.SEARCH] > 0
        assert 20.0 <= client.limiters[Kind.SEARCH].rate < 50.0
        assert {client.limiters[kind].rate for kind in (Kind.UPLOAD, Kind.CREATE)} == {50.0}

    run_virtually(scenario)


@pytest.mark.parametrize("retry_after_s", [None, 300.0])
def test_calls_starve_from_the_fifth_second_without_an_accepted_one_until_nobody_tries_any_more(
    clock: Clock, retry_after_s: float | None
) -> None:
    limiter = Limiter(5, clock=clock)
    assert not limiter.starves
    limiter.slow_down(retry_after_s=retry_after_s)
    clock.now += STARVES_S - 0.1
    assert not limiter.starves  # a lone refusal is followed by an accepted call sooner
    clock.now += 0.1
    assert limiter.starves
    limiter.answered()
    assert not limiter.starves

    limiter.slow_down(retry_after_s=retry_after_s)
    next_at = clock.now + (retry_after_s or 0.0)
    clock.now = max(
        clock.now + STARVES_S, next_at + 1.9 / limiter.rate + MAX_ANSWER_S
    )  # while they wait to be tried again
    assert limiter.starves
    clock.now = next_at + 2.1 / limiter.rate + MAX_ANSWER_S
    assert not limiter.starves


def test_nobody_overtakes_those_who_wait_for_a_permit(clock: Clock) -> None:
    async def scenario() -> None:
        limiter = Limiter(1, clock=clock)
        await limiter.permit()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(limiter.permit)
            await anyio.sleep(0.1)
            clock.now += 2.0  # a turn has come, and the one who waits has not looked yet
            assert limiter.permit_nowait() is None
        assert limiter.sent == 2

    run_virtually(scenario)


@pytest.mark.parametrize(
    ("kind", "ends"),
    [(Kind.SEARCH, "the run ends"), (Kind.DETAILS, "no more details are asked for in this run")],
)
def test_who_waits_is_told_what_will_end_if_no_call_is_accepted(kind: Kind, ends: str, clock: Clock) -> None:
    said: list[str] = []
    limiter = Limiter(5, kind=kind, say=said.append, clock=clock)
    for clock.now in (0.0, 31.0):
        limiter.slow_down("too fast")
    [line] = said
    assert f"at 0.25 a second {ends}; Ctrl-C ends the wait" in line
