"""The run directories that a folder stands for, in order: itself, or those of the shards of a cluster run."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from pipeline.cluster.layout import ClusterRun, Shard, cluster_run
from pipeline.errors import JournalError, PipelineError
from pipeline.system.fault import Fault
from pipeline.system.wording import count, listed

T = TypeVar("T")


class Directories(NamedTuple):
    """The run directories of a folder.

    cluster   how its shards lie; None where the folder is a run directory itself
    not_read  shards that are not there or cannot be read, a line each; whoever looks at them adds to it
    """

    folder: Path
    cluster: ClusterRun | None
    not_read: dict[str, str]

    @property
    def runs(self) -> list[Path]:
        """The run directories that are there, in order."""
        if self.cluster is None:
            return [self.folder]
        return [shard.run for shard in self.cluster.shards if shard.run is not None]

    @property
    def not_begun(self) -> list[Shard]:
        """The shards that no worker has begun."""
        shards = () if self.cluster is None else self.cluster.shards
        return [shard for shard in shards if shard.run is None and shard.folder.is_dir()]

    @property
    def listed(self) -> dict[Path, int]:
        """The number of items that were split into the shard of each run directory; 0 where nobody knows it."""
        shards = () if self.cluster is None else self.cluster.shards
        return {shard.run: max(0, shard.items) for shard in shards if shard.run is not None}

    def each(self, look: Callable[[Path], T]) -> Iterator[T]:
        """Look at one run directory after the other; a shard that cannot be read is noted, and passed over.

        Raises the error of a run directory that stands alone, JournalError where there is none to look at.
        """
        found = 0
        for run in self.runs:
            try:
                one = look(run)
            except (PipelineError, OSError) as error:
                if self.cluster is None:
                    raise
                name = run.parent.name
                self.not_read[name] = f"shard {name} cannot be read, and is not shown: {in_a_line(error)}"
                continue
            found += 1
            yield one
        if not found:
            what = "no shard of this run was begun, or none can be read, so there is nothing to look at"
            raise JournalError(Fault(what, where=str(self.folder)), *self.not_read.values())


def directories(folder: Path) -> Directories:
    """Find the run directories that a folder stands for."""
    cluster = cluster_run(folder)
    shards = () if cluster is None else cluster.shards
    missing = {
        shard.name: f"shard {shard.name} is missing, and is not shown: there is no {shard.folder}"
        for shard in shards
        if shard.run is None and not shard.folder.is_dir()
    }
    return Directories(folder, cluster, missing)


def in_a_line(error: BaseException) -> str:
    """Return what is wrong, and where, in one line."""
    return " ".join(str(error).split())[:400]


def about_not_begun(shards: list[Shard]) -> str:
    """Say which shards nobody has begun; "" where all are begun."""
    if not shards:
        return ""
    are = count(len(shards), "shard is", "shards are")
    return f"{are} not begun ({listed([shard.name for shard in shards])}), with {count(items_in(shards), 'item')}"


def not_taken_in(items: Mapping[str, int], listed: int) -> int:
    """Count the items that a shard lists and its run directory has not taken in: its worker ended before that."""
    return max(0, listed - items["all"] - items.get("removed", 0))


def items_in(shards: list[Shard]) -> int:
    """Count the items that were split into shards."""
    return sum(shard.items for shard in shards if shard.items > 0)
