"""Virtual time stands still while anything is under way that takes real time, however slow the machine is."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.support import virtual_time
from tests.support.fakes import admitted, open_journal
from tests.support.virtual_time import run_virtually

SLOW_S = 0.02  # of real time, for a loop that does not wait to run ahead


def passed_s(working: Callable[[], Awaitable[object]]) -> float:
    """Return how much virtual time passes while something works, beside a timer that is always due in a millisecond."""

    async def tick() -> None:
        while True:
            await anyio.sleep(0.001)

    async def beside_it() -> float:
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            await anyio.sleep(0.0005)
            begun = anyio.current_time()
            await working()
            passed = anyio.current_time() - begun
            group.cancel_scope.cancel()
        return passed

    return run_virtually(beside_it)


def test_no_time_passes_while_a_thread_works_for_the_loop() -> None:
    assert passed_s(partial(anyio.to_thread.run_sync, time.sleep, SLOW_S)) == 0.0


def test_no_time_passes_while_changes_of_a_journal_are_outstanding_however_slow_its_thread_is(tmp_path: Path) -> None:
    async def use() -> None:
        async with open_journal(tmp_path, linger_s=SLOW_S) as journal:
            await admitted(journal, 1, 2)

    assert passed_s(use) == 0.0


def test_no_time_passes_while_bytes_are_on_their_way_between_sockets_of_the_loop() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(3_000_000))
        writer.close()

    async def say() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(bytes(3_000_000))
            assert len(await reader.read(-1)) == 3_000_000
            writer.close()

    assert passed_s(say) == 0.0


def test_a_thread_that_never_comes_back_ends_the_test_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time, "PATIENCE_S", 0.0)
    with pytest.raises(RuntimeError, match="a thread that the loop waits for has not come back"):
        passed_s(partial(anyio.to_thread.run_sync, time.sleep, SLOW_S))


def test_a_loop_in_which_every_task_waits_for_another_says_so() -> None:
    async def wait() -> None:
        await anyio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run_virtually(wait)
