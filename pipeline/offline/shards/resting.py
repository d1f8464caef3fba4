"""The rest of a run of many machines, for a command that must not see it change: no shard of it has a worker."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.cluster.directories import Directories, directories
from pipeline.cluster.owning import owning
from pipeline.errors import PipelineError
from pipeline.offline.opening import find_run


@contextmanager
def shards_at_rest(run: Path, *, say: Callable[[str], None]) -> Iterator[None]:
    """Have no shard owned while the block lasts; nothing is changed.

    Raises RunLocked where a worker has one, or had one in the end, JournalError where the leases are not here.
    """
    with owning(run, leases_of(directories(run)), say=say) as owner, owner.at_rest():
        yield


def leases_of(found: Directories) -> str | None:
    """Return the place of the leases that the job of a run names; None where it names none, or cannot be read."""
    for run in found.runs:
        with suppress(PipelineError, OSError):
            return find_run(run).spec.api.leases
    return None
