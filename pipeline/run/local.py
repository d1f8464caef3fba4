"""Composes a run from its parts: reads the environment and the files, wires client, journal and engine, ends in order.

Used by the command line and by `from pipeline import run_job`.
"""

import functools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path

import anyio

from pipeline.calls.account import Part, account_of, use_account
from pipeline.calls.client import Client
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.transport import open_transport
from pipeline.endpoints.consequences import effective
from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.errors import SpecError
from pipeline.job.as_run import spec_as_run
from pipeline.job.schema import JobSpec
from pipeline.journal.emergency import ballast, require_room
from pipeline.journal.journal import Journal
from pipeline.journal.storage import open_disk
from pipeline.journal.writer import Writer
from pipeline.models import PAID, WAITING, Kind
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary
from pipeline.run.begin import prepare, prepare_again
from pipeline.run.directory import LOG, SPEC, hold, run_folder
from pipeline.run.embedded_sandbox import address, hit_picture
from pipeline.run.end import Ending, end, write_report_page
from pipeline.run.load import Job, load
from pipeline.run.options import RunOptions
from pipeline.run.progress import Watch
from pipeline.run.signals import stop_on_signals
from pipeline.sources.check import check_sources
from pipeline.sources.pictures import read_picture
from pipeline.system.clock import iso, steady
from pipeline.system.event_log import run_log
from pipeline.system.files import write_whole
from pipeline.system.interpreter import tuned

_log = logging.getLogger(__name__)


def run_job(path: str | Path, *, overrides: Sequence[str] = (), options: RunOptions | None = None) -> RunSummary:
    """Run the job file at `path`, or go on with it; return what it came to.

    Raises SpecError, RunLocked or JournalError. Everything else that can stop a run is in the summary's `exit_code` and
    `exit_reason`. After a crash of any kind the same call goes on where the run stood, and pays nothing twice.
    """
    options = options or RunOptions()
    return run_loaded(load(Path(path), overrides=overrides, environment=options.environment), options)


def run_loaded(job: Job, options: RunOptions) -> RunSummary:
    """Run a loaded job; see `run_job`."""
    if options.again is None:
        check_sources(job.spec)
    if options.wait_quota and job.spec.api.quota_reset is None:
        raise SpecError(
            '--wait-quota needs api.quota_resets_at in the job file, for example "00:00+08:00"'
            + (", or here with --set" if options.again is not None else "")
        )
    umask = os.umask(0o077)
    try:
        with (
            _held(job, options) as (folder, part),
            run_log(folder / LOG),
            address(job.spec, folder) as url,
            tuned(),
        ):
            return anyio.run(functools.partial(_run, job, options, folder, url, part))
    except BaseExceptionGroup as group:
        raise _first(group) from None
    finally:
        os.umask(umask)


@contextmanager
def _held(job: Job, options: RunOptions) -> Iterator[tuple[Path, Part]]:
    """Hold the run directory, then our part of the account: who runs the same job is told about the directory.

    A new directory is made only once the account is ours: one without a run in it would be gone on with later.
    """
    with ExitStack() as held:
        folder = _folder(job, options)
        there = folder.is_dir()
        if there:
            held.enter_context(hold(folder))
        part = held.enter_context(_part(job, options))
        if not there:
            folder = _folder(job, options)
            held.enter_context(hold(folder))
        yield folder, part


def _folder(job: Job, options: RunOptions) -> Path:
    if options.again is not None:
        return options.again.folder
    return run_folder(job.spec, now=datetime.now().astimezone(), new=options.new)


def _part(job: Job, options: RunOptions) -> AbstractContextManager[Part]:
    """Our part of the account's calls per second; every sandbox has an account of its own."""
    from platformdirs import user_state_path

    for kind in PAID:
        Part(options.share).qps(job.spec.api.qps_of(kind))
    if job.spec.sandbox:
        return nullcontext(Part(options.share))
    folder = user_state_path("infringement-pipeline") / "accounts"
    account = account_of(job.spec.api.base_url, job.credentials)
    return use_account(folder, account, job=job.spec.name, share=options.share, busy=options.busy, say=options.say)


def _limiters(spec: JobSpec, part: Part) -> dict[Kind, Limiter]:
    limiters = {kind: Limiter(part.qps(spec.api.qps_of(kind))) for kind in PAID}
    for limiter in limiters.values():
        limiter.pause(part.quiet_s(limiter.qps, now=steady()))
    return limiters


async def _run(job: Job, options: RunOptions, folder: Path, base_url: str, part: Part) -> RunSummary:
    spec = job.spec
    started_at, began = time.time(), steady()
    as_run, digest = spec_as_run(spec)
    records = RecordLines(spec, digest)
    writer = Writer(functools.partial(open_disk, folder, now=started_at))
    recovered = (await writer.start()).recovered
    budgets = {kind: spec.api.budget_of(kind) for kind in PAID}
    journal = Journal(writer, budgets=budgets, duplicates=spec.api.duplicates)
    await journal.remember({"started_at": iso(started_at)})
    _log.info("run.started job=%s recovered=%s", spec.name, recovered)
    try:
        intake = await _prepare(spec, journal, options)
        write_whole(folder / SPEC, as_run)
        quota = QuotaGate(spec.api.quota_reset if options.wait_quota else None, say=options.say)
        async with open_transport(base_url, proxy=spec.api.proxy, ca_file=spec.api.ca_file) as transport:
            client = Client(
                transport,
                job.credentials,
                _limiters(spec, part),
                on_sent=options.on_sent,
                table=effective(spec.api.overrides()),
                quota=quota,
            )
            read = functools.partial(read_picture, spec.root_path)
            endpoints = endpoints_for(spec.search, report_lang=spec.task.report_lang, country=spec.task.country)
            ports = Ports(spec, endpoints, client, journal, read)
            tally = await journal.begin()
            engine = Engine(ports, intake, records, tally=tally)
            watch = Watch(spec, engine, client, journal, folder=folder)
            require_room(folder, sum(tally.get(state, 0) for state in WAITING))
            with ballast(folder):
                await _drive(engine, watch, options, drain_s=spec.api.drain_s)
        ending = Ending(folder, records, engine, journal, client.stats, started_at, began)
        summary = await end(ending, generation=intake.generation, limited=options.limit is not None)
        _log.info("run.ended exit_code=%s %s", summary.exit_code, summary.exit_reason)
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()
    page = functools.partial(write_report_page, spec, folder, summary, hit_picture=hit_picture(spec, folder))
    await anyio.to_thread.run_sync(page)
    return summary


async def _drive(engine: Engine, watch: Watch, options: RunOptions, *, drain_s: float) -> None:
    """Run the engine while signals are heard and the run is shown."""
    async with anyio.create_task_group() as around:
        with anyio.CancelScope() as work:
            around.start_soon(functools.partial(stop_on_signals, engine, drain_s=drain_s, work=work))
            around.start_soon(watch.run, options.observer)
            await engine.run(limit=options.limit)
        if options.observer is not None:
            options.observer.update(watch.look())
        around.cancel_scope.cancel()


async def _prepare(spec: JobSpec, journal: Journal, options: RunOptions) -> Intake:
    if options.again is not None:
        return await prepare_again(journal, options.again)
    return await prepare(spec, journal, accept_changes=options.accept_changes)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error behind a task group's group: nested groups hold the same failure from several workers."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
