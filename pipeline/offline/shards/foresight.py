"""The next steps of a job of many machines, for whoever asks what a run would do: it is split, then worked on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.cluster.directories import directories
from pipeline.cluster.layout import cluster_run
from pipeline.errors import JournalError
from pipeline.journal.copying import finished_in
from pipeline.journal.places import SPLIT
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import reading_only
from pipeline.system.fault import typed
from pipeline.system.wording import count


def next_steps(folder: Path, words: Sequence[object]) -> str:
    """Say how a job of many machines is begun, or gone on with, in the run directory that it has or would have.

    `words` name the job in a command: its file, and what changes it.
    """
    work = typed("work", *words)
    if (folder / SPLIT).is_file():
        return f"it is split: `{work}` on each machine goes on with it"
    return (
        f"it is not split yet: `{typed('split', *words)}` makes its shards, once, then `{work}` on each "
        f"machine works on them; `{typed('cluster', 'run', *words, '--local', 2)}` does both on this one"
    )


def about_plan(folder: Path, words: Sequence[object]) -> str:
    """Say what the figures of a plan leave out, which looks at the job alone, and how the job is gone on with."""
    steps = f"this job is for many machines, and {next_steps(folder, words)}"
    if cluster_run(folder) is None:
        return steps
    done = sum(_finished(folder))
    so_far = f"{count(done, 'item has', 'items have')} come to an end in its shards, and the figures here count all"
    return f"{steps}; {so_far}: `{typed('status', folder)}` says what is left"


def _finished(folder: Path) -> Iterator[int]:
    try:
        yield from directories(folder).each(_finished_in)
    except JournalError:  # no shard was begun
        return


def _finished_in(run: Path) -> int:
    with reading_only(run) as db:
        return finished_in(counts(db))
