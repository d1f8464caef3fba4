"""Signals: before the engine works one ends the run where it is, then in good order, and the second one at once."""

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from pipeline.errors import Interrupted
from pipeline.run.signals import Signals

ENDING = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


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


async def working(drain_s: float, script: Callable[[Any], Awaitable[object]]) -> None:
    """Run `script` with an engine, as the work of a run."""
    engine: Any = Engine()
    signals = Signals(drain_s=drain_s)

    async def run() -> None:
        with signals.end(engine):
            await script(engine)

    await signals.during(run)


@pytest.mark.parametrize(("number", "code"), ENDING.items(), ids=[number.name for number in ENDING])
@pytest.mark.anyio
async def test_the_first_signal_drains_and_then_stops_all_calls(number: signal.Signals, code: int) -> None:
    async def script(engine: Engine) -> None:
        os.kill(os.getpid(), number)
        await engine.drained.wait()
        await engine.stopped.wait()
        assert {(reason.exit_code, str(reason)) for reason in engine.reasons} == {
            (code, f"stopped by {number.name}; run again to go on")
        }

    await working(0.0, script)


@pytest.mark.parametrize("first", ENDING, ids=[number.name for number in ENDING])
@pytest.mark.anyio
async def test_the_second_signal_ends_the_work_and_no_call_is_waited_for(first: signal.Signals) -> None:
    engines: list[Engine] = []

    async def script(engine: Engine) -> None:
        engines.append(engine)
        os.kill(os.getpid(), first)
        await engine.drained.wait()
        os.kill(os.getpid(), signal.SIGINT)
        await anyio.sleep_forever()

    await working(3600.0, script)
    assert (engines[0].drained.is_set(), engines[0].stopped.is_set()) == (True, False)


@pytest.mark.parametrize("first", ENDING, ids=[number.name for number in ENDING])
@pytest.mark.anyio
async def test_a_terminal_that_closes_says_so_twice_and_cuts_no_drain_short(first: signal.Signals) -> None:
    drained: list[bool] = []

    async def script(engine: Engine) -> None:
        os.kill(os.getpid(), first)
        await engine.drained.wait()
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.sleep(0.01)  # the loop has seen the signal
        drained.append(True)

    await working(3600.0, script)
    assert drained == [True]


@pytest.mark.parametrize(("number", "code"), ENDING.items(), ids=[number.name for number in ENDING])
@pytest.mark.anyio
async def test_before_the_engine_works_a_signal_ends_the_run_where_it_is(number: signal.Signals, code: int) -> None:
    signals = Signals(drain_s=3600.0)
    closed: list[bool] = []

    async def run() -> None:
        try:
            os.kill(os.getpid(), number)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
                closed.append(True)

    with pytest.raises(BaseExceptionGroup) as ended:
        async with anyio.create_task_group():
            await signals.during(run)
    (error,) = ended.value.exceptions
    assert isinstance(error, Interrupted)
    assert (error.exit_code, closed) == (code, [True])


@pytest.mark.anyio
async def test_sighup_that_was_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ended: list[bool] = []

    async def script(engine: Engine) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.sleep(0.01)
        ended.append(engine.drained.is_set())

    try:
        await working(3600.0, script)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ended == [False]


@pytest.mark.anyio
async def test_the_handlers_of_before_are_there_again_afterwards() -> None:
    mine = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        given = signal.getsignal(signal.SIGTERM)
        await working(0.0, lambda _: anyio.sleep(0))
        assert signal.getsignal(signal.SIGTERM) is given
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_a_run_in_a_thread_goes_without_signals() -> None:
    done: list[bool] = []

    async def script(_: Engine) -> None:
        done.append(True)

    thread = threading.Thread(target=lambda: anyio.run(working, 0.0, script))
    thread.start()
    thread.join()
    assert done == [True]
