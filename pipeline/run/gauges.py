"""The readings of a run's parts, put together into the picture that an observer gets."""

from collections import deque

import anyio

from pipeline.calls.client import Client
from pipeline.endpoints.patsnap.codes import NORMAL_ANSWER_S
from pipeline.engine.engine import Engine
from pipeline.job.schema import JobSpec
from pipeline.journal.journal import Journal
from pipeline.models import KINDS, PAID, WAITING, Kind
from pipeline.results.money import Money, money_spent
from pipeline.run.collect_by import CollectBy
from pipeline.run.progress import Flow, Progress

RATE_OVER_S = 5.0


class Gauges:
    """The readings of one run's parts, put together into a picture; made in the run's event loop as it starts.

    run         the name of the run directory
    collect_by  tells by when reading must begin; None where the run reads reports itself, or nobody does
    """

    def __init__(
        self,
        spec: JobSpec,
        engine: Engine,
        client: Client,
        journal: Journal,
        collect_by: CollectBy | None = None,
        *,
        run: str,
    ) -> None:
        self._run = run
        self._spec = spec
        self._engine = engine
        self._client = client
        self._journal = journal
        self._collect_by = collect_by
        self._began = anyio.current_time()
        self._kinds = KINDS if spec.awaits_reports else PAID
        self._recent: dict[Kind, deque[tuple[float, int]]] = {
            kind: deque() for kind in self._kinds
        }  # (time, sent by then)

    def picture(self) -> Progress:
        """Read all gauges once."""
        now = anyio.current_time()
        flows = {kind: self._flow(kind, now) for kind in self._kinds}
        left_s, binds = self._left(flows)
        ended_by = self._engine.ended_by
        return Progress(
            elapsed_s=now - self._began,
            items=self._engine.items(),
            in_flight=self._engine.in_flight,
            all_in=self._engine.all_in,
            flows=flows,
            money=self._money(),
            units=self._client.stats.units,
            paused_s=self._client.paused_s,
            left_s=left_s,
            binds=binds,
            ending=str(ended_by) if ended_by else None,
            collect_by=None if self._collect_by is None else self._collect_by.by,
            waits_until=self._client.waits_until,
            unreachable=self._client.unreachable,
            run=self._run,
            vendor=self._spec.vendor,
            causes=self._engine.causes.listed(),
        )

    def _money(self) -> Money | None:
        if not self._spec.prices:
            return None
        budget = self._journal.budget
        return money_spent(
            self._spec, budget.costs(), {kind: (lease.used,) * 2 for kind, lease in budget.calls.items()}
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
            limit_per_s=limiter.ours,
            slowed_to_per_s=limiter.rate,
            spent=self._journal.budget.calls[kind].used,
            budget=self._spec.api.budget_of(kind),
        )

    def _left(self, flows: dict[Kind, Flow]) -> tuple[float | None, str]:
        """Return the seconds that are left, and what they wait for.

        Nobody can tell while calls wait for the vendor: to be reached, to work again, or to lift the day's limit, which
        it does at a time that says nothing of the rest. Else its answers bind, where they come much slower than the
        limits allow, or the slowest limit, which is the usual case.
        """
        items = self._engine.items()
        waiting = sum(items[state] for state in WAITING)
        if not waiting or not self._engine.all_in or self._engine.ended_by is not None:
            return None, ""
        if self._client.blocked:
            return None, ""
        kinds = self._spec.kinds(local=flows[Kind.UPLOAD].sent > 0)
        slowest = min(kinds, key=lambda kind: flows[kind].slowed_to_per_s)
        rate = flows[slowest].slowed_to_per_s
        if not rate:  # none of the account's calls are ours just now, and nobody knows for how long
            return None, ""
        by_limit = self._client.paused_s + waiting / rate + NORMAL_ANSWER_S
        done_per_s = flows[kinds[-1]].per_s
        if done_per_s and waiting / done_per_s > 1.5 * by_limit:
            return waiting / done_per_s, "the vendor's answers"
        return by_limit, f"the limit of {rate:g} {slowest.value} calls a second"
