"""An account that is leased with other machines (`api.leases`): our share of it changes while a run goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.calls.account import Part
from pipeline.calls.limiter import Limiter
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.leases.account import SharedAccount
from pipeline.leases.lease import Lease
from pipeline.leases.opening import is_bucket, open_store
from pipeline.models import Kind
from pipeline.run.load import Job
from pipeline.system.clock import steady
from pipeline.system.fault import Fault

LEASE_S = 10.0  # a machine that is cut off from the place sends nothing after so long


class LeasedShare:
    """Our share of a leased account (`calls.account.Share`), kept over the runs of one process.

    `part` says what processes of this machine may have sent that did not lease the account.
    """

    def __init__(self, account: SharedAccount, part: Part) -> None:
        self.account = account
        self._part = part
        self._limiters: dict[Kind, Limiter] = {}

    def limiter(self, kind: Kind, qps: float, say: Callable[[str], None]) -> Limiter:
        """Return the limiter of our calls of one kind; it goes on where that of the run before stood."""
        limiter = Limiter(qps, say=say, leased=self.account.pace(kind), before=self._limiters.get(kind))
        limiter.pause(self._part.quiet_s(qps, now=steady()))
        self._limiters[kind] = limiter
        return limiter


def place_of_leases(spec: JobSpec, share: float) -> str:
    """Return where the account is leased, as one spelling, or "". Raises SpecError for a share beside it."""
    leases = spec.api.leases
    if leases is None:
        return ""
    if share != 1.0:
        what = "an account that is leased is shared by itself, and takes no share beside it"
        raise SpecError(Fault(what, where=f"--share {share:g}", fix="api: {leases: null}"))
    return leases if is_bucket(leases) else str(spec.place(leases).resolve())


@contextmanager
def leased(job: Job, account: str, place: str, part: Part, say: Callable[[str], None]) -> Iterator[LeasedShare]:
    """Take part in an account that is leased at a place, until the block ends. Raises SpecError."""
    qps = {str(kind): job.spec.api.qps_of(kind) for kind in job.spec.paced}
    lease = Lease(open_store(place), lease_s=LEASE_S)
    lease.say = say
    with lease, SharedAccount(lease, account, qps) as shared:
        shared.hungry(qps)
        yield LeasedShare(shared, part)
