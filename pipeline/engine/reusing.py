"""Items on their way to be worked on, which take what other runs paid for their pictures."""

from collections import Counter

import anyio

from pipeline.engine.cost import paid_for
from pipeline.engine.parts import Ports
from pipeline.engine.reuse import Own, Reuse, identity, reused, takes_upload
from pipeline.models import State, Work


async def take_reused(work: Work, ports: Ports, reuse: Reuse, tally: Counter[State]) -> None:
    """Let an item take what is reused for it; that follows to the journal as if it were its own."""
    if work.doubt is not None or work.anew:
        return
    digest = None
    if work.item.local:
        digest = await anyio.to_thread.run_sync(ports.digest, work.item.source, limiter=ports.reading)
        if digest is None or work.sha256 not in (None, digest):
            return  # it cannot be read, or is another picture than what is paid for it: it goes its own way
    now, paid = ports.now(), None if work.hits is None else work.hits.request_id
    found = reuse.find(identity(work.item.source, digest), paid=paid, now=now)
    if found is None:
        return
    part = reused(found, ports.spec, Own(work.item.local, paid, ports.spec.search.pages_left(work.hits)))
    if digest is not None and not paid_for(work, now=now).has_link and takes_upload(found, part, now=now):
        assert found.upload is not None
        work.upload, work.sha256 = found.upload, digest
        ports.ledger.steps.uploaded(work, found.upload, digest)
    work.reused, work.free = part.task, part.free
    if part.hits is not None:
        if work.hits is None:
            tally[State.PENDING] -= 1
            tally[State.SEARCHED] += 1
        work.hits = part.hits
        ports.ledger.steps.found(work, part.hits)
