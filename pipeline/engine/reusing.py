"""Items on their way to be worked on, which take what other runs paid for their pictures."""

from collections import Counter

import anyio

from pipeline.engine.cost import paid_for
from pipeline.engine.parts import Ports
from pipeline.engine.reuse import Reuse, reused, takes_upload
from pipeline.models import CONTENT, State, Work
from pipeline.sources.urls import identity_of_url
from pipeline.views import has_views


async def take_reused(work: Work, ports: Ports, reuse: Reuse, tally: Counter[State]) -> None:
    """Let an item take what is reused for it; that follows to the journal as if it were its own."""
    if work.doubt is not None or work.anew or has_views(work.item.source):
        return
    digest = None
    if work.item.local:
        digest = await anyio.to_thread.run_sync(ports.digest, work.item.source, limiter=ports.reading)
        if digest is None or work.sha256 not in (None, digest):
            return  # it cannot be read, or is another picture than what is paid for it: it goes its own way
    now = ports.now()
    identity = identity_of_url(work.item.source) if digest is None else f"{CONTENT}{digest}"
    found = reuse.find(identity, now=now)
    if found is None:
        return
    part = reused(found, ports.spec, local=digest is not None, paid=None if work.hits is None else work.hits.request_id)
    if digest is not None and not paid_for(work, now=now).has_link and takes_upload(found, part, now=now):
        assert found.upload is not None
        work.upload, work.sha256 = found.upload, digest
        ports.ledger.steps.uploaded(work, found.upload, digest)
    work.reused, work.free = part.task, part.free
    if part.hits is not None:
        work.hits = part.hits
        ports.ledger.steps.found(work, part.hits)
        tally[State.PENDING] -= 1
        tally[State.SEARCHED] += 1
