"""The client of one run, as its job and its options want it."""

from collections.abc import Callable

from pipeline.calls.account import Part, account_of
from pipeline.calls.client import Client
from pipeline.calls.health import Waits
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.calls.transport import Transport
from pipeline.job.schema import JobSpec
from pipeline.models import Kind
from pipeline.run.load import Job
from pipeline.run.options import RunOptions
from pipeline.system.clock import steady


def client_for(job: Job, options: RunOptions, transport: Transport, part: Part) -> Client:
    """Put together the client that sends a run's calls, within our part of the account."""
    api = job.spec.api
    return Client(
        transport,
        job.credentials,
        limiters_for(job.spec, part, options.say),
        on_sent=options.on_sent,
        table=api.table,
        account=account_of(api.base_url, job.credentials),
        waits=Waits(
            QuotaGate(api.quota_reset if options.wait_quota else None, table=api.table, say=options.say),
            ReachGate(api.patience_s, say=options.say),
        ),
    )


def limiters_for(spec: JobSpec, part: Part, say: Callable[[str], None]) -> dict[Kind, Limiter]:
    """Make the limiter of each kind that is called; all begin with the rest that our part of the account needs."""
    limiters = {kind: Limiter(part.qps(spec.api.qps_of(kind)), say=say) for kind in spec.paced}
    for limiter in limiters.values():
        limiter.pause(part.quiet_s(limiter.qps, now=steady()))
    return limiters
