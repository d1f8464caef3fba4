"""Composes a run from its parts: reads the environment and the files, wires client, journal and engine, ends in order.

Used by the command line and by `from pipeline import run_job`.
"""

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from pipeline.api.auth import Credentials, credentials_from
from pipeline.api.client import Client
from pipeline.api.transport import open_transport
from pipeline.engine import Engine
from pipeline.errors import SpecError
from pipeline.finish import Ending, summarise, write_open, write_report_page
from pipeline.intake import Intake
from pipeline.items import check_sources, fingerprint, items
from pipeline.journal.disk import open_disk
from pipeline.journal.journal import Journal
from pipeline.journal.writer import Writer
from pipeline.limiter import Limiter
from pipeline.masking import hide
from pipeline.models import PAID, Kind, iso
from pipeline.pictures import read_picture
from pipeline.process import Ports
from pipeline.progress import Observer, Watch
from pipeline.record import RecordWriter, search_params
from pipeline.rundir import LOG, SPEC, hold, run_folder, write_whole
from pipeline.runlog import run_log
from pipeline.spec import JobSpec, load_job
from pipeline.spec.as_run import spec_as_run
from pipeline.stopping import stop_on_signals
from pipeline.summary import RunSummary

SANDBOX_CREDENTIALS = Credentials(client_id="sandbox", client_secret="sandbox-secret")  # noqa: S106 - it guards nothing

_log = logging.getLogger(__name__)
_OFFERED = ("asked", "admitted", "admitting", "generation", "vendor")


