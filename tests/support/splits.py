"""The split of a job as a run's folder notes it, for tests that need its shards and no list."""

from pipeline.cluster.split import Split
from pipeline.leases.lease import LEASE_S
from pipeline.version import __version__


def split_of(*counts: int, lease_s: float = LEASE_S) -> Split:
    """A split into shards of so many items each."""
    return Split(
        id="5eed",
        program=__version__,
        job="job",
        run="job",
        fingerprint="",
        same_picture="source",
        shards=len(counts),
        items=sum(counts),
        clashes=0,
        counts=list(counts),
        lease_s=lease_s,
    )
