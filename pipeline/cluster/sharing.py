"""The share of an account that whoever works on shards of a run has: leased, in the name of one incarnation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.cluster.claims import AccountLabel
from pipeline.cluster.split import Split
from pipeline.leases.account import SharedAccount
from pipeline.run.leased import LeasedShare, leased
from pipeline.run.load import Job
from pipeline.run.locks import on_this_machine
from pipeline.run.options import RunOptions

_OF_ALL = "accounts"  # names the budgets of a job whose accounts spend them together, where others name their account


class AccountOfOwner(SharedAccount):
    """The account as it is open to the owner of a shard: to one incarnation, and to none that comes after it."""

    owner = ""

    def pace(self, kind: str) -> Callable[[], float]:
        """Return what a limiter asks at every permit; 0 once the incarnation that claimed the shard is lost."""
        inner = super().pace(kind)
        return lambda: inner() if self.owner == self.lease.incarnation else 0.0


def label_of(job: Job) -> AccountLabel | None:
    """Return the account that shards belong to from the first claim of this job on; None for the one account."""
    name = job.spec.api.account
    return AccountLabel(job.account, name) if job.spec.accounts and name is not None else None


@contextmanager
def sharing(job: Job, leases: str, split: Split, options: RunOptions) -> Iterator[LeasedShare]:
    """Take part in a job's account, at the place of the run's leases, until the block ends. Raises SpecError."""
    with (
        on_this_machine(job, options, leases) as part,
        leased(
            job,
            leases,
            part,
            say=options.say,
            lease_s=split.lease_s,
            budgets=split.id,
            common_budgets=_OF_ALL if split.accounts is True else "",
            account=AccountOfOwner,
        ) as share,
    ):
        yield share
