"""Threads for what may hang in a store: one that takes a step again and again, and one that takes it once."""

import threading
import time
from collections.abc import Callable


class RepeatingThread:
    """A thread that takes a step again and again.

    It never outlives its process, and ends with `end` unless its step hangs in the system for good. A step begins
    `every_s` after the one before, or as many seconds after its end as that returned where this is sooner, or `soon_s`
    after its end where `hurry` was called or it lasted. An error that a step should never raise is given to `failed`,
    and ends the thread.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float | None],
        *,
        failed: Callable[[Exception], None],
        every_s: float,
        soon_s: float,
    ) -> None:
        self._step = step
        self._failed = failed
        self._every_s = every_s
        self._soon_s = soon_s
        self._hurry = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with the first step now."""
        self._thread.start()

    def hurry(self) -> None:
        """Take the next step soon."""
        self._hurry.set()

    def end(self, timeout_s: float) -> bool:
        """End after the step that is under way; return whether it has ended within so many seconds."""
        self._ending.set()
        self._hurry.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                begun = time.monotonic()
                wanted_s = self._step()
                due = begun + self._every_s
                if wanted_s is not None:
                    due = min(due, time.monotonic() + wanted_s)
                self._ending.wait(self._soon_s)
                self._hurry.wait(max(0.0, due - time.monotonic()))
                self._hurry.clear()
        except Exception as error:
            self._failed(error)


def within(seconds: float, step: Callable[[], None]) -> None:
    """Take a step that may hang in a store, and wait for its end no longer than this."""
    thread = threading.Thread(target=step, name="lease-end", daemon=True)
    thread.start()
    thread.join(seconds)
