"""The question before anything is paid."""

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TextIO

import anyio
import anyio.to_thread

from pipeline.cli.errors import say
from pipeline.cli.live import LiveBlock
from pipeline.errors import SpecError
from pipeline.run.options import RunOptions
from pipeline.system.language import translated

_TERMINAL = "/dev/tty"


def on_a_terminal(*, piped: bool = False) -> bool:
    """Return True if somebody is there to be asked; with a list `piped` in, at the terminal behind stdin."""
    if not sys.stderr.isatty() or sys.stdin.isatty():
        return sys.stderr.isatty()
    return piped and os.path.exists(_TERMINAL) and _opens(_TERMINAL)


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
    except OSError:  # no terminal is ours
        return False
    return True


@contextlib.contextmanager
def _answers(*, piped: bool) -> Iterator[TextIO]:
    """Open the stream on which a person answers: stdin, or the terminal behind it when a list is piped in."""
    if not piped or sys.stdin.isatty():
        yield sys.stdin
        return
    with open(_TERMINAL, encoding="utf-8", errors="replace") as terminal:
        yield terminal


def ask(text: str, *, piped: bool = False) -> None:
    """Say what will be paid and ask. Raises SpecError unless the answer is yes."""
    say(text)
    print(translated("Go on? [y/N] "), end="", file=sys.stderr, flush=True)
    with _answers(piped=piped) as answers:
        answer = answers.readline().strip().lower()
    if answer not in ("y", "yes"):
        raise SpecError("nothing was sent")


def asked_again(options: RunOptions, display: object, *, piped: bool = False) -> RunOptions:
    """Return the options of a run that asks once more, after the first item with an endpoint new to the account."""
    return replace(options, confirm=functools.partial(_confirm, display, piped))


async def _confirm(display: object, piped: bool, text: str) -> bool:
    """Say what became of the first item and ask; return whether the answer is yes. The run may end meanwhile."""
    with display.hidden() if isinstance(display, LiveBlock) else nullcontext():
        say(text)
        print(translated("Go on with the rest? [y/N] "), end="", file=sys.stderr, flush=True)
        with _answers(piped=piped) as answers:
            if os.name == "posix":  # a thread that reads could not be told that the run ends
                await anyio.wait_readable(answers)
                answer = answers.readline()
            else:
                answer = await anyio.to_thread.run_sync(answers.readline, abandon_on_cancel=True)
    return answer.strip().lower() in ("y", "yes")
