"""Signals: the first one ends a run in good order, the second one at once."""

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from pipeline.errors import Interrupted
from pipeline.run.signals import stop_on_signals


class Engine:
    """An engine that notes what it is told; `drained` and `stopped` are set once it was."""

    def __init__(self) -> None:
        self.reasons: list[Interrupted] = []
        self.drained, self.stopped = anyio.Event(), anyio.Event()

    def drain(self, reason: Interrupted) -> None:
        self.reasons.append(reason)
        self.drained.set()

    def stop_calls(self, reason: Interrupted) -> None:
        self.reasons.append(reason)
        self.stopped.set()


async def listening(drain_s: float, script: Callable[[Any, anyio.CancelScope], Awaitable[None]]) -> None:
    """Run `script` as the work of a run, once signals are listened for."""
    engine: Any = Engine()
    before = signal.getsignal(signal.SIGINT)
    async with anyio.create_task_group() as around:
        with anyio.CancelScope() as work:

            async def listen() -> None:
                await stop_on_signals(engine, drain_s=drain_s, work=work)

            around.start_soon(listen)
            while signal.getsignal(signal.SIGINT) is before:
                await anyio.sleep(0)
            await script(engine, work)
        around.cancel_scope.cancel()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.anyio
async def test_the_first_signal_drains_and_then_stops_all_calls(number: signal.Signals, code: int) -> None:
    async def script(engine: Engine, work: anyio.CancelScope) -> None:
        os.kill(os.getpid(), number)
        await engine.drained.wait()
        await engine.stopped.wait()
        assert not work.cancel_called
        assert {(reason.exit_code, str(reason)) for reason in engine.reasons} == {
            (code, f"stopped by {number.name}; run again to go on")
        }

    await listening(0.0, script)


@pytest.mark.anyio
async def test_the_second_signal_cancels_the_work_and_no_call_is_waited_for() -> None:
    async def script(engine: Engine, work: anyio.CancelScope) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await engine.drained.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()

    engines: list[Engine] = []

    async def noting(engine: Engine, work: anyio.CancelScope) -> None:
        engines.append(engine)
        await script(engine, work)

    await listening(3600.0, noting)
    assert (engines[0].drained.is_set(), engines[0].stopped.is_set()) == (True, False)
