"""An event loop whose time is a variable: sleeping costs nothing, and the loop is as late as a test wants it to be.

Its time jumps only when nothing is under way that takes real time: no thread of anyio works for the loop, no change of
a journal is outstanding, and bytes between sockets of the loop have arrived. So no test depends on how long they take.
"""

import asyncio
import selectors
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from anyio._backends import _asyncio as anyio_threads

from pipeline.journal.groups import AnyChange
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from tests.support.processes import PATIENCE_S

T = TypeVar("T")
Lateness = Callable[[], float]


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next thing that is due, plus `lateness()` seconds, once nothing of `working` says that it works."""

    def __init__(self, lateness: Lateness = lambda: 0.0) -> None:
        self.now = 1000.0
        self.working: list[Callable[[], bool]] = [_has_busy_threads]
        super().__init__(_JumpingSelector(self, lateness))

    def time(self) -> float:
        return self.now


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop, lateness: Lateness) -> None:
        super().__init__()
        self._loop = loop
        self._lateness = lateness
        self._loopback = _Loopback()

    def close(self) -> None:
        self._loopback.close()
        super().close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        alone = threading.active_count() == 1  # asked first: a thread that has ended by now has woken the loop
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if not alone and any(works() for works in self._loop.working):
            # A thread tells the loop what it has done, which ends the wait.
            if not (ready := super().select(PATIENCE_S)):
                raise RuntimeError(f"a thread that the loop waits for has not come back within {PATIENCE_S:g} s")
            return ready
        if len(self.get_map()) > 1:  # more than the pipe by which threads wake the loop
            self._loopback.wait()
            if ready := super().select(0):
                return ready
        if timeout is None:
            raise RuntimeError("nothing will ever happen: every task waits for another one")
        self._loop.now += timeout + self._lateness()
        return []


class _Loopback:
    """A datagram to oneself: the loopback keeps the order, so what was sent before it has arrived when it has."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(self._socket.getsockname())
        self._socket.settimeout(PATIENCE_S)

    def wait(self) -> None:
        self._socket.send(b".")
        self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()


def _has_busy_threads() -> bool:
    """Return whether a thread of `anyio.to_thread` works; one is idle again once the loop knows what it has done."""
    every, idle = (
        variable.get(()) for variable in (anyio_threads._threadpool_workers, anyio_threads._threadpool_idle_workers)
    )
    return len(every) > len(idle)


class AwaitedWriter(Writer):
    """The writing thread of a journal for which virtual time stands still until each change is answered for."""

    def __init__(self, open_disk: Callable[[], Disk], *, linger_s: float) -> None:
        super().__init__(open_disk, linger_s=linger_s)
        self._outstanding = 0
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            loop.working.append(self._works)

    def _works(self) -> bool:
        opens, closes = not self._opened.done(), self._ending and not self._closed.done()
        return self._thread.ident is not None and (self._outstanding > 0 or opens or closes)

    def _enqueue(self, change: AnyChange) -> None:
        super()._enqueue(change)
        self._outstanding += 1

    def _acknowledge(self, group: list[AnyChange]) -> None:
        super()._acknowledge(group)
        self._outstanding -= len(group)


def virtual_backend() -> tuple[str, dict[str, Any]]:
    """The value of the fixture `anyio_backend` for tests in virtual time whose sockets are all in their own loop."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def run_virtually(function: Callable[..., Awaitable[T]], *args: Any, lateness: Lateness = lambda: 0.0) -> T:
    """Run an async function in virtual time; its sockets have both ends in its own loop."""
    return anyio.run(function, *args, backend_options={"loop_factory": lambda: VirtualTimeLoop(lateness)})
