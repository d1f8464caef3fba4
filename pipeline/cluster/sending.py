"""The sending of calls by a command that a person types, for shards of a run: within the leased account, as a worker.

Calls go in the name of the incarnation that claimed the shard. When that one is lost, nothing more is sent, and the
answers on their way are recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.cluster.joining import place_of_leases
from pipeline.cluster.owning import Owner
from pipeline.cluster.sharing import AccountOfOwner, sharing
from pipeline.cluster.split import read_split
from pipeline.run.cluster_runs import named_place
from pipeline.run.leased import LeasedShare
from pipeline.run.load import Job
from pipeline.run.options import Given, RunOptions
from pipeline.run.stop import Stop


@dataclass(frozen=True, slots=True)
class Sender:
    """The account and the ownership of shards while a command lasts."""

    owner: Owner
    options: RunOptions
    _share: LeasedShare

    @contextmanager
    def owned(self, shard: int) -> Iterator[tuple[Path, RunOptions]]:
        """Own a shard until the block ends; yield its run directory, and the options of a run in it."""
        account, stop = self._share.account, self.options.stop or Stop()
        assert isinstance(account, AccountOfOwner)
        lease = account.lease
        with self.owner.owned(shard) as folder:
            account.owner = lease.incarnation
            lease.on_lost = lambda _: stop.silence()
            yield folder, replace(self.options, given=Given(folder, self._share), stop=stop)


@contextmanager
def sending(run: Path, job: Job, options: RunOptions) -> Iterator[Sender]:
    """Take part in the account of a run's job until the block ends. Raises SpecError, JournalError or RunLocked."""
    split, place = read_split(run), place_of_leases(run, named_place(job.spec))
    with sharing(job, place, split, options) as share:
        owner = Owner(run, share.account.lease, say=options.say, account=share.digest)
        yield Sender(owner, options, share)
