"""The executor of this process: it locks what a run needs, opens its journal and writes its results.

Between the two, `execution.py` works on the items. At the end everything is closed in the opposite order.
"""

import functools
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from pipeline.calls.account import account_of
from pipeline.errors import SpecError
from pipeline.job.load import write_as_run
from pipeline.journal.places import RESULTS, SUMMARY
from pipeline.journal.storage import open_disk, reading_only
from pipeline.journal.writer import Writer
from pipeline.results.fail_on import judged
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary, to_json
from pipeline.run.begin import begin
from pipeline.run.cluster_runs import refuse_alone
from pipeline.run.collecting import follow
from pipeline.run.directory import LOG, SPEC, known_runs
from pipeline.run.donors import note_account
from pipeline.run.embedded_sandbox import address
from pipeline.run.end import Ending, beside_a_journal, end
from pipeline.run.execution import Execution, Place
from pipeline.run.interface import Executor
from pipeline.run.leased import LeasedShare
from pipeline.run.listed import keep_list, list_at_hand
from pipeline.run.load import Job, load
from pipeline.run.locks import locked
from pipeline.run.notify import notifying
from pipeline.run.options import RunOptions, recorder
from pipeline.run.outputs import write_outputs
from pipeline.run.signals import Signals
from pipeline.run.similar import say_before
from pipeline.run.tariff import open_budgets
from pipeline.sources.check import check_sources
from pipeline.sources.foreign import refuse_foreign
from pipeline.system.clock import Clocks, iso
from pipeline.system.event_log import run_log
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole
from pipeline.system.interpreter import EventLoop, tuned
from pipeline.system.wording import count

_log = logging.getLogger(__name__)


def run_job(path: str | Path, *, overrides: Sequence[str] = (), options: RunOptions | None = None) -> RunSummary:
    """Run the job file at `path`, or go on with it; return its summary.

    `overrides` change keys of the job file (`api.qps=10`). After a crash of any kind the same call goes on where the
    run stood, and pays nothing twice. Raises SpecError, RunLocked or JournalError, and Interrupted where a signal came
    before the first item was begun; everything else that can end a run is in the summary's `exit_code` and
    `exit_reason`.

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
        """Run a loaded job; see `interface.Executor`."""
        with list_at_hand(
            job.spec,
            new=options.new,
            folder=None if options.again is None else options.again.home,
            reads=options.again is None,
        ) as spec:
            job, options = replace(job, spec=spec), options.unfailing()
            with notifying(job.spec, options.environment) as notice:
                notice.append(summary := _judged(self._run(job, options), options))
            return summary

    def _run(self, job: Job, options: RunOptions) -> RunSummary:
        if options.again is None:
            refuse_alone(job.spec, job.file)
            check_sources(job.spec)
            if foreign := refuse_foreign(job.spec, job.file):
                raise SpecError(foreign)
        if options.wait_quota and job.spec.api.quota_reset is None:
            what = '--wait-quota needs the time at which the account\'s day begins, for example "00:00+08:00"'
            raise SpecError(Fault(what, where="api.quota_resets_at", fix="--set api.quota_resets_at=00:00+08:00"))
        umask = os.umask(0o077)
        try:
            with (
                locked(job, options) as (folder, share),
                run_log(folder / LOG, say=options.say),
                address(job.spec, options.home_of(folder), options.preparing) as url,
                tuned(),
                beside_a_journal(folder),
            ):
                say_before(folder, job.spec, options)
                job = replace(job, spec=keep_list(job.spec, options.home_of(folder)))
                signals = Signals(drain_s=job.spec.api.drain_s, stop=options.stop)
                place = Place(folder, url, share, signals)
                return anyio.run(_run, job, options, place, backend_options={"loop_factory": EventLoop})
        finally:
            os.umask(umask)


def _judged(summary: RunSummary, options: RunOptions) -> RunSummary:
    """Return the summary with the exit code that `fail_on` asks for; the file says the same."""
    found = judged(summary, options.fail_on)
    if found is not summary:
        write_whole(Path(found.results).parent / SUMMARY, to_json(found))
    return found


async def _run(job: Job, options: RunOptions, place: Place) -> RunSummary:
    """Run to the end while signals are listened for. Raises Interrupted when one came before anything was begun."""
    return await place.signals.during(functools.partial(_run_heard, job, options, place))


async def _run_heard(job: Job, options: RunOptions, place: Place) -> RunSummary:
    """Open the journal, work on the items, and write the results; the journal is closed whatever happens."""
    spec, folder, clocks = job.spec, place.folder, Clocks()
    started_at, started = clocks.wall(), clocks.steady()
    as_run, digest = write_as_run(spec)
    records = RecordLines(spec, digest)
    writer = Writer(functools.partial(open_disk, folder, now=started_at, places=known_runs()))
    shared = place.share if isinstance(place.share, LeasedShare) else None
    caps = None if shared is None else shared.caps(spec, options.home_of(folder).name)
    journal = open_budgets(writer, spec, folder, caps)  # may fail: only from the next line on is there a thread to end
    journal.steps.on_settled = recorder(options.observer)
    with anyio.CancelScope(shield=True):  # a thread that has begun to open the files must be there to close them
        disk = await writer.start()
    try:
        if disk.identity.remark:
            options.say(f"note: {disk.identity.remark}")
        _log.info("run.started job=%s recovered=%s", spec.name, disk.recovered)
        following = await follow(spec, journal, options)
        intake = await begin(spec, journal, options)
        await journal.remember({"started_at": iso(started_at)})  # a run that is refused has not started
        await note_account(journal, account_of(spec.api.base_url, job.credentials))
        write_whole(folder / SPEC, as_run)
        execution = Execution(job, options, place, journal, intake, records, following)
        engine, stats, pictures = await execution.work()
        ending = Ending(folder, records, engine, journal, stats, started_at, started, pictures)
        summary = await end(ending, limited=options.limit is not None)
        if removed := summary.items["removed"]:
            items = count(removed, "paid item is", "paid items are")
            options.say(
                f"note: {items} not listed any more, and stay in {RESULTS} and on the page; "
                "a job with another list needs a name of its own"
            )
        _log.info("run.ended exit_code=%s %s", summary.exit_code, summary.exit_reason)
    finally:
        with anyio.CancelScope(shield=True):
            await journal.close()
    return await anyio.to_thread.run_sync(_write_outputs, folder, records, summary, options)


def _write_outputs(folder: Path, records: RecordLines, summary: RunSummary, options: RunOptions) -> RunSummary:
    """Write the files for people; the journal is closed, so that its rows are written by nobody else."""
    with reading_only(folder, own=True) as db:
        return write_outputs(folder, db, records, summary, since=options.since, say=options.say)