@dataclass(frozen=True, slots=True)
class Job:
    """A loaded job, ready to run: its spec, who we are to the vendor, and remarks for the person."""

    spec: JobSpec
    credentials: Credentials
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a job is run: `new` starts another run directory, `limit` begins at most so many items.

    `on_sent` is told the loop's time of every paid call, the moment its headers go out.
    """

    new: bool = False
    limit: int | None = None
    accept_changes: bool = False
    observer: Observer | None = None
    on_sent: Callable[[Kind, float], None] | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


def load_spec(path: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> JobSpec:
    """Load a job file only to look at it: no credentials are needed."""
    found = _environment(path, os.environ if environment is None else environment)
    secrets = [found.get(f"PATSNAP_{key}", "") for key in ("CLIENT_ID", "CLIENT_SECRET", "API_KEY")]
    return load_job(path, overrides=overrides, secrets=secrets, proxy=found.get("PATSNAP_PROXY"))


def load(path: Path, *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> Job:
    """Load a job file and the credentials it needs. Raises SpecError; with the sandbox no credential is needed."""
    spec = load_spec(path, overrides=overrides, environment=environment)
    if spec.sandbox:
        return Job(spec, SANDBOX_CREDENTIALS, tuple(spec.warnings()))
    credentials, remark = credentials_from(_environment(path, os.environ if environment is None else environment))
    hide(secret for secret in credentials.secrets if secret not in SANDBOX_CREDENTIALS.secrets)  # these are no secret
    return Job(spec, credentials, tuple(text for text in (remark, *spec.warnings()) if text))


def run_job(path: str | Path, *, overrides: Sequence[str] = (), options: RunOptions | None = None) -> RunSummary:
    """Run the job file at `path`, or go on with it; return what it came to.

    Raises SpecError, RunLocked or JournalError. Everything else that can stop a run is in the summary's `exit_code` and
    `exit_reason`. After a crash of any kind the same call goes on where the run stood, and pays nothing twice.
    """
    options = options or RunOptions()
    return run_loaded(load(Path(path), overrides=overrides, environment=options.environment), options)


def run_loaded(job: Job, options: RunOptions) -> RunSummary:
    """Run a loaded job; see `run_job`."""
    check_sources(job.spec)
    folder = run_folder(job.spec, now=datetime.now().astimezone(), new=options.new)
    umask = os.umask(0o077)
    try:
        with hold(folder), run_log(folder / LOG), _address(job.spec, folder) as url:
            return anyio.run(functools.partial(_run, job, options, folder, url))
    except BaseExceptionGroup as group:
        raise _first(group) from None
    finally:
        os.umask(umask)


async def _run(job: Job, options: RunOptions, folder: Path, base_url: str) -> RunSummary:
    spec = job.spec
    started_at = time.time()
    as_run, digest = spec_as_run(spec)
    records = RecordWriter(spec, digest)
    writer = Writer(functools.partial(open_disk, folder, now=started_at))
    recovered = (await writer.start()).recovered
    journal = Journal(writer, budgets={kind: spec.api.budget_of(kind) for kind in PAID})
    await journal.remember({"started_at": iso(started_at)})
    _log.info("run.started job=%s recovered=%s", spec.name, recovered)
    try:
        intake = await _prepare(spec, journal, options)
        write_whole(folder / SPEC, as_run)
        limiters = {kind: Limiter(spec.api.qps_of(kind)) for kind in PAID}
        async with open_transport(base_url, proxy=spec.api.proxy, ca_file=spec.api.ca_file) as transport:
            client = Client(transport, job.credentials, limiters, on_sent=options.on_sent)
            read = functools.partial(read_picture, spec.root_path)
            ports = Ports(spec, search_params(spec), client, journal, read)
            engine = Engine(ports, intake, records, tally=await journal.begin())
            await _drive(engine, Watch(spec, engine, client, journal), options, drain_s=spec.api.drain_s)
        ending = Ending(spec, records, engine, client, journal, folder, started_at)
        summary = await summarise(ending, generation=intake.generation, limited=options.limit is not None)
        await write_open(ending)
        _log.info("run.ended exit_code=%s %s", summary.exit_code, summary.exit_reason)
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()
    page = functools.partial(write_report_page, spec, folder, summary, hit_picture=_hit_picture(spec, folder))
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
    """Decide what is new since the last run of this directory, and refuse a silent change of what was asked.

    A job whose sources are as they were is not read again. When they changed, all of them are read before anything is
    sent, because a known id may show another picture now.
    """
    known = await journal.recall(_OFFERED)
    if known["vendor"] not in (None, spec.host):
        raise SpecError(
            f"this run directory belongs to {known['vendor']}, not to {spec.host}: what one has found and paid says "
            "nothing of the other; nothing was sent. Start a new run (`run --new`)"
        )
    asked = json.dumps(spec.asked(), sort_keys=True)
    if known["asked"] not in (None, asked) and not options.accept_changes:
        raise SpecError(*_differences(json.loads(known["asked"] or "{}"), spec.asked()))
    await journal.remember({"vendor": spec.host})
    print_ = await anyio.to_thread.run_sync(fingerprint, spec)
    generation = int(known["generation"] or 0)
    intake = functools.partial(Intake, items(spec), journal, fingerprint=print_, accept_changes=options.accept_changes)
    await journal.requeue_failed()
    if known["admitted"] == print_:
        await journal.remember({"asked": asked})
        same = intake(generation=generation)
        same.skip()
        return same
    changed = generation > 0 and known["admitting"] != print_
    # While changed sources are read nothing is noted of them: killed meanwhile, the next run must read them all first.
    begun = {"asked": asked, "admitted": "", "admitting": "" if changed else print_, "generation": str(generation + 1)}
    await journal.remember(begun)
    fresh = intake(generation=generation + 1)
    if changed:
        try:
            await fresh.run()
        except SpecError:
            await journal.remember({"asked": known["asked"] or asked})
            raise
        fresh.tally.clear()  # they are in the journal's own counts
    return fresh


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    lines = ["this run directory was asked something else before; nothing was sent:"]
    for part in now:
        keys = sorted({*before.get(part, {}), *now[part]})
        for key in keys:
            old, new = before.get(part, {}).get(key), now[part].get(key)
            if old != new:
                lines.append(f"{part}.{key}: was {json.dumps(old)}, is now {json.dumps(new)}")
    return [*lines, "start a new run (`run --new`), or accept it for items not yet paid (`run --accept-changes`)"]


def _environment(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, completed by an `.env` beside the job file; the environment wins."""
    from dotenv import dotenv_values

    beside = dotenv_values(path.parent / ".env", interpolate=False) if (path.parent / ".env").is_file() else {}
    return {key: value for key, value in beside.items() if value is not None} | dict(environment)


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


def _hit_picture(spec: JobSpec, folder: Path) -> Callable[[str], bytes | None]:
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
