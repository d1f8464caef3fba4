"""The picture of a run as it goes, for whoever wants to show it."""

from dataclasses import dataclass
from typing import Protocol

from pipeline.engine.causes import Cause
from pipeline.models import Kind, State
from pipeline.results.money import Money
from pipeline.results.reading import RecordView


@dataclass(frozen=True, slots=True)
class Flow:
    """Calls of one kind."""

    sent: int  # in this run
    per_s: float  # sent per second over the last five seconds
    limit_per_s: float  # our part of the account's QPS
    slowed_to_per_s: float  # below the limit after the vendor said that it is too fast
    spent: int  # against the budget, over the life of the run directory
    budget: int | None  # None without a limit


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at one moment.

    >>> from pipeline import Progress
    >>> def line(progress: Progress) -> str:
    ...     left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left, bound by {progress.binds}"
    ...     return f"{progress.in_flight} items in flight{left}"
    """

    elapsed_s: float
    items: dict[State, int]  # that are in so far, by state
    in_flight: int  # items of which something was sent and that have not ended yet
    all_in: bool  # True once every item of the job is in
    flows: dict[Kind, Flow]
    units: float  # billed in this run, as the vendor says
    paused_s: float  # until calls go again; 0 while they go
    left_s: float | None  # expected until the end; None while nobody can tell
    binds: str  # what the rest of the run waits for most; empty when `left_s` is None
    ending: str | None  # the reason why the run is ending early
    money: Money | None = None  # spent by the job's prices, over the life of the run directory; None without prices
    waits_until: float | None = None  # seconds since the epoch; calls wait for the day's limit to be lifted until then
    unreachable: bool = False  # calls wait until the vendor can be reached
    collect_by: float | None = None  # seconds since the epoch, with `report: later`; `pipeline collect` must start then
    run: str = ""  # the name of the run directory
    vendor: str = ""  # its host, or `sandbox`
    causes: tuple[Cause, ...] = ()  # in the order in which they came up


class Display(Protocol):
    """A display of a run as it goes."""

    def update(self, progress: Progress) -> None:
        """Show the run as it is now; called a few times a second in the run's event loop: be quick, never raise."""


class Observer(Display, Protocol):
    """A program that looks on while a run goes, given to `RunOptions`.

    >>> from pipeline import Progress, RecordView, RunOptions, run_job
    >>> class Counter:
    ...     def update(self, progress: Progress) -> None:
    ...         self.items = sum(progress.items.values())
    ...     def record(self, record: RecordView) -> None:
    ...         print(record.item, record.status, len(record.hits), "hits")
    >>> counter = Counter()
    >>> options = RunOptions(observer=counter, new=True)
    >>> summary = run_job("portfolio.yaml", options=options)
    A tasked 20 hits
    B tasked 20 hits
    C tasked 20 hits
    >>> counter.items
    3
    """

    def record(self, record: RecordView) -> None:
        """Take a record that is durable now: each once, in the run's event loop, so hand long work on to a thread.

        What it raises is logged and ends nothing. After a kill the records of before are in `read_records` alone.
        """
