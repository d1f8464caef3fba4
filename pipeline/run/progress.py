"""The picture of a run as it goes, for whoever wants to show it."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import anyio

from pipeline.calls.client import Client
from pipeline.endpoints.patsnap.codes import NORMAL_ANSWER_S
from pipeline.engine.engine import Engine
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.models import PAID, WAITING, Kind, State

RATE_OVER_S = 5.0


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
    waits_until: float | None = None  # seconds since the epoch; calls wait for the day's limit to be lifted until then


class Observer(Protocol):
    """A display of a run, given to `RunOptions`.

    >>> from pipeline import Progress, RunOptions, run_job
    >>> class Counter:
    ...     def update(self, progress: Progress) -> None:
    ...         self.items = sum(progress.items.values())
    >>> counter = Counter()
    >>> summary = run_job("portfolio.yaml", options=RunOptions(observer=counter))
    >>> counter.items
    3
    """

    def update(self, progress: Progress) -> None:
        """Show the run as it is now; called a few times a second in the run's event loop: be quick, never raise."""


class Gauges:
    """The readings of one run's parts, put together into a picture; made in the run's event loop as it starts."""

    def __init__(self, spec: JobSpec, engine: Engine, client: Client, journal: Journal) -> None:
        self._spec = spec
        self._engine = engine
        self._client = client
        self._journal = journal
        self._began = anyio.current_time()
        self._recent: dict[Kind, deque[tuple[float, int]]] = {kind: deque() for kind in PAID}  # (time, sent by then)

    def picture(self) -> Progress:
        """Read all gauges once."""
        now = anyio.current_time()
        flows = {kind: self._flow(kind, now) for kind in PAID}
        left_s, binds = self._left(flows)
        ended_by = self._engine.ended_by
        return Progress(
            elapsed_s=now - self._began,
            items=self._engine.items(),
            in_flight=self._engine.in_flight,
            all_in=self._engine.all_in,
            flows=flows,
            units=self._client.stats.units,
            paused_s=self._client.paused_s,
            left_s=left_s,
            binds=binds,
            ending=str(ended_by) if ended_by else None,
            waits_until=self._client.waits_until,
        )

    def _flow(self, kind: Kind, now: float) -> Flow:
        sent = self._client.stats.sent[kind]
        recent = self._recent[kind]
        recent.append((now, sent))
        while recent[0][0] < now - RATE_OVER_S:
            recent.popleft()
        since, then = recent[0]
        limiter = self._client.limiters[kind]
        return Flow(
            sent=sent,
            # The limiter never exceeds its limit, but whole calls counted over part of a second can look as if it did.
            per_s=min(limiter.qps, (sent - then) / (now - since)) if now > since else 0.0,
            limit_per_s=limiter.qps,
            slowed_to_per_s=limiter.rate,
            spent=self._journal.budget.calls[kind].used,
            budget=self._spec.api.budget_of(kind),
        )

    def _left(self, flows: dict[Kind, Flow]) -> tuple[float | None, str]:
        """Return the seconds that are left, and what they wait for.

        Three things can bind: the vendor lifts the day's limit, at a time that says nothing of the rest; its answers
        come much slower than the limits allow; or the slowest limit, which is the usual case.
        """
        items = self._engine.items()
        waiting = sum(items[state] for state in WAITING)
        if not waiting or not self._engine.all_in or self._engine.ended_by is not None:
            return None, ""
        if self._client.waits_until is not None:
            return None, ""
        kinds = self._spec.kinds(local=flows[Kind.UPLOAD].sent > 0)
        slowest = min(kinds, key=lambda kind: flows[kind].slowed_to_per_s)
        rate = flows[slowest].slowed_to_per_s
        by_limit = self._client.paused_s + waiting / rate + NORMAL_ANSWER_S
        done_per_s = flows[kinds[-1]].per_s
        if done_per_s and waiting / done_per_s > 1.5 * by_limit:
            return waiting / done_per_s, "the vendor's answers"
        return by_limit, f"the limit of {rate:g} {slowest.value} calls a second"
