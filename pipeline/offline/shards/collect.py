"""The reports of a cluster run's tasks, read shard by shard by a command that a person types."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.directories import Directories
from pipeline.cluster.sending import sending
from pipeline.errors import RunLocked
from pipeline.journal.collected import LATER_SINCE
from pipeline.journal.places import collection_of
from pipeline.journal.storage import reading_only
from pipeline.offline.collect import collect_reports, collecting_job
from pipeline.offline.opening import find_run
from pipeline.offline.shards.retry import of_each_account, summed
from pipeline.results.summary import RunSummary
from pipeline.run.load import Job, load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Again, RunOptions


class Awaiting(NamedTuple):
    """A shard whose tasks have reports to be read; `later` where its run leaves them to `collect`."""

    shard: int
    run: Path
    later: bool


def awaiting(found: Directories) -> list[Awaiting]:
    """List the shards whose job wants reports."""
    return [one for one in found.each(_awaiting) if one is not None]


def _awaiting(run: Path) -> Awaiting | None:
    spec = find_run(run).spec
    with reading_only(run) as db:
        later = not spec.awaits_reports and db.meta(LATER_SINCE) is not None
    return Awaiting(int(run.parent.name), run, later) if later or spec.awaits_reports else None


def collect_in_shards(
    found: Directories, shards: Sequence[Awaiting], options: RunOptions, overrides: Sequence[str]
) -> RunSummary | None:
    """Read the reports, one shard after the other; return the summary of these, None where workers have all of them.

    Those of an account are read together, within it. A shard that a worker has is passed over and told.
    """
    summaries = []
    for first, mine in of_each_account(shards):
        with sending(found.folder, asking_job(first, overrides), options) as sender:
            for one in mine:
                try:
                    with sender.owned(one.shard) as (folder, owned):
                        summaries.append(_collect(folder, owned, overrides, later=one.later))
                except RunLocked as error:
                    options.say(f"not collected now: {error}")
    return summed(found, summaries) if summaries else None


def asking_job(shard: Awaiting, overrides: Sequence[str]) -> Job:
    """Load the job that asks for the reports of a shard: its questions have a pace of their own. Raises SpecError."""
    return (collecting_job if shard.later else load_again)(shard.run, overrides=overrides)


def _collect(folder: Path, options: RunOptions, overrides: Sequence[str], *, later: bool) -> RunSummary:
    if not later:
        job = load_again(folder, overrides=overrides)
        return LocalExecutor().run(job, replace(options, again=Again(folder.resolve(), (), risked=False)))
    assert options.given is not None
    given = replace(options.given, folder=collection_of(folder.resolve()))
    return collect_reports(folder, collecting_job(folder, overrides), replace(options, given=given))
