"""The work of one run on its items: the one place that puts the vendor's client and the engine together.

What it is built on is locked and open already (local.py).
"""

import functools
import time
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import anyio

from pipeline.calls.account import Share
from pipeline.calls.client import Client
from pipeline.calls.stats import Stats
from pipeline.calls.transport import PATIENCE_S, open_transport
from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.engine.details import HitDetails
from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.engine.reuse import Reuse
from pipeline.errors import Interrupted, JournalError
from pipeline.journal.emergency import ballast, require_room
from pipeline.journal.journal import Journal
from pipeline.results.record import RecordLines
from pipeline.results.summary import Pictures
from pipeline.run.client import client_for, questions_per_s
from pipeline.run.collect_by import CollectBy, collect_by_of
from pipeline.run.collecting import Following
from pipeline.run.details import finish, hit_details
from pipeline.run.directory import keep_drawing
from pipeline.run.donors import open_donors
from pipeline.run.extent import most_at_once, to_pay_for
from pipeline.run.first_calls import first_items
from pipeline.run.gauges import Gauges
from pipeline.run.heartbeat import Heartbeat
from pipeline.run.kept_pictures import KeptPictures, keeping
from pipeline.run.leased import LeasedShare
from pipeline.run.live_page import keep_counts
from pipeline.run.load import Job
from pipeline.run.options import RunOptions
from pipeline.run.progress_file import Showing
from pipeline.run.signals import Signals
from pipeline.run.stop_exchange import in_touch
from pipeline.sources.looks import readers


@dataclass(frozen=True, slots=True)
class Place:
    """The run directory, the vendor's address and our share of the account, locked and ready; signals end its run."""

    folder: Path
    base_url: str
    share: Share
    signals: Signals


class Worked(NamedTuple):
    """The outcome of the work on the items: the engine, the counts of calls and those of pictures that were kept."""

    engine: Engine
    stats: Stats
    pictures: Pictures | None


class _Beside(NamedTuple):
    """The parts that work beside the items: what keeps pictures, and what asks for details of hits."""

    kept: KeptPictures | None
    details: HitDetails | None


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of a job, with its journal open; `following` takes in the tasks of a run that is collected."""

    job: Job
    options: RunOptions
    place: Place
    journal: Journal
    intake: Intake
    records: RecordLines
    following: Following | None

    async def work(self) -> Worked:
        """Work on the items until nothing more can be done."""
        folder, spec, journal = self.place.folder, self.job.spec, self.journal
        async with AsyncExitStack() as opened:
            client = await self._client(opened)
            tally = await journal.begin()
            collect_by = await collect_by_of(spec, folder, journal, lambda: engine.items(), self.options.say)
            reuse = opened.enter_context(open_donors(spec, folder, self._account(client), now=time.time()))
            beside = await self._beside(client, opened)
            ports = self._ports(client, collect_by, reuse, beside, opened)
            engine = Engine(ports, self.intake, self.records, tally=tally)
            gauges = Gauges(spec, engine, client, journal, collect_by, run=folder.name)
            count = to_pay_for(tally, spec, self.options, all_in=self.intake.done)
            require_room(folder, count)
            name, table = self.options.home_of(folder).name, spec.api.table
            opened.enter_context(ballast(folder) if count else nullcontext())
            async with in_touch(self.place.share, name, engine, client.quota, table):
                await self._drive(engine, Heartbeat(engine, client, journal, folder=folder), gauges, beside)
        return Worked(engine, client.stats, None if beside.kept is None else beside.kept.counts())

    async def _client(self, opened: AsyncExitStack) -> Client:
        """Return the client that sends the calls, with connections that end with `opened`."""
        api = self.job.spec.api
        patience_s = {**PATIENCE_S, **api.timeouts()}
        to_vendor = open_transport(
            self.place.base_url,
            proxy=api.proxy,
            ca_file=api.ca_file,
            patience_s=patience_s,
            drop_late=isinstance(self.place.share, LeasedShare),
        )
        return client_for(self.job, self.options, await opened.enter_async_context(to_vendor), self.place.share)

    def _account(self, client: Client) -> str | None:
        """Return the account whose other runs may have paid for a picture; None where all is paid anew."""
        return client.stats.tally.account if self.options.again is None else None

    async def _beside(self, client: Client, opened: AsyncExitStack) -> _Beside:
        """Start what works beside the items; it ends with `opened`."""
        folder, may_add = self.place.folder, self.options.again is None
        kept = keeping(self.job, self.options.home_of(folder), vendor=self.place.base_url)
        details = hit_details(self.job, folder, self.journal, client, self.options.say, may_add=may_add)
        return _Beside(await opened.enter_async_context(kept), await opened.enter_async_context(details))

    def _ports(
        self, client: Client, collect_by: CollectBy | None, reuse: Reuse | None, beside: _Beside, opened: AsyncExitStack
    ) -> Ports:
        """Return the parts that an item needs while it is worked on; those to be closed end with `opened`."""
        spec, options = self.job.spec, self.options
        endpoints = endpoints_for(spec.search, report_lang=spec.task.report_lang, country=spec.task.country)
        return Ports(
            spec,
            endpoints,
            client,
            self.journal,
            *readers(spec.root_path, fit=spec.upload.fit, ahead=None if options.given is None else options.given.ahead),
            first_items=opened.enter_context(first_items(self.job, options, endpoints, client.stats)),
            details=beside.details,
            reuse=reuse,
            say=options.say,
            questions_per_s=questions_per_s(client.limiters),
            keep_drawing=functools.partial(keep_drawing, options.home_of(self.place.folder)),
            keep_pictures=None if beside.kept is None else beside.kept.add,
            paid=None if collect_by is None else collect_by.paid,
            follow=None if self.following is None else self.following.more,
            most=most_at_once(spec, options),
        )

    async def _drive(self, engine: Engine, heartbeat: Heartbeat, gauges: Gauges, beside: _Beside) -> None:
        """Run the engine to its end, or until signals end it, beside the heartbeat; show the last picture."""
        showing = Showing(self.place.folder, gauges, self.options.observer)
        async with anyio.create_task_group() as around:
            with self.place.signals.end(engine):
                around.start_soon(heartbeat.run, showing.show)
                around.start_soon(keep_counts, self.place.folder)
                await engine.run(limit=self.options.limit)
                await self._afterwards(engine, beside)
            showing.end()
            heartbeat.note_calls()
            around.cancel_scope.cancel()

    async def _afterwards(self, engine: Engine, beside: _Beside) -> None:
        """Do what no item waits for: details that come after their records, and pictures whose links still live.

        Signals end that, too.
        """
        await finish(beside.details, self.journal, self.job.spec.details if self.options.again is None else None)
        if beside.kept is not None:
            await beside.kept.finish(lambda: isinstance(engine.ended_by, Interrupted | JournalError))
