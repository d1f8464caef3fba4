"""Notes on stderr: the events that are logged while no run log is written, once of each kind, in words."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.cli.errors import say
from pipeline.system.wording import count


class _Notes(logging.Handler):
    """The warnings of one command. The first of each event is shown at once, all others of it are counted."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.addFilter(logging.Filter("pipeline"))
        self._texts: set[str] = set()
        self._more: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        event, _, text = record.getMessage().partition(" ")
        if text in self._texts:
            return
        self._texts.add(text)
        self._more[event] += 1
        if self._more[event] == 1:
            say(f"note: {text}")

    def end(self) -> None:
        """Say how many notes were left out."""
        if left := sum(self._more.values()) - len(self._more):
            say(f"note: {count(left, 'more like this', 'more like these')}")


@contextmanager
def noting() -> Iterator[None]:
    """Show what is logged until the block ends. A run log (system/event_log.py) keeps its events for itself."""
    notes, root = _Notes(), logging.getLogger()
    root.addHandler(notes)
    try:
        yield
    finally:
        root.removeHandler(notes)
        notes.end()
