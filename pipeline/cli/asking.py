"""The question before anything is paid."""

import functools
import os
import sys
from contextlib import nullcontext
from dataclasses import replace

import anyio
import anyio.to_thread

from pipeline.cli.errors import say
from pipeline.cli.screen import LiveTable
from pipeline.errors import SpecError
from pipeline.run.options import RunOptions


def on_a_terminal() -> bool:
    """Return True if somebody is there to be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(text: str) -> None:
    """Say what will be paid and ask. Raises SpecError unless the answer is yes."""
    say(text)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SpecError("nothing was sent")


def asked_again(options: RunOptions, display: object) -> RunOptions:
    """Return the options of a run that asks once more, after the first item with an endpoint new to the account."""
    return replace(options, confirm=functools.partial(_confirm, display))


async def _confirm(display: object, text: str) -> bool:
    """Say what became of the first item and ask; return whether the answer is yes. The run may end meanwhile."""
    with display.hidden() if isinstance(display, LiveTable) else nullcontext():
        say(text)
        print("Go on with the rest? [y/N] ", end="", file=sys.stderr, flush=True)
        if os.name == "posix":  # a thread that reads could not be told that the run ends
            await anyio.wait_readable(sys.stdin)
            answer = sys.stdin.readline()
        else:
            answer = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    return answer.strip().lower() in ("y", "yes")
