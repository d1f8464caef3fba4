"""Processes that call functions for this one, so that more cores than one work on what does not wait for anything."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe, get_context, parent_process
from multiprocessing.connection import Connection
from typing import Any, TypeVar

R = TypeVar("R")


class Helper:
    """A process that calls one function after the other; it ends when this process does, however that ends.

    No error comes from a helper: what it cannot do is to be done here, so that a process which was killed for want of
    memory costs time alone, and an error is raised where it can be told.
    """

    def __init__(self) -> None:
        """Start it. Raises OSError where there is no room for another process."""
        self._connection, its_end = Pipe()
        self._process = get_context("spawn").Process(target=_serve, args=(its_end,), daemon=True)
        with its_end:
            self._process.start()

    def begin(self, function: Callable[..., R], *args: object) -> Callable[[], R | None]:
        """Let it call a function; return what waits for the outcome, which is None where it failed."""
        with suppress(OSError):  # it died, which the outcome tells
            self._connection.send((function, args))
        return self._outcome

    def _outcome(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._connection.close()
        self._process.kill()
        self._process.join()


def end_with_parent() -> None:
    """Let this process of multiprocessing's end when the one that started it does, whatever it is doing.

    Without this call a process outlives a kill -9 of its parent while it works, or waits for work from a queue of which
    it holds both ends.
    """
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _serve(connection: Connection) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    gc.disable()  # it does not live long enough for circles of objects to matter, and looking for them takes time
    with connection, suppress(EOFError, OSError):
        while True:
            function, args = connection.recv()
            try:
                outcome = function(*args)
            except Exception:  # it comes again where the process that asks does this itself
                outcome = None
            connection.send(outcome)


@contextmanager
def helpers(number: int) -> Iterator[list[Helper]]:
    """Start so many helpers, or as many as there is room for; end them with the block."""
    with ExitStack() as stack:
        started: list[Helper] = []
        with suppress(OSError):
            for _ in range(number):
                started.append(Helper())
                stack.callback(started[-1].end)
        yield started
