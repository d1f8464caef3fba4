"""The command `pipeline collect`."""

from dataclasses import replace
from pathlib import Path

from pipeline.cli.next_command import next_command
from pipeline.cli.screen import Output, Remarks, observing, show_summary, shown
from pipeline.cluster.directories import Directories, directories
from pipeline.cluster.layout import refuse_shard
from pipeline.errors import SpecError
from pipeline.journal.collected import LATER_SINCE
from pipeline.journal.storage import reading_only
from pipeline.offline.collect import collect_reports, collecting_job
from pipeline.offline.opening import find_run
from pipeline.offline.shards.collect import asking_job, awaiting, collect_in_shards
from pipeline.results.summary import RunSummary
from pipeline.run.load import Job, folder_of, load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Again, RunOptions
from pipeline.system.fault import Fault

_NO_REPORTS = "this run waits for no reports: write `task: {report: wait}` (or later) in the job file and run it"


def collect_command(path: Path, overrides: list[str], options: RunOptions, output: Output) -> int:
    """Read the reports of a run's tasks, and begin no item; return the exit code."""
    folder = folder_of(path)
    refuse_shard(folder, "collect")
    found = directories(folder)
    if found.cluster is not None:
        return _in_shards(found, overrides, options, output)
    spec = find_run(folder).spec
    with reading_only(folder) as db:
        later = not spec.awaits_reports and db.meta(LATER_SINCE) is not None
    if not spec.awaits_reports and not later:
        raise SpecError(Fault(_NO_REPORTS, where=f"{folder}: task.report: {spec.task.report}"))
    job = collecting_job(folder, overrides) if later else load_again(folder, overrides=overrides)
    with Remarks(output) as remarks:
        with observing(output) as display:
            seen = shown(options, display, remarks)
            summary = collect_reports(folder, job, seen) if later else _go_on(folder, job, seen)
        if summary.exit_code:
            remarks.release()
    following = next_command(summary, job.spec, "collect", path, overrides=overrides)
    return show_summary(summary, output, following=following)


def _in_shards(found: Directories, overrides: list[str], options: RunOptions, output: Output) -> int:
    """Read the reports of a cluster run, one shard after the other, within the leased account."""
    shards = awaiting(found)
    if not shards:
        raise SpecError(Fault(_NO_REPORTS, where=str(found.folder)))
    job = asking_job(shards[0], overrides)
    with Remarks(output) as remarks:
        with observing(output) as display:
            summary = collect_in_shards(found, shards, shown(options, display, remarks), overrides)
        if summary is None or summary.exit_code:
            remarks.release()
    if summary is None:
        return 1
    following = next_command(summary, job.spec, "collect", found.folder, overrides=overrides)
    return show_summary(summary, output, following=following)


def _go_on(folder: Path, job: Job, options: RunOptions) -> RunSummary:
    """Let the run that waits for its reports go on with them alone."""
    return LocalExecutor().run(job, replace(options, again=Again(folder.resolve(), (), risked=False)))
