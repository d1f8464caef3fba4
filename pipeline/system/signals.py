"""Signals that end a command, heard from its first line.

Until a run listens for them itself (`run/signals.py`), each is raised where the command is: it ends there, with one
line. Handlers matter most to a process that is number 1 of a container: those it has none for never reach it.
"""

import os
import signal
from contextlib import suppress
from types import FrameType

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_heard: list[int] = []


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


def heard() -> int | None:
    """Return the first signal that was raised as Stop, also where something swallowed it; None when none was."""
    return _heard[0] if _heard else None


def leave_at_once(code: int) -> None:
    """Let a signal end the process without a word from now on: all is done, and `code` is what it exits with."""
    for number in ending():
        signal.signal(number, lambda *_: os._exit(code))


def last_word(stop: KeyboardInterrupt) -> int:
    """Say why the command ends, where nothing else can be counted on any more; return the exit code."""
    from pipeline.system.language import told

    with suppress(OSError):  # nobody is there to read it
        os.write(2, f"{told(str(stop))}\n".encode())
    return stop.exit_code if isinstance(stop, Stop) else 130


def _stop(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    raise Stop(number)
