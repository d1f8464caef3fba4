"""The ownership of all shards of a run at once, by a command that removes the run or a part of it.

Whoever owns every shard knows that nobody writes in the run, as long as its lease lasts. A worker that comes meanwhile
finds no shard to claim; one that took us for dead has put a later entry, which `is_ours` sees.
"""

from collections.abc import Iterable

from pipeline.cluster.claims import ROOM as SHARDS
from pipeline.cluster.claims import Claim, Claims, Standing
from pipeline.leases.lease import Lease
from pipeline.leases.members import ROOM as MEMBERS
from pipeline.leases.store import Store, drop_before, name_of

# Where a store has series of one run of many machines: its shards and the commands that owned them; its budgets, the
# choices of accounts and what stopped it. The id of the split, which no other run ever has, is a part of each name.
_OF_THE_RUN, _OF_ALL_RUNS = (SHARDS, MEMBERS), ("b", "a", "stop")


class WholeRun:
    """All shards with items of one run, as they are claimed one after the other.

    is_gone  set once the run is not there any more: then nothing is given back
    """

    def __init__(self, claims: Claims, lease: Lease) -> None:
        self._claims = claims
        self._lease = lease
        self._incarnation = lease.incarnation
        self._taken: list[tuple[Claim, Standing]] = []
        self.is_gone = False

    @property
    def before(self) -> list[Standing]:
        """Return how the shards stood that are ours."""
        return [shard for _, shard in self._taken]

    def claim(self, shard: Standing) -> bool:
        """Claim a shard as it was seen; return False where it is another's since. Raises StoreUnknown."""
        claim = self._claims.claim(shard, self._incarnation)
        if claim is not None:
            self._taken.append((claim, shard))
        return claim is not None

    def is_ours(self) -> bool:
        """Return whether nobody has taken us for dead and claimed a shard. Raises StoreUnknown."""
        newest = {one.shard: one.number for one in self._claims.look()}
        kept = all(newest.get(claim.shard) == claim.epoch for claim, _ in self._taken)
        return kept and self._lease.incarnation == self._incarnation and self._lease.allowed()

    def put_back(self) -> None:
        """Give the shards back as they stood. Raises StoreUnknown."""
        while self._taken and not self.is_gone:
            self._claims.put_back(*self._taken[-1])
            self._taken.pop()


def forget(store: Store, split_id: str) -> None:
    """Drop every entry of the series that belong to a run. Raises StoreUnknown."""
    for series, number in _series_of(store, name_of(split_id)):
        drop_before(store, series, number)
        store.drop(series, number)


def _series_of(store: Store, run: str) -> Iterable[tuple[str, int]]:
    for room in (*(f"{room}/{run}" for room in _OF_THE_RUN), *_OF_ALL_RUNS):
        for series, entry in store.newest(room).items():
            if run in series.split("/"):
                yield series, entry.number
