"""What the vendor executed and will bill, by question: the truth that the campaigns judge by.

Creates stand in the vendor's own log of tasks. Searches (by picture and page) and patents (by id) are noted here as
they take effect, whether their answers arrive or not.
"""

import contextlib
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit

from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.proof.history import Created

PAGE = 100
KINDS = ("upload", "search", "create", "query", "details")
ANSWERED_WRONG = "reset.after"  # the one fault of the campaigns that executes a call and answers nothing
_UNITS_OF_CALLS = ("search", "create", "query")


class Question(NamedTuple):
    """A search: the picture, or the views of a product, and the page."""

    picture: str
    page: int


class Paid(NamedTuple):
    """What was executed up to a moment; the difference of two is what was executed between them."""

    searches: Counter[Question]
    patents: Counter[str]
    uploads: int
    found: int  # patents that were found: each is billed
    calls: dict[str, int]  # that arrived, by kind, refused ones among them
    lost: Counter[str]  # calls by kind that were executed and never answered

    def since(self, before: "Paid") -> "Paid":
        """Return what was executed between two moments."""
        return Paid(
            self.searches - before.searches,
            self.patents - before.patents,
            self.uploads - before.uploads,
            self.found - before.found,
            {kind: count - before.calls[kind] for kind, count in self.calls.items()},
            self.lost - before.lost,
        )


class Book:
    """The book of a sandbox in this process."""

    def __init__(self, vendor: SandboxServer, folder: Path) -> None:
        self._vendor = vendor
        self._folder = folder
        self._searches: Counter[Question] = Counter()
        self._patents: Counter[str] = Counter()
        self._never_answered = 0
        stats = vendor.stats
        searched, asked_about = stats.searched, stats.asked_about

        def searching(question: Any) -> None:
            searched(question)
            urls = getattr(question, "urls", None) or (question.url,)
            self._searches[Question(picture_of(urls), (question.offset or 0) // PAGE)] += 1

        def asking(patents: Iterable[str]) -> None:
            asked_about(patents)
            self._patents.update(patents)

        stats.searched = searching  # type: ignore[method-assign]
        stats.asked_about = asking  # type: ignore[method-assign]

    def paid(self) -> Paid:
        """Return what was executed so far, once the vendor has dealt with all that a dead process sent."""
        self._be_quiet()
        stats = self._vendor.stats
        executed = stats.executed
        return Paid(
            self._searches.copy(),
            self._patents.copy(),
            executed.get("upload", 0),
            stats.units - sum(executed.get(kind, 0) for kind in _UNITS_OF_CALLS),
            {kind: stats.calls(kind) for kind in KINDS},
            Counter({kind: stats.outcomes.get(kind, {}).get(ANSWERED_WRONG, 0) for kind in KINDS}),
        )

    def executed(self, kind: str) -> int:
        """Return how many calls of a kind took effect so far."""
        return self._vendor.stats.executed.get(kind, 0)

    def tasks(self, *, after: int = 0) -> Iterator[Created]:
        """Read the executed creates beyond the first so many."""
        for task in islice(read_tasks(self._folder), after, None):
            yield Created(picture_text(task.urls), task.task_id, task.patent_ids)

    def _be_quiet(self) -> None:
        """Wait until every call that arrived is answered, or was cut off by its client while it was read.

        What a dead process sent lies in the vendor's sockets: a call of our own is answered after it. What is left when
        no call has ended for two seconds is never answered.
        """
        with contextlib.suppress(HTTPError):
            urllib.request.urlopen(f"{self._vendor.url}/nothing", timeout=30).close()
        left = fewest = self._under_way()
        until = time.monotonic() + 2.0
        while left > self._never_answered and time.monotonic() < until:
            time.sleep(0.002)
            left = self._under_way()
            if left < fewest:
                fewest, until = left, time.monotonic() + 2.0
        self._never_answered = max(left, 0)

    def _under_way(self) -> int:
        stats = self._vendor.stats
        outcomes = stats.outcomes
        return sum(stats.calls(kind) - sum(outcomes.get(kind, {}).values()) for kind in KINDS)


def picture_of(urls: Iterable[str]) -> str:
    """Name what was searched: an upload by its digest, whatever link it has, any other picture by its URL."""
    return picture_text([urlsplit(url).path if "/upload/" in url else url for url in urls])


def picture_text(urls: Iterable[str]) -> str:
    """Write several views as one text, as the journal does; one picture stands as it is."""
    listed = list(urls)
    return listed[0] if len(listed) == 1 else "views: " + " | ".join(listed)


def named(url: str) -> str:
    """Name the picture, or the views, that a journal's text of URLs is of."""
    return picture_of(url.removeprefix("views: ").split(" | "))
