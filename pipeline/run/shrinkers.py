"""Processes that shrink pictures beside a run (results/pictures/worker.py), and what is done when one dies."""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from pipeline.results.pictures import worker
from pipeline.results.pictures.shrink import LARGE, SMALL
from pipeline.results.pictures.worker import LENGTH
from pipeline.system.processes import cores

SIDES = (LARGE, SMALL)
PATIENCE_S = 30.0  # for one picture
_MOST_COPY = 4 << 20  # bytes
_HANDED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "SYSTEMROOT")

_log = logging.getLogger(__name__)


class Shrinkers:
    """Several worker processes, started when they are needed; one picture at a time each.

    sides  of the copies, in pixels, the largest first
    """

    def __init__(self, number: int, sides: tuple[int, ...] = SIDES) -> None:
        self._sides = sides
        self._free: list[_Worker | None] = [None] * number
        self._turn = anyio.Semaphore(number)

    async def shrink(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the copies of a picture with their sides; [] when it cannot be decoded, or a worker died over it."""
        async with self._turn:
            one = self._free.pop()
            try:
                one = one or await _Worker.started(self._sides)
                with anyio.fail_after(PATIENCE_S):
                    copies = await one.shrink(data)
            except (TimeoutError, OSError, anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as exc:
                _log.warning("pictures.worker_died error=%s", type(exc).__name__)
                copies = []
                if one is not None:
                    await one.end()
                    one = None
            except BaseException:  # cancelled between question and answer: what it says next belongs to nobody
                if one is not None:
                    with anyio.CancelScope(shield=True):
                        await one.end()
                    one = None
                raise
            finally:
                self._free.append(one)
        return list(zip(self._sides, copies, strict=False))

    async def end(self) -> None:
        """End the processes."""
        for one in self._free:
            if one is not None:
                await one.end()
        self._free = [None] * len(self._free)


class _Worker:
    """One process."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._questions = process.stdin
        self._answers = BufferedByteReceiveStream(process.stdout)

    @classmethod
    async def started(cls, sides: tuple[int, ...]) -> "_Worker":
        command = [sys.executable, "-m", worker.__name__, *map(str, sides)]
        # No credentials, for it decodes foreign bytes; a session of its own, for Ctrl-C is the run's to hear.
        environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        return cls(await anyio.open_process(command, env=environment, stderr=None, start_new_session=True))

    async def shrink(self, data: bytes) -> list[bytes]:
        await self._questions.send(LENGTH.pack(len(data)) + data)
        (number,) = await self._answers.receive_exactly(1)
        return [await self._copy() for _ in range(number)]

    async def _copy(self) -> bytes:
        (length,) = LENGTH.unpack(await self._answers.receive_exactly(LENGTH.size))
        if length > _MOST_COPY:
            raise OSError("a copy that is too large")
        return await self._answers.receive_exactly(length)

    async def end(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.aclose()


@asynccontextmanager
async def open_shrinkers(sides: tuple[int, ...]) -> AsyncIterator[Shrinkers]:
    """Yield worker processes for all cores but one, until the block ends; `sides` in pixels, the largest first."""
    shrinkers = Shrinkers(max(1, cores() - 1), sides)
    try:
        yield shrinkers
    finally:
        with anyio.CancelScope(shield=True):
            await shrinkers.end()
