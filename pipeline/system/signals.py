"""Signals that end a command, heard from its first line.

Until a run listens for them itself (`run/signals.py`), each is raised where the command is: it ends there, with one
line. Handlers matter most to a process that is number 1 of a container: those it has none for never reach it.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANGS_S = 30.0  # a signal that waits for so long will not be heard: a network file system that is gone answers nothing

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_LOOK_S = 1.0
_heard: list[int] = []
_hears: list[bool] = []  # not empty in a command, whose process is ours to end


class Stop(KeyboardInterrupt):
    """A signal that ends the command; no `except Exception` takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(words(number))
        self.exit_code = 128 + number


def words(number: int) -> str:
    """Say which signal ended the work, and what to do."""
    return f"stopped by {signal.Signals(number).name}; run again to go on"


def ending() -> list[signal.Signals]:
    """List the signals that end a command: SIGHUP is none where it was ignored from the start, as nohup does it."""
    there = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    return [one for one in there if one.name != "SIGHUP" or signal.getsignal(one) is not signal.SIG_IGN]


def hear() -> None:
    """Raise Stop wherever the main thread is when one of these signals comes."""
    for number in ending():
        signal.signal(number, _stop)
    _hears.append(True)
    if hasattr(signal, "sigpending"):
        threading.Thread(target=_leave_where_it_hangs, name="signals", daemon=True).start()


def heard() -> int | None:
    """Return the first signal that was raised as Stop, also where something swallowed it; None when none was."""
    return _heard[0] if _heard else None


@contextmanager
def leaving_if_it_hangs(number: int) -> Iterator[None]:
    """End the command if the block takes longer than HANGS_S: its journal's thread hangs in a call of the system."""
    timer = threading.Timer(HANGS_S, _leave, [number])
    timer.daemon = True
    if _hears:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def leave_at_once(code: int) -> None:
    """Let a signal end the process without a word from now on: all is done, and `code` is what it exits with."""
    for number in ending():
        signal.signal(number, lambda *_: os._exit(code))


def last_word(stop: KeyboardInterrupt) -> int:
    """Say why the command ends, where nothing else can be counted on any more; return the exit code."""
    _say(str(stop))
    return stop.exit_code if isinstance(stop, Stop) else 130


def _say(line: str) -> None:
    from pipeline.system.language import translated

    with suppress(OSError):  # nobody is there to read it
        os.write(2, f"{translated(line)}\n".encode())


def _stop(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    raise Stop(number)


def _leave_where_it_hangs() -> None:
    """End the process when a signal has waited for HANGS_S: the main thread hangs in a call of the system.

    A thread sees as pending only what it blocks itself, and what no other thread has taken. What ends here ends as by a
    kill: what was to be recorded and is not is in doubt.
    """
    numbers = set(ending())
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    waits_s = 0.0
    while True:
        time.sleep(_LOOK_S)
        waiting = signal.sigpending() & numbers
        waits_s = waits_s + _LOOK_S if waiting else 0.0
        if waits_s >= HANGS_S:
            _leave(min(waiting))


def _leave(number: int) -> None:
    _say(f"stopped by {signal.Signals(number).name} while a disk or a network folder did not answer; run again")
    os._exit(128 + number)
