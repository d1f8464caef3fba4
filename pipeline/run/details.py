"""The details of hits in one run: cache, calls and budget put together, and what earlier runs left open."""

import functools
import itertools
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from pipeline.calls.account import account_of
from pipeline.endpoints.details import Details
from pipeline.endpoints.patsnap.d301 import PatentDetails
from pipeline.endpoints.patsnap.p014 import PatentFamilies
from pipeline.engine.catching_up import Lacking, Wanted, asked_by, lacking
from pipeline.engine.details import HitDetails
from pipeline.engine.patent_asking import PatentAsking, PatentEndpoint
from pipeline.engine.patent_batches import PatentBatches
from pipeline.engine.patent_budget import PatentBudget
from pipeline.errors import JournalError
from pipeline.journal.journal import Journal
from pipeline.ports import Vendor
from pipeline.results.behind import end_of_records
from pipeline.results.late_details import DETAILS, append
from pipeline.results.patent_counts import ASKED, META, WAITING, counts_in
from pipeline.run.known_patents import KnownPatents
from pipeline.run.load import Job
from pipeline.system.folders import state_folder

_AT_ONCE = 50  # records that are read before the first of them is asked for
_log = logging.getLogger(__name__)


@asynccontextmanager
async def hit_details(
    job: Job, folder: Path, journal: Journal, vendor: Vendor, say: Callable[[str], None], *, may_add: bool
) -> AsyncIterator[HitDetails | None]:
    """Yield what asks for details until the block ends; None where the job wants none.

    With `may_add` they are also asked for hits of records that earlier runs wrote without them.
    """
    wanted = job.spec.details
    if wanted is None:
        if (await journal.recall([ASKED]))[ASKED]:
            await journal.remember({ASKED: ""})  # what is settled from now on has none
        yield None
        return
    known = await journal.recall([META, WAITING, ASKED])
    every = may_add and known[ASKED] != asked_by(wanted)
    # Until the end: a kill may leave records whose details are pending, or that lack some.
    await journal.remember({WAITING: "1"} | ({ASKED: ""} if may_add else {}))
    budget = PatentBudget(journal.budget, journal, counts_in(known[META]))
    cache = KnownPatents(_cache_file(job, folder, say), run=uuid.uuid4().hex, say=say)
    disk = anyio.CapacityLimiter(1)

    def batches(endpoint: PatentEndpoint) -> PatentBatches:
        asking = PatentAsking(endpoint, vendor, budget, table=job.spec.api.table, say=say)
        return PatentBatches(endpoint.name, asking.ask, cache, budget.counts, disk=disk)

    families = batches(PatentFamilies()) if wanted.family else None
    # One line at a time; hundreds that come at once would else each hold a thread, and wait there for each other.
    late = functools.partial(_late, anyio.CapacityLimiter(1), folder / DETAILS)
    details = HitDetails(
        batches(PatentDetails()), families, budget=budget, top=wanted.top, above=wanted.above, late=late
    )
    try:
        async with anyio.create_task_group() as around:
            await around.start(details.run)
            if every or known[WAITING] == "1":
                until = await anyio.to_thread.run_sync(end_of_records, folder)  # what comes behind it is of this run
                records = lacking(folder, wanted, every=every, until=until)
                around.start_soon(details.catch_up_all, _in_batches(records))
            yield details
            around.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(cache.close, limiter=disk)
            with suppress(JournalError):  # it has said so itself
                await budget.note()


async def finish(details: HitDetails | None, journal: Journal, wanted: Wanted | None) -> None:
    """Wait for details that come after their records, and note whether all came that were asked for.

    `wanted` is what every record has them of then; None where not all were looked at.
    """
    if details is None:
        return
    if not await details.finish():
        noted = {ASKED: ""}
    elif wanted is None:
        noted = {WAITING: "0"}
    else:
        noted = {WAITING: "0", ASKED: asked_by(wanted)}
    with suppress(JournalError):
        await journal.remember(noted)


def _cache_file(job: Job, folder: Path, say: Callable[[str], None]) -> Path | None:
    """Return the cache of the job's account: in the user's state folder; the embedded sandbox's is the run's own."""
    if job.spec.sandbox:
        return folder / "sandbox" / "patents.sqlite"
    state = state_folder()
    if state is None:
        say("note: no home folder is known, so details of patents are kept for this run alone; set XDG_STATE_HOME")
        return None
    return state / "patents" / f"{account_of(job.spec.api.base_url, job.credentials)}.sqlite"


async def _late(turn: anyio.CapacityLimiter, path: Path, item: str, details: Details) -> bool:
    try:
        await anyio.to_thread.run_sync(functools.partial(append, path, item, details, at=time.time()), limiter=turn)
    except OSError as exc:  # they are in the cache: the next run writes them
        _log.warning("details.late_not_written item=%s %s", item, exc.strerror)
        return False
    return True


async def _in_batches(records: Iterator[Lacking]) -> AsyncIterator[Sequence[Lacking]]:
    """Read records in a thread, some at a time: there may be a million."""
    while batch := await anyio.to_thread.run_sync(lambda: list(itertools.islice(records, _AT_ONCE))):
        yield batch
