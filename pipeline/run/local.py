"""Execution of a job in this process: the one place that puts a run together from its parts.

The run directory and the account are locked, the journal is opened, the vendor's client and the engine are built on it;
at the end everything is closed in the opposite order.
"""

import functools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from pipeline.calls.account import Part, account_of
from pipeline.calls.stats import Stats
from pipeline.calls.transport import PATIENCE_S, open_transport
from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.errors import Interrupted, JournalError, SpecError
from pipeline.job.load import write_as_run
from pipeline.journal.emergency import ballast, require_room
from pipeline.journal.journal import Journal
from pipeline.journal.places import SUMMARY
from pipeline.journal.storage import open_disk, reading_only
from pipeline.journal.writer import Writer
from pipeline.results.fail_on import judged
from pipeline.results.record import RecordLines
from pipeline.results.summary import Pictures, RunSummary, to_json
from pipeline.run.begin import begin
from pipeline.run.client import client_for, questions_per_s
from pipeline.run.collect_by import collect_by_of
from pipeline.run.collecting import Following, follow
from pipeline.run.details import finish, hit_details
from pipeline.run.directory import LOG, SPEC, keep_drawing, known_runs
from pipeline.run.donors import note_account, open_donors
from pipeline.run.embedded_sandbox import address
from pipeline.run.end import Ending, beside_a_journal, end
from pipeline.run.extent import most_at_once, to_pay_for
from pipeline.run.first_calls import first_items
from pipeline.run.gauges import Gauges
from pipeline.run.heartbeat import Heartbeat
from pipeline.run.interface import Executor
from pipeline.run.kept_pictures import KeptPictures, keeping
from pipeline.run.listed import keep_list, list_at_hand
from pipeline.run.live_page import keep_counts
from pipeline.run.load import Job, load
from pipeline.run.locks import locked
from pipeline.run.notify import notifying
from pipeline.run.options import RunOptions, recorder
from pipeline.run.outputs import write_outputs
from pipeline.run.progress_file import Showing
from pipeline.run.signals import Signals
from pipeline.run.tariff import open_budgets
from pipeline.sources.check import check_sources
from pipeline.sources.foreign import refuse_foreign
from pipeline.sources.looks import readers
from pipeline.system.clock import Clocks, iso
from pipeline.system.event_log import run_log
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole
from pipeline.system.interpreter import EventLoop, tuned

_log = logging.getLogger(__name__)


def run_job(path: str | Path, *, overrides: Sequence[str] = (), options: RunOptions | None = None) -> RunSummary:
    """Run the job file at `path`, or go on with it; return its summary.

    `overrides` change keys of the job file (`api.qps=10`). After a crash of any kind the same call goes on where the
    run stood, and pays nothing twice. Raises SpecError, RunLocked or JournalError; everything else that can end a run
    is in the summary's `exit_code` and `exit_reason`.

    >>> from pipeline import run_job
    >>> summary = run_job("portfolio.yaml", overrides=["api.max_in_flight=2"])
    >>> summary.exit_code, summary.items["settled"], summary.calls_per_settled["search"]
    (0, 3, 1.0)
    """
    options = options or RunOptions()
    executor: Executor = LocalExecutor()
    job = load(Path(path), overrides=overrides, environment=options.environment, rehearse=options.rehearse)
    return executor.run(job, options)


class LocalExecutor:
    """The executor of this process; see `interface.Executor`."""

    def run(self, job: Job, options: RunOptions) -> RunSummary:
        """Run a loaded job. Raises SpecError, RunLocked, JournalError, or Interrupted when a signal came very early."""
        with list_at_hand(
            job.spec, new=options.new, folder=None if options.again is None else options.again.home
        ) as spec:
            job, options = replace(job, spec=spec), options.unfailing()
            with notifying(job.spec, options.environment, options.say) as notice:
                notice.append(summary := _judged(self._run(job, options), options))
            return summary

    def _run(self, job: Job, options: RunOptions) -> RunSummary:
        if options.again is None:
            check_sources(job.spec)
            if foreign := refuse_foreign(job.spec, job.file):
                raise SpecError(foreign)
        if options.wait_quota and job.spec.api.quota_reset is None:
            what = '--wait-quota needs the time at which the account\'s day begins, for example "00:00+08:00"'
            raise SpecError(Fault(what, where="api.quota_resets_at", fix="--set api.quota_resets_at=00:00+08:00"))
        umask = os.umask(0o077)
        try:
            with (
                locked(job, options) as (folder, part),
                run_log(folder / LOG, say=options.say),
                address(job.spec, _home(folder, options), options.preparing) as url,
                tuned(),
                beside_a_journal(folder),
            ):
                job = replace(job, spec=keep_list(job.spec, _home(folder, options)))
                signals = Signals(drain_s=job.spec.api.drain_s, stop=options.stop)
                place = _Place(folder, url, part, signals)
                return anyio.run(_run, job, options, place, backend_options={"loop_factory": EventLoop})
        finally:
            os.umask(umask)


def _home(folder: Path, options: RunOptions) -> Path:
    """Return the run directory around one of reports; any other one itself."""
    return folder if options.again is None else options.again.home


def _judged(summary: RunSummary, options: RunOptions) -> RunSummary:
    """Return the summary with the exit code that `fail_on` asks for; the file says the same."""
    found = judged(summary, options.fail_on)
    if found is not summary:
        write_whole(Path(found.results).parent / SUMMARY, to_json(found))
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """The run directory, the vendor's address and our part of the account, locked and ready; signals end its run."""

    folder: Path
    base_url: str
    part: Part
    signals: Signals


