"""Options of one run."""

import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.calls.account import Busy, Share
from pipeline.models import Kind
from pipeline.results.fail_on import Condition
from pipeline.results.reading import RecordView, read_line
from pipeline.run.progress import Display
from pipeline.run.stop import Stop
from pipeline.system.checksum import RecordLine

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """Open items of a run directory that a person wants to have worked on again, and no others."""

    folder: Path
    ords: tuple[int, ...]  # the numbers of the items in the journal
    risked: bool  # True when they are in doubt: each may be paid twice
    of: Path | None = None  # the run directory whose reports are collected in `folder`; None for a run
    alone: str = ""  # why that is not done while the run goes on; "" where it may be

    @property
    def home(self) -> Path:
        """The run directory itself, or that of the run whose reports are collected."""
        return self.of or self.folder


@dataclass(frozen=True, slots=True)
class Given:
    """A run directory and a share of the account that somebody else holds for a run, such as a worker of a cluster.

    `ahead` is a folder of pictures that were made fit ahead of their upload; it need not be there. `anew` is the
    command that begins another run directory in place of this one; "" where `run --new` is.
    """

    folder: Path
    share: Share
    ahead: Path | None = None
    anew: str = ""


class _Unfailing:
    """A function for somebody to look on; once it has failed it is not called again, for a run is worth more."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self._failed = False

    def __call__(self, *arguments: object) -> None:
        if self._failed:
            return
        try:
            self._function(*arguments)
        except Exception as exc:
            self._failed = True
            _log.warning("display.failed error=%s %s", type(exc).__name__, exc)


class _UnfailingObserver:
    """An observer that cannot end the run. A record that it fails at is logged, and the next one told all the same."""

    def __init__(self, observer: Display) -> None:
        self.update = _Unfailing(observer.update)
        self.told: Callable[[RecordView], object] | None = getattr(observer, "record", None)

    def record(self, record: RecordView) -> None:
        """Tell a record."""
        try:
            if self.told is not None:
                self.told(record)
        except Exception as exc:
            _log.warning("observer.failed item=%s error=%s %s", record.item, type(exc).__name__, exc)


def recorder(observer: Display | None) -> Callable[[bytes | RecordLine], None] | None:
    """Return what tells an observer of each record's line; None when it does not want to know."""
    if not isinstance(observer, _UnfailingObserver) or observer.told is None:
        return None
    return lambda line: observer.record(read_line(bytes(line)))


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run; none of them changes what is asked of the vendor.

    >>> from pipeline import RunOptions, run_job
    >>> run_job("portfolio.yaml", options=RunOptions(limit=100, share=0.5)).exit_code
    0
    """

    new: bool = False  # start another run directory instead of going on with the last
    limit: int | None = None  # begin at most so many items
    accept_changes: bool = False  # go on although the job asks something else than before
    rehearse: bool = False  # run on the sandbox instead of the vendor, with drawn pictures for the URLs
    again: Again | None = None  # work on these open items alone
    busy: Busy = "exit"  # while another process uses the account: raise RunLocked, or `wait` for it
    share: float = 1.0  # of every QPS of the account; above 0, at most 1
    given: Given | None = None  # a run directory and a share of the account that are held already
    since: str | None = None  # the run to compare with: none, last, or a run directory; None = last, if there is one
    fail_on: Condition | None = None  # end with exit code 7 if products meet it
    wait_quota: bool = False  # wait for the daily limit to be lifted instead of ending the run
    say: Callable[[str], None] = lambda _: None  # called with a line that a person should read at once
    confirm: Callable[[str], Awaitable[bool]] | None = (
        None  # asked once, after the first item with an endpoint that is new to the account; without it the run goes on
    )
    observer: Display | None = None  # an Observer; one without `record` is shown the progress alone
    stop: Stop | None = None  # ends the run when the program that runs it asks for it
    preparing: Callable[[int, int], None] = lambda done, total: (
        None
    )  # called while the sandbox prepares its gallery, with the drawings done and all of them
    on_sent: Callable[[Kind, float], None] | None = (
        None  # called for every paid call as it leaves, with the loop's time
    )
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)  # holds the credentials; .env adds to it

    def home_of(self, folder: Path) -> Path:
        """Return the run directory itself, or that around one of reports."""
        return folder if self.again is None else self.again.home

    def unfailing(self) -> "RunOptions":
        """Return the same options with functions that cannot end the run, whatever they raise."""
        return replace(
            self,
            say=_Unfailing(self.say),
            observer=None if self.observer is None else _UnfailingObserver(self.observer),
            preparing=_Unfailing(self.preparing),
            on_sent=None if self.on_sent is None else _Unfailing(self.on_sent),
        )
