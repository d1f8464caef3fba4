"""The question before anything is paid."""

import sys

from pipeline.cli.errors import say
from pipeline.errors import SpecError


def on_a_terminal() -> bool:
    """Return True if somebody is there to be asked."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask(text: str) -> None:
    """Say what will be paid and ask. Raises SpecError unless the answer is yes."""
    say(text)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SpecError("nothing was sent")
