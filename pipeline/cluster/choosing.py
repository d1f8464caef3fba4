"""The choice of shards: which of a run's shards this worker may claim, and for which another account is needed."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.cluster.accounts import Accounts
from pipeline.cluster.claims import Claim, Claims, GivenBack, Standing, free, owners
from pipeline.cluster.epochs import folder_of
from pipeline.cluster.late_lines import there_are
from pipeline.cluster.layout import shard_folder
from pipeline.leases.lease import Lease
from pipeline.leases.store import StoreUnknown


class Choice:
    """The shards of a run as one worker may take them up.

    left  shards whose run ended here with items that it did not begin; others may take them up
    """

    def __init__(self, run: Path, accounts: Accounts, *, aside: bool) -> None:
        self.left: set[int] = set()
        self._run = run
        self._accounts = accounts
        self._states = [GivenBack.OPEN, GivenBack.ASIDE] if aside else [GivenBack.OPEN]

    def unfinished(self, shards: Sequence[Standing]) -> list[Standing]:
        """Return the shards at which there is something to do."""
        return [one for one in shards if not self.is_over(one) or self._has_late_lines(one)]

    def claim(self, shards: Sequence[Standing], claims: Claims, lease: Lease) -> Claim | None:
        """Claim the first shard that is free; one that is done is, too, where late lines may end its doubts."""
        ours = [*filter(self._accounts.fits, shards)]
        late = [one for one in ours if self._has_late_lines(one) and one.shard not in self.left]
        for shard in [*self._free(ours, lease), *late]:
            with suppress(StoreUnknown):
                if (claim := claims.claim(shard, lease.incarnation)) is not None:
                    return claim
        return None

    def elsewhere(self, shards: Sequence[Standing], lease: Lease, *, idle_s: float) -> list[Standing]:
        """Return the shards for which this worker should change its account; none where it should stay.

        Without a free shard for longer than a takeover lasts it changes for any that is not finished: its owner may be
        dead, which only those who use that account see.
        """
        if not self._accounts.several:
            return []
        others = [one for one in shards if not self._accounts.fits(one) and not self.is_over(one)]
        mine, free_ones = self._free([*filter(self._accounts.fits, shards)], lease), self._free(others, lease)
        waited = not mine and idle_s > lease.takeover_s + 2 * lease.renew_s
        return self._accounts.needed_by(mine, free_ones) or (others if waited else [])

    def is_over(self, shard: Standing) -> bool:
        """Return whether this worker will not work on a shard, whatever its owner does."""
        done = not shard.worker and (shard.state is not GivenBack.OPEN or shard.shard in self.left)
        return done or not self._accounts.concerns(shard)

    def _free(self, shards: Sequence[Standing], lease: Lease) -> list[Standing]:
        found = free(shards, lease.dead(owners(shards)), also=self._states)
        return [one for one in found if one.shard not in self.left]

    def _has_late_lines(self, shard: Standing) -> bool:
        doubtful = shard.state is GivenBack.DONE and shard.in_doubt and not shard.worker
        return bool(doubtful and there_are(folder_of(shard_folder(self._run, shard.shard), shard.base)))
