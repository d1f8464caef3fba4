"""A handle with which a program ends a run of its own in good order: from another thread, or from the run itself."""

import contextlib
import enum
import threading
from collections.abc import Callable, Iterator

import anyio.from_thread
import anyio.lowlevel
from anyio import RunFinishedError
from anyio.lowlevel import EventLoopToken


class Way(enum.IntEnum):
    """The way in which a run is to end; a later one is never slower than the one before."""

    DRAIN = 0  # searches that are paid become tasks
    SILENT = 1  # nothing is sent any more; answers that are on their way are waited for
    AT_ONCE = 2  # nothing is waited for


_Take = Callable[[Way], None]


class Stop:
    """A request to end a run, given to `RunOptions`; it may come from any thread, also before the run begins.

    >>> from pipeline import RunOptions, Stop, run_job
    >>> stop = Stop()
    >>> stop.set()  # from another thread, while the run goes on
    >>> summary = run_job("portfolio.yaml", options=RunOptions(stop=stop))
    >>> summary.exit_code, summary.exit_reason
    (1, 'stopped by the program that runs it; run again to go on')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._way = Way.DRAIN
        self._runs: list[tuple[EventLoopToken, int, _Take]] = []
        self.signal_number = 0  # of the first signal that came while a run went on, whatever ended that run

    @property
    def is_set(self) -> bool:
        """True once the end was asked for."""
        return self._set

    def set(self, *, at_once: bool = False) -> None:
        """Begin no more items; searches that are paid still become tasks, for at most `api.drain_s` seconds.

        `at_once` waits for no answer: creates that are out are then in doubt. What is left is done by the next run.
        """
        self._end(Way.AT_ONCE if at_once else Way.DRAIN)

    def silence(self) -> None:
        """Send nothing more; answers that are on their way are waited for and recorded."""
        self._end(Way.SILENT)

    def _end(self, way: Way) -> None:
        with self._lock:
            self._set, self._way = True, max(self._way, way)
            runs = list(self._runs)
        for token, thread, take in runs:
            if thread == threading.get_ident():
                take(way)
                continue
            with contextlib.suppress(RunFinishedError):
                anyio.from_thread.run_sync(take, way, token=token)

    @contextlib.contextmanager
    def heard(self, take: _Take) -> Iterator[None]:
        """Call `take` in this event loop whenever the end is asked for, while the block lasts; at once if it was."""
        run = (anyio.lowlevel.current_token(), threading.get_ident(), take)
        with self._lock:
            self._runs.append(run)
            was_set, way = self._set, self._way
        try:
            if was_set:
                take(way)
            yield
        finally:
            with self._lock:
                self._runs.remove(run)
