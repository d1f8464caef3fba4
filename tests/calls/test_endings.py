"""The end of kinds of calls, and the sleeps that end with them; in virtual time."""

import anyio
import pytest

from pipeline.calls.endings import Endings
from pipeline.errors import Stopping
from pipeline.models import Kind
from tests.support.virtual_time import run_virtually


def test_whoever_sleeps_for_a_kind_that_ends_gets_stopping_at_once_and_others_sleep_on() -> None:
    async def scenario() -> dict[Kind, float]:
        endings, woken = Endings(), dict[Kind, float]()

        async def sleeper(kind: Kind) -> None:
            try:
                await endings.sleep(kind, 300.0)
            except Stopping:
                assert kind is Kind.SEARCH
            woken[kind] = anyio.current_time() - 1000

        async with anyio.create_task_group() as sleepers:
            sleepers.start_soon(sleeper, Kind.SEARCH)
            sleepers.start_soon(sleeper, Kind.CREATE)
            await anyio.sleep(5.0)
            endings.end([Kind.SEARCH, Kind.UPLOAD])
        return woken

    assert run_virtually(scenario) == {Kind.SEARCH: 5.0, Kind.CREATE: 300.0}


def test_nobody_sleeps_for_a_kind_that_has_ended() -> None:
    async def scenario() -> float:
        endings = Endings()
        await endings.sleep(Kind.TOKEN, 0.0)
        endings.end(Kind)
        with pytest.raises(Stopping):
            await endings.sleep(Kind.TOKEN, 0.0)
        with pytest.raises(Stopping):
            await endings.sleep(Kind.CREATE, 60.0)
        return anyio.current_time() - 1000

    assert run_virtually(scenario) == 0.0
