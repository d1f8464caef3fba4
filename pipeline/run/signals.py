"""Ctrl-C and SIGTERM: the first signal ends the run in good order, the second one at once."""

import logging
import signal

import anyio

from pipeline.engine.engine import Engine
from pipeline.errors import Interrupted

_log = logging.getLogger(__name__)


async def stop_on_signals(engine: Engine, *, drain_s: float, work: anyio.CancelScope) -> None:
    """Wait for signals until cancelled.

    1. The first signal: begin and search nothing more, let paid searches become tasks; after `drain_s` send nothing.
    2. The second signal: cancel `work`; creates whose answer is still out are then in doubt.
    """
    try:
        receiver = anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM)
    except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
        return
    async with anyio.create_task_group() as drains:
        with receiver as signals:
            count = 0
            async for number in signals:
                count += 1
                if count > 1:
                    _log.warning("run.cut_short signal=%s", number)
                    work.cancel()
                    continue
                reason = Interrupted(
                    f"stopped by {signal.Signals(number).name}; run again to go on", signal_number=number
                )
                _log.warning("run.draining signal=%s drain_s=%s", number, drain_s)
                engine.drain(reason)
                drains.start_soon(_drain, engine, drain_s, reason)


async def _drain(engine: Engine, drain_s: float, reason: Interrupted) -> None:
    await anyio.sleep(drain_s)
    engine.stop_calls(reason)