async def _run(job: Job, options: RunOptions, place: _Place) -> RunSummary:
    """Run to the end while signals are listened for. Raises Interrupted when one came before anything was begun."""
    return await place.signals.during(functools.partial(_run_heard, job, options, place))


async def _run_heard(job: Job, options: RunOptions, place: _Place) -> RunSummary:
    """Open the journal, work on the items, and write the results; the journal is closed whatever happens."""
    spec, folder, clocks = job.spec, place.folder, Clocks()
    started_at, started = clocks.wall(), clocks.steady()
    as_run, digest = write_as_run(spec)
    records = RecordLines(spec, digest)
    writer = Writer(functools.partial(open_disk, folder, now=started_at, places=known_runs()))
    with anyio.CancelScope(shield=True):  # a thread that has begun to open the files must be there to close them
        disk = await writer.start()
    recovered = disk.recovered
    if disk.identity.remark:
        options.say(f"note: {disk.identity.remark}")
    journal = open_budgets(writer, spec, folder)
    journal.steps.on_settled = recorder(options.observer)
    try:
        _log.info("run.started job=%s recovered=%s", spec.name, recovered)
        following = await follow(spec, journal, options)
        intake = await begin(spec, journal, options)
        await journal.remember({"started_at": iso(started_at)})  # a run that is refused has not started
        await note_account(journal, account_of(spec.api.base_url, job.credentials))
        write_whole(folder / SPEC, as_run)
        engine, stats, pictures = await _work(job, options, place, journal, intake, records, following)
        ending = Ending(folder, records, engine, journal, stats, started_at, started, pictures)
        summary = await end(ending, limited=options.limit is not None)
        _log.info("run.ended exit_code=%s %s", summary.exit_code, summary.exit_reason)
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()
    return await anyio.to_thread.run_sync(_write_outputs, folder, records, summary)


def _write_outputs(folder: Path, records: RecordLines, summary: RunSummary) -> RunSummary:
    """Write the files for people; the journal is closed, so that its rows are written by nobody else."""
    with reading_only(folder, own=True) as db:
        return write_outputs(folder, db, records, summary)


async def _work(
    job: Job,
    options: RunOptions,
    place: _Place,
    journal: Journal,
    intake: Intake,
    records: RecordLines,
    following: Following | None,
) -> tuple[Engine, Stats, Pictures | None]:
    """Work on the items until nothing more can be done; return the engine, the counts of calls and of pictures."""
    spec = job.spec
    patience_s = {**PATIENCE_S, **spec.api.timeouts()}
    async with (
        AsyncExitStack() as opened,
        open_transport(
            place.base_url, proxy=spec.api.proxy, ca_file=spec.api.ca_file, patience_s=patience_s
        ) as transport,
    ):
        client = client_for(job, options, transport, place.part)
        tally = await journal.begin()
        endpoints = endpoints_for(spec.search, report_lang=spec.task.report_lang, country=spec.task.country)
        collect_by = await collect_by_of(spec, place.folder, journal, lambda: engine.items(), options.say)
        most, first = most_at_once(spec, options), first_items(job, options, endpoints, client.stats)
        account = client.stats.tally.account if options.again is None else None  # what is tried again is paid anew
        reuse = opened.enter_context(open_donors(spec, place.folder, account, now=time.time()))
        pictures = readers(spec.root_path, fit=spec.upload.fit)
        home = _home(place.folder, options)
        async with (
            keeping(job, home, vendor=place.base_url) as kept,
            hit_details(job, place.folder, journal, client, options.say, may_add=options.again is None) as details,
        ):
            ports = Ports(
                spec,
                endpoints,
                client,
                journal,
                *pictures,
                first_items=first,
                details=details,
                reuse=reuse,
                say=options.say,
                questions_per_s=questions_per_s(client.limiters),
                keep_drawing=functools.partial(keep_drawing, home),
                keep_pictures=None if kept is None else kept.add,
                paid=None if collect_by is None else collect_by.paid,
                follow=None if following is None else following.more,
                most=most,
            )
            engine = Engine(ports, intake, records, tally=tally)
            gauges = Gauges(spec, engine, client, journal, collect_by, run=place.folder.name)
            heartbeat = Heartbeat(engine, client, journal, folder=place.folder)
            count = to_pay_for(tally, spec, options, all_in=intake.done)
            require_room(place.folder, count)
            with ballast(place.folder) if count else nullcontext():
                wanted = spec.details if options.again is None else None
                late = functools.partial(finish, details, journal, wanted)
                afterwards = functools.partial(_afterwards, engine, late, kept)
                showing = Showing(place.folder, gauges, options.observer)
                await _drive(engine, heartbeat, showing, options, place, afterwards)
    return engine, client.stats, None if kept is None else kept.counts()


async def _afterwards(engine: Engine, late_details: Callable[[], Awaitable[None]], kept: KeptPictures | None) -> None:
    """Do what no item waits for: details that come after their records, and pictures whose links still live."""
    await late_details()
    if kept is not None:
        await kept.finish(lambda: isinstance(engine.ended_by, Interrupted | JournalError))


async def _drive(
    engine: Engine,
    heartbeat: Heartbeat,
    showing: Showing,
    options: RunOptions,
    place: _Place,
    afterwards: Callable[[], Awaitable[None]],
) -> None:
    """Run the engine to its end, or until signals end it, beside the heartbeat; show the last picture.

    `afterwards` does what no item waits for; signals end that, too.
    """
    async with anyio.create_task_group() as around:
        with place.signals.end(engine):
            around.start_soon(heartbeat.run, showing.show)
            around.start_soon(keep_counts, place.folder)
            await engine.run(limit=options.limit)
            await afterwards()
        showing.end()
        heartbeat.note_calls()
        around.cancel_scope.cancel()
