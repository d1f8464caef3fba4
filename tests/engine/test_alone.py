"""Uploads of views: one item at a time uploads a picture, whatever the others do meanwhile."""

import anyio
import pytest

from pipeline.engine.views import alone

pytestmark = pytest.mark.anyio


async def test_a_third_item_waits_for_the_second_though_the_first_has_ended() -> None:
    """The first upload may have failed: then the second one uploads, and the third must find that."""
    held: dict[str, anyio.Lock] = {}
    inside: list[str] = []
    second_is_in, let_go = anyio.Event(), anyio.Event()

    async def second() -> None:
        async with alone(held, "picture"):
            inside.append("second")
            second_is_in.set()
            await let_go.wait()
            inside.append("second goes")

    async def third() -> None:
        await second_is_in.wait()
        async with alone(held, "picture"):
            inside.append("third")

    async with anyio.create_task_group() as group:
        async with alone(held, "picture"):
            group.start_soon(second)
            group.start_soon(third)
            await anyio.wait_all_tasks_blocked()
        await anyio.wait_all_tasks_blocked()
        let_go.set()
    assert inside == ["second", "second goes", "third"]
    assert held == {}
