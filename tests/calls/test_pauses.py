"""Where calls wait: who may probe, in virtual time."""

import anyio
import pytest

from pipeline.calls.pauses import Gate
from pipeline.models import Kind
from tests.support.virtual_time import run_virtually


@pytest.mark.parametrize(("create", "search"), [(0.0, 0.0), (0.0, 9.0), (9.0, 0.0)])
def test_a_create_does_not_probe_while_a_call_waits_that_may_be_repeated(create: float, search: float) -> None:
    """Whoever came first, and whoever wakes first."""

    async def scenario() -> list[tuple[str, bool]]:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time() + 10.0)
        through: list[tuple[str, bool]] = []

        async def call(name: str, after_s: float) -> None:
            await anyio.sleep(after_s)
            probe = await gate.turn(anyio.sleep, Kind(name))
            through.append((name, probe))
            await anyio.sleep(1.0)
            assert gate.passed(Kind(name)) is probe
            if probe:
                gate.done()

        async with anyio.create_task_group() as calls:
            calls.start_soon(call, "create", create)
            calls.start_soon(call, "search", search)
        return through

    assert run_virtually(scenario) == [("search", True), ("create", False)]


def test_a_probe_that_fails_lets_another_one_go() -> None:
    async def scenario() -> tuple[bool, bool]:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time())
        first = await gate.turn(anyio.sleep, Kind.SEARCH)
        gate.done()
        return first, await gate.turn(anyio.sleep, Kind.SEARCH)

    assert run_virtually(scenario) == (True, True)


def test_a_call_that_came_through_before_the_gate_may_open_does_not_open_it() -> None:
    async def scenario() -> tuple[bool, bool]:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time() + 10.0)
        return gate.passed(Kind.SEARCH), gate.closed

    assert run_virtually(scenario) == (False, True)
