"""The locks of one execution: on the run directory, and on a part of the account's calls per second.

Questions for reports are a lane of their own in the account: a run that pays for tasks, and the collecting of its
reports beside it, share no call. A run that waits for its reports takes both lanes, so that two never ask at once.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from pipeline.calls.account import Part, Share, account_of, use_account
from pipeline.errors import JournalError, RunLocked
from pipeline.journal.begun import refuse_lost_journal
from pipeline.run.client import refuse_small_share
from pipeline.run.directory import lock, run_folder
from pipeline.run.leased import leased, place_of_leases
from pipeline.run.load import Job
from pipeline.run.options import RunOptions
from pipeline.system.fault import Fault, typed
from pipeline.system.folders import state_folder

_OF_REPORTS = ".reports"  # behind the name of an account: the lane of its questions


@contextmanager
def locked(job: Job, options: RunOptions) -> Iterator[tuple[Path, Share]]:
    """Lock the run directory, then our part of the account, so that a second run of one job names the directory.

    Create a new run directory only after the account is locked; otherwise an empty one would be resumed next time.
    """
    with ExitStack() as locks:
        if options.given is not None:
            locks.enter_context(lock(options.given.folder))
            yield options.given.folder, options.given.share
            return
        _lock_run(options, locks)
        folder = _folder(job, options)
        there = folder.is_dir()
        if there:
            locks.enter_context(lock(folder))
        share = _share(job, options, locks)
        if not there:
            folder = _folder(job, options)
            refuse_lost_journal(folder)  # before it is made: it may have been moved away, and is to be put back
            locks.enter_context(lock(folder))
        yield folder, share


def _folder(job: Job, options: RunOptions) -> Path:
    if options.again is not None:
        return options.again.folder
    return run_folder(job.spec, now=datetime.now().astimezone(), new=options.new)


def _lock_run(options: RunOptions, locks: ExitStack) -> None:
    """Lock the run whose reports are collected, where something keeps both from going on at once."""
    again = options.again
    if again is None or again.of is None or not again.alone:
        return
    try:
        locks.enter_context(lock(again.of))
    except RunLocked as error:
        what = f"a run goes on here, and {again.alone}; wait for its end, then try again"
        raise RunLocked(Fault(what, where=str(again.of), fix=typed("status", again.of))) from error


def _share(job: Job, options: RunOptions, locks: ExitStack) -> Share:
    """Lock our share of the account's calls per second; every sandbox is an account of its own."""
    refuse_small_share(job.spec, options.share)  # before another process is waited for
    if job.spec.sandbox:
        return Part(options.share)
    leases = place_of_leases(job.spec, options.share)
    part = locks.enter_context(on_this_machine(job, options, leases))
    return locks.enter_context(leased(job, leases, part, say=options.say)) if leases else part


@contextmanager
def on_this_machine(job: Job, options: RunOptions, leases: str) -> Iterator[Part]:
    """Hold our part of the account among the processes of this machine; every sandbox is an account of its own.

    Those that lease the account at one place share it there.
    """
    if job.spec.sandbox:
        yield Part(options.share)
        return
    with ExitStack() as locks:
        account = account_of(job.spec.api.base_url, job.credentials)
        parts = [_part(job, options, lane, leases, locks) for lane in _lanes(job, options, account)]
        yield Part(options.share, max(part.since for part in parts), any(part.used_before for part in parts))


def _lanes(job: Job, options: RunOptions, account: str) -> list[str]:
    """Name the lanes of the account that an execution uses."""
    pays = options.again is None or options.again.of is None or bool(options.again.ords)
    return [account] * pays + [account + _OF_REPORTS] * job.spec.awaits_reports


def _part(job: Job, options: RunOptions, lane: str, leases: str, locks: ExitStack) -> Part:
    """Lock our part of one lane, among the processes of this machine."""
    if (state := state_folder()) is None:
        what = (
            "no home folder is known: HOME is not set, and the system has no entry for this user; set HOME or "
            "XDG_STATE_HOME to a folder that lasts, then run again; nothing was sent"
        )
        raise JournalError(Fault(what, fix='export XDG_STATE_HOME="$PWD/state"'))
    name, share = job.spec.name, options.share
    using = use_account(
        state / "accounts",
        lane,
        job=name,
        share=share,
        leases=leases,
        waits=lambda: options.busy == "wait" and not (options.stop is not None and options.stop.is_set),
        say=options.say,
    )
    return locks.enter_context(using)
