"""An account that is leased with other machines (`api.leases`): our share of it changes while a run goes on."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.calls.access import RENEW_AT, Fetch, Sleep
from pipeline.calls.account import Part
from pipeline.calls.limiter import Limiter
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.drawing import SharedCaps
from pipeline.leases.account import SharedAccount
from pipeline.leases.lease import LEASE_S, Lease
from pipeline.leases.money import SharedBudget
from pipeline.leases.opening import open_store
from pipeline.leases.tokens import SharedTokens, seal_for
from pipeline.models import Kind
from pipeline.run.cluster_runs import named_place
from pipeline.run.load import Job
from pipeline.run.tariff import caps_of
from pipeline.system.clock import steady
from pipeline.system.fault import Fault


class LeasedShare:
    """Our share of a leased account (`calls.account.Share`), kept over the runs of one process.

    digest          names the account
    budgets         the name under which all machines spend the budgets of the job; by default that of the run directory
    common_budgets  names those budgets where several accounts spend them together; "" where each account has its own

    `part` says what processes of this machine may have sent that did not lease the account.
    """

    def __init__(
        self,
        account: SharedAccount,
        digest: str,
        *,
        part: Part | None = None,
        budgets: str = "",
        common_budgets: str = "",
    ) -> None:
        self.account = account
        self.digest = digest
        self.budgets = budgets
        self.common_budgets = common_budgets
        self._part = part or Part()
        self._limiters: dict[Kind, Limiter] = {}

    def share_tokens(self, credentials: Credentials) -> Callable[[Fetch, Sleep], Fetch] | None:
        """Return what lets all machines use one access token; None with an API key. Raises SpecError as `seal_for`."""
        if not credentials.client_id:
            return None
        seal = seal_for(credentials.client_secret, self.digest)

        def shared(ask: Fetch, sleep: Sleep) -> Fetch:
            store, asking = self.account.lease.store, functools.partial(ask, "")
            return SharedTokens(store, self.digest, seal, asking, sleep=sleep, renew_at=RENEW_AT).fetch

        return shared

    def caps(self, spec: JobSpec, run: str) -> SharedCaps:
        """Return the budgets of a job as all machines spend them together that run it in a directory of this name."""
        store, job = self.account.lease.store, self.budgets or run
        if self.common_budgets:  # of the others' accounts nobody knows who sends: as many as there may be
            return SharedBudget(store, self.common_budgets, job, caps_of(spec))
        others = functools.partial(self.account.others, Kind.SEARCH)
        return SharedBudget(store, self.digest, job, caps_of(spec), sharers=lambda: 1 + others())

    def limiter(self, kind: Kind, qps: float, say: Callable[[str], None]) -> Limiter:
        """Return the limiter of our calls of one kind; it goes on where that of the run before stood."""
        limiter = Limiter(qps, kind=kind, say=say, leased=self.account.pace(kind), before=self._limiters.get(kind))
        limiter.pause(self._part.quiet_s(qps, now=steady()))
        self._limiters[kind] = limiter
        return limiter


def place_of_leases(spec: JobSpec, share: float) -> str:
    """Return where the account is leased, as one spelling, or "". Raises SpecError for a share beside it."""
    if spec.api.leases is not None and share != 1.0:
        what = "an account that is leased is shared by itself, and takes no share beside it"
        raise SpecError(Fault(what, where=f"--share {share:g}", fix="api: {leases: null}"))
    return named_place(spec) or ""


@contextmanager
def leased(
    job: Job,
    place: str,
    part: Part,
    *,
    say: Callable[[str], None],
    lease_s: float | None = None,
    budgets: str = "",
    common_budgets: str = "",
    account: type[SharedAccount] = SharedAccount,
) -> Iterator[LeasedShare]:
    """Take part in the job's account, which is leased at a place, until the block ends. Raises SpecError."""
    digest = job.account
    qps = {str(kind): job.spec.api.qps_of(kind) for kind in job.spec.paced}
    lease = Lease(open_store(place, say=say), digest, lease_s=LEASE_S if lease_s is None else lease_s)
    lease.say = say
    with lease, account(lease, qps) as shared:
        shared.hungry(qps)
        yield LeasedShare(shared, digest, part=part, budgets=budgets, common_budgets=common_budgets)
