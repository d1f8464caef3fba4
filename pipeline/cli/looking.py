"""Progress on a terminal while a job's pictures are looked at."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.system.language import translated
from pipeline.system.wording import count

_EVERY_S = 0.2


@contextmanager
def counting_pictures() -> Iterator[Callable[[int], None]]:
    """Show on stderr how many pictures were looked at, while the block lasts and where that is a terminal."""
    shown = time.monotonic()
    written = False

    def watch(seen: int) -> None:
        nonlocal shown, written
        now = time.monotonic()
        if now - shown >= _EVERY_S and sys.stderr.isatty():
            print("\r" + translated(f"{count(seen, 'picture')} looked at"), end="", file=sys.stderr, flush=True)
            shown, written = now, True

    try:
        yield watch
    finally:
        if written:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
