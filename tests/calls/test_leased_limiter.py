"""Permits of which the number that is ours changes while a run goes on, in virtual time."""

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calls.limiter import NAP_S, Limiter
from pipeline.system.clock import loop_time
from tests.support.virtual_time import run_virtually


class Leased:
    """The calls per second that are ours, with the times at which they changed."""

    def __init__(self, qps: float) -> None:
        self.qps = qps

    def __call__(self) -> float:
        return self.qps


async def permits(limiter: Limiter, until: float) -> list[float]:
    times: list[float] = []
    with anyio.move_on_at(until):
        while True:
            times.append(await limiter.permit())
    return times


def test_a_share_is_used_and_never_exceeded_when_it_falls_and_rises() -> None:
    async def at_a_changing_pace() -> None:
        leased = Leased(20)
        limiter = Limiter(20, leased=leased)
        start = loop_time()
        full = await permits(limiter, start + 10)
        leased.qps = 5
        less = await permits(limiter, start + 20)
        leased.qps = 10
        more = await permits(limiter, start + 30)
        assert len(full) == 200
        assert 45 <= len(less) <= 50
        assert 98 <= len(more) <= 100
        assert all(sum(at - 1 < other <= at for other in [*full, *less]) <= 5 for at in less)
        assert limiter.rate == 10

    run_virtually(at_a_changing_pace)


def test_nothing_goes_while_nothing_is_ours_and_callers_go_on_when_it_is() -> None:
    async def with_a_lease_that_was_lost() -> None:
        leased = Leased(0)
        limiter = Limiter(5, leased=leased)
        start = loop_time()
        assert await permits(limiter, start + 60) == []
        assert limiter.paused_s == NAP_S
        assert not limiter.starves
        leased.qps = 5
        assert limiter.paused_s == 0
        assert await limiter.permit() <= start + 60 + NAP_S

    run_virtually(with_a_lease_that_was_lost)


def test_the_next_run_of_a_process_counts_what_the_last_one_sent_and_keeps_what_it_learned() -> None:
    async def two_runs() -> None:
        first = Limiter(5, leased=Leased(5))
        start = loop_time()
        times = await permits(first, start + 3)
        first.close()
        for _ in range(3):
            first.slow_down("too fast")
        second = Limiter(5, leased=Leased(5), before=first)
        assert second.rate == first.rate
        times += await permits(second, start + 6)
        assert all(sum(at - 1 < other <= at for other in times) <= 5 for at in times)

    run_virtually(two_runs)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.floats(0.05, 3)), min_size=1, max_size=12))
def test_no_second_holds_more_than_what_was_ours_when_its_last_call_went(changes: list[tuple[int, float]]) -> None:
    async def many_changes() -> None:
        leased = Leased(8)
        limiter = Limiter(8, leased=leased)
        allowed: list[tuple[float, float]] = []
        for qps, seconds in changes:
            leased.qps = qps
            allowed += [(at, qps) for at in await permits(limiter, loop_time() + seconds)]
        for at, qps in allowed:
            assert sum(at - 1 < other <= at for other, _ in allowed) <= qps

    run_virtually(many_changes)
