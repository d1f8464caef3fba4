"""Composes a run from its parts: reads the environment and the files, wires client, journal and engine, ends in order.

Used by the command line and by `from pipeline import run_job`.
"""

import functools
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import anyio

from pipeline.account import Busy, Part, account_of, take_part
from pipeline.api.auth import Credentials, credentials_from
from pipeline.api.client import Client
from pipeline.api.rules import effective
from pipeline.api.transport import open_transport
from pipeline.clock import steady
from pipeline.engine import Engine
from pipeline.environment import exposed, read_environment
from pipeline.errors import SpecError
from pipeline.finish import Ending, summarise, write_open, write_report_page
from pipeline.intake import Intake
from pipeline.items import check_sources
from pipeline.journal.disk import open_disk
from pipeline.journal.emergency import ballast, require_room
from pipeline.journal.journal import Journal
from pipeline.journal.writer import Writer
from pipeline.limiter import Limiter
from pipeline.masking import hide
from pipeline.models import PAID, WAITING, Kind, iso
from pipeline.offering import Again, job_folder, prepare, prepare_again
from pipeline.pictures import read_picture
from pipeline.process import Ports
from pipeline.progress import Observer, Watch
from pipeline.quota import QuotaGate
from pipeline.record import RecordWriter, search_params
from pipeline.rundir import LOG, SPEC, hold, run_folder, write_whole
from pipeline.runlog import run_log
from pipeline.spec import JobSpec, load_job
from pipeline.spec.as_run import spec_as_run
from pipeline.stopping import stop_on_signals
from pipeline.summary import RunSummary
from pipeline.tuning import tuned

SANDBOX_CREDENTIALS = Credentials(client_id="sandbox", client_secret="sandbox-secret")  # noqa: S106 - it guards nothing
PUBLIC = ("sandbox", "sandbox-secret", "sandbox-key")  # a sandbox's credentials: words that texts may hold

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A loaded job, ready to run: its spec, who we are to the vendor, and remarks for the person."""

    spec: JobSpec
    credentials: Credentials
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a job is run: `new` starts another run directory, `limit` begins at most so many items.

    `busy` and `share` say what to do about other processes with the same account (see account.py), `wait_quota` waits
    for the daily limit to be lifted instead of ending. `say` is told what a person should read at once. `on_sent` is
    told the loop's time of every paid call, the moment its headers go out.
    """

    new: bool = False
    limit: int | None = None
    accept_changes: bool = False
    again: Again | None = None
    busy: Busy = "exit"
    share: float = 1.0
    wait_quota: bool = False
    say: Callable[[str], None] = lambda _: None
    observer: Observer | None = None
    on_sent: Callable[[Kind, float], None] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


def load_spec(path: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> JobSpec:
    """Load a job file only to look at it: no credentials are needed."""
    found = read_environment(path, os.environ if environment is None else environment)
    secrets = [found.get(f"PATSNAP_{key}", "") for key in ("CLIENT_ID", "CLIENT_SECRET", "API_KEY")]
    hide(secret for secret in secrets if secret not in PUBLIC)
    return load_job(path, overrides=overrides, secrets=secrets, proxy=found.get("PATSNAP_PROXY"))


def load(path: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Job:
    """Load a job file and the credentials it needs. Raises SpecError; with the sandbox no credential is needed."""
    spec = load_spec(path, overrides=overrides, environment=environment)
    if spec.sandbox:
        return Job(spec, SANDBOX_CREDENTIALS, tuple(spec.warnings()))
    credentials, remark = credentials_from(read_environment(path, os.environ if environment is None else environment))
    hide(secret for secret in credentials.secrets if secret not in PUBLIC)
    return Job(spec, credentials, tuple(text for text in (remark, exposed(path), *spec.warnings()) if text))


def load_again(folder: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Job:
    """The job of a run directory as it was run, with the credentials that lie beside its job file.

    `overrides` may change how the vendor is called and no more: what is tried again is asked as it was before.
    """
    keys = [text.partition("=")[0].strip() for text in overrides]
    if wrong := [key for key in keys if not key.startswith("api.") or key.startswith("api.base_url")]:
        only = "only keys of api but base_url can be set here, such as api.qps=10"
        raise SpecError(*(f"--set {key}: {only}" for key in wrong))
    home = job_folder(folder)
    found = read_environment(home / SPEC, os.environ if environment is None else environment)
    job = load(folder / SPEC, overrides=overrides, environment=found)
    job.spec._folder = home
    return job


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
            _address(job.spec, folder) as url,
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
    return take_part(folder, account, job=job.spec.name, share=options.share, busy=options.busy, say=options.say)


def _limiters(spec: JobSpec, part: Part) -> dict[Kind, Limiter]:
    limiters = {kind: Limiter(part.qps(spec.api.qps_of(kind))) for kind in PAID}
    for limiter in limiters.values():
        limiter.pause(part.rest_s(limiter.qps, now=steady()))
    return limiters


async def _run(job: Job, options: RunOptions, folder: Path, base_url: str, part: Part) -> RunSummary:
    spec = job.spec
    started_at, began = time.time(), steady()
    as_run, digest = spec_as_run(spec)
    records = RecordWriter(spec, digest)
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
            ports = Ports(spec, search_params(spec), client, journal, read)
            tally = await journal.begin()
            engine = Engine(ports, intake, records, tally=tally)
            watch = Watch(spec, engine, client, journal, folder=folder)
            require_room(folder, sum(tally.get(state, 0) for state in WAITING))
            with ballast(folder):
                await _drive(engine, watch, options, drain_s=spec.api.drain_s)
        ending = Ending(spec, records, engine, client, journal, folder, started_at, began=began)
        summary = await summarise(ending, generation=intake.generation, limited=options.limit is not None)
        await write_open(ending)
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


@contextmanager
def _address(spec: JobSpec, folder: Path) -> Iterator[str]:
    """The vendor's address; for the sandbox, that of one started in a thread of its own for as long as this lasts."""
    if not spec.sandbox:
        yield spec.api.base_url
        return
    from platformdirs import user_cache_path

    from pipeline.sandbox.server import SandboxServer  # heavy, and only jobs on the sandbox need it
    from pipeline.sandbox.settings import SandboxSettings

    settings = SandboxSettings(folder=folder / "sandbox", cache_dir=user_cache_path("infringement-pipeline"))
    with SandboxServer(settings) as server:
        yield server.url


def hit_picture(spec: JobSpec, folder: Path) -> Callable[[str], bytes | None]:
    """What gives the report the pictures behind URLs: the sandbox's own; a vendor's are left to the browser."""
    if not spec.sandbox:
        return lambda _: None
    from pipeline.sandbox.pictures import PictureStore
    from pipeline.sandbox.settings import SandboxSettings

    settings = SandboxSettings(folder=folder / "sandbox")
    store = PictureStore(settings.folder, gallery=settings.gallery, products=settings.products, clock=settings.clock)

    def read(url: str) -> bytes | None:
        path = store.local_file(url)
        return path.read_bytes() if path else None

    return read


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error behind a task group's group: nested groups hold the same failure from several workers."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
