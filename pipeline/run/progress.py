"""A run as it goes: one frozen picture of it, a few times a second, for whoever wants to show it."""

import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from pipeline.calls.client import Client
from pipeline.engine.engine import Engine
from pipeline.errors import JournalError
from pipeline.job.schema import JobSpec
from pipeline.journal.emergency import require_room
from pipeline.journal.journal import Journal
from pipeline.models import PAID, WAITING, Kind, State
from pipeline.system.clock import Clocks, Ticks

EVERY_S = 0.25
RATE_OVER_S = 5.0
ANSWER_S = 5.0  # the vendor's normal answer time: what the last items still take

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flow:
    """Calls of one kind: sent in this run, per second lately, the limit and what it has been slowed to."""

    sent: int
    per_s: float
    limit_per_s: float
    slowed_to_per_s: float
    spent: int
    budget: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The run at one moment. `items` adds up to everything that is in so far; `all_in` once nothing more will come.

    `waits_until` is when calls try again that wait for the day's limit (epoch seconds).
    """

    elapsed_s: float
    items: dict[State, int]
    in_flight: int
    all_in: bool
    flows: dict[Kind, Flow]
    units: float
    paused_s: float
    left_s: float | None
    binds: str
    ending: str | None
    waits_until: float | None = None


class Observer(Protocol):
    """Shows a run to someone."""

    def update(self, progress: Progress) -> None:
        """Called a few times a second from the run's event loop: be quick, never raise."""


class Watch:
    """Takes the pictures."""

    def __init__(
        self,
        spec: JobSpec,
        engine: Engine,
        client: Client,
        journal: Journal,
        *,
        folder: Path | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._client = client
        self._journal = journal
        self._began = anyio.current_time()
        self._recent: dict[Kind, deque[tuple[float, int]]] = {kind: deque() for kind in PAID}
        self._ticks = Ticks(clocks or Clocks())
        self._folder = folder

    async def run(self, observer: Observer | None) -> None:
        """Show the run until cancelled, and let the counts of calls follow to disk once a second."""
        ticks = 0
        while True:
            if observer is not None:
                observer.update(self.look())
            self.look_at_the_clock()
            self._mind_the_room()
            if ticks % 4 == 0:
                self._note_calls()
            ticks += 1
            await anyio.sleep(EVERY_S)

    def look_at_the_clock(self) -> None:
        """After a step of the clock or a sleep, let the client take nothing for granted."""
        jump = self._ticks.tick()
        if jump is not None:
            _log.warning("clock.jumped step_s=%.1f gap_s=%.1f", jump.step_s, jump.gap_s)
            self._client.clock_jumped()

    def _mind_the_room(self) -> None:
        """Once all items are in, end the run in good order if the disk will not hold what is left of them."""
        if self._folder is None or not self._engine.all_in:
            return
        items = self._engine.items()
        try:
            require_room(self._folder, sum(items[state] for state in WAITING))
        except JournalError as error:
            self._engine.drain(error)
        self._folder = None

    def _note_calls(self) -> None:
        try:
            self._journal.budget.note_calls(self._client.stats.units)
        except JournalError as error:  # what is under way must still be waited for: the engine ends the run
            self._engine.journal_failed(error)

    def look(self) -> Progress:
        """Take one picture."""
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
            # Whole calls over a broken span look like more than the limit, which the limiter never gives.
            per_s=min(limiter.qps, (sent - then) / (now - since)) if now > since else 0.0,
            limit_per_s=limiter.qps,
            slowed_to_per_s=limiter.rate,
            spent=self._journal.budget.calls[kind].used,
            budget=self._spec.api.budget_of(kind),
        )

    def _left(self, flows: dict[Kind, Flow]) -> tuple[float | None, str]:
        """Seconds left and what they wait for; None while nobody can tell."""
        items = self._engine.items()
        waiting = sum(items[state] for state in WAITING)
        if not waiting or not self._engine.all_in or self._engine.ended_by is not None:
            return None, ""
        if self._client.waits_until is not None:
            return None, ""  # the vendor decides
        kinds = self._spec.kinds(local=flows[Kind.UPLOAD].sent > 0)
        slowest = min(kinds, key=lambda kind: flows[kind].slowed_to_per_s)
        rate = flows[slowest].slowed_to_per_s
        by_limit = self._client.paused_s + waiting / rate + ANSWER_S
        done_per_s = flows[kinds[-1]].per_s
        if done_per_s and waiting / done_per_s > 1.5 * by_limit:
            return waiting / done_per_s, "the vendor's answers"
        return by_limit, f"the limit of {rate:g} {slowest.value} calls a second"
