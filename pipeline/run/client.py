"""The client of one run, as its job and its options want it."""

import math
from collections.abc import Callable, Mapping

from pipeline.calls.account import Part, Share, account_of
from pipeline.calls.client import Client
from pipeline.calls.health import Waits
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.calls.stats import Stats
from pipeline.calls.tally import Tally
from pipeline.calls.transport import Transport
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.models import Kind
from pipeline.run.leased import LeasedShare
from pipeline.run.load import Job
from pipeline.run.options import RunOptions
from pipeline.system.fault import Fault


def client_for(job: Job, options: RunOptions, transport: Transport, share: Share) -> Client:
    """Put together the client that sends a run's calls, within our share of the account.

    Each shard has a sandbox of its own, which knows no token of another one.
    """
    api = job.spec.api
    leased = share if isinstance(share, LeasedShare) else None
    return Client(
        transport,
        job.credentials,
        limiters_for(job.spec, share, options.say),
        table=api.table,
        stats=Stats(tally=Tally(account_of(api.base_url, job.credentials)), on_sent=options.on_sent),
        waits=Waits(
            QuotaGate(api.quota_reset if options.wait_quota else None, table=api.table, say=options.say),
            ReachGate(api.patience_s, say=options.say),
        ),
        share_tokens=None if leased is None or job.spec.sandbox else leased.share_tokens(job.credentials),
    )


def refuse_small_share(spec: JobSpec, share: float) -> None:
    """Raise SpecError for a share of the account in which some kind of call has less than one a second."""
    for kind in spec.paced:
        try:
            Part(share).qps(spec.api.qps_of(kind))
        except SpecError:
            if kind is not Kind.DETAILS:
                raise
            least = math.ceil(1 / share)
            what = f"{share:g} of {spec.api.qps_of(kind):g} call for details a second is less than one; if the account "
            what += f"allows {least} a second, say so, or run without details"
            fix = f"api: {{qps: {{details: {least}}}}}"
            raise SpecError(Fault(what, where="api.qps.details", fix=fix)) from None


def limiters_for(spec: JobSpec, share: Share, say: Callable[[str], None]) -> dict[Kind, Limiter]:
    """Make the limiter of each kind that is called; each within our share of the account."""
    return {kind: share.limiter(kind, spec.api.qps_of(kind), say) for kind in spec.paced}


def questions_per_s(limiters: Mapping[Kind, Limiter]) -> float:
    """Return how many questions for reports this process may ask a second; 1 where it asks none."""
    limiter = limiters.get(Kind.QUERY)
    return 1.0 if limiter is None else limiter.qps
