"""An event loop whose time is a variable: sleeping costs nothing, and the loop is as late as a test wants it to be."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")
Lateness = Callable[[], float]


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Jumps to the next thing that is due, plus `lateness()` seconds."""

    def __init__(self, lateness: Lateness = lambda: 0.0, *, grace_s: float = 0.0) -> None:
        self.now = 1000.0
        super().__init__(_JumpingSelector(self, lateness, grace_s))

    def time(self) -> float:
        return self.now


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop, lateness: Lateness, grace_s: float) -> None:
        super().__init__()
        self._grace_s = grace_s
        self._loop = loop
        self._lateness = lateness

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0 and self._grace_s:
            ready = super().select(self._grace_s)
        if not ready and timeout is None:
            raise RuntimeError("nothing will ever happen: every task waits for another one")
        if not ready and timeout:
            self._loop.now += timeout + self._lateness()
        return ready


GRACE_S = 0.001  # bytes between sockets of one process arrive within it


def virtual_backend() -> tuple[str, dict[str, Any]]:
    """The value of the fixture `anyio_backend` for tests in virtual time whose sockets are all in their own loop."""
    return "asyncio", {"loop_factory": lambda: VirtualTimeLoop(grace_s=GRACE_S)}


def run_virtually(
    function: Callable[..., Awaitable[T]], *args: Any, lateness: Lateness = lambda: 0.0, gently: bool = False
) -> T:
    """Run an async function in virtual time; `gently` gives bytes between real sockets 1 ms to arrive before a jump."""
    grace_s = GRACE_S if gently else 0.0
    options = {"loop_factory": lambda: VirtualTimeLoop(lateness, grace_s=grace_s)}
    return anyio.run(function, *args, backend_options=options)
