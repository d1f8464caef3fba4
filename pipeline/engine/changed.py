"""Items looked at before they are begun: whether files were replaced, what is uploaded, what is paid elsewhere."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator

import anyio

from pipeline.engine.cost import paid_for
from pipeline.engine.parts import Ports
from pipeline.engine.reusing import take_reused
from pipeline.engine.views import missing_uploads
from pipeline.models import State, Work
from pipeline.views import has_views


async def looked_at(items: AsyncIterator[Work], ports: Ports, tally: Counter[State]) -> AsyncGenerator[Work, None]:
    """Pass items on, each with whether its file changed, where that matters to what it costs, and what it reuses."""
    async for work in items:
        if ports.reuse is not None:
            await take_reused(work, ports, ports.reuse, tally)
        if work.sha256 is not None and paid_for(work, now=ports.now()).asks_file:
            now = await anyio.to_thread.run_sync(ports.digest, work.item.source, limiter=ports.reading)
            work.changed = now not in (None, work.sha256)  # one that cannot be read says so when it is uploaded
        if work.item.local and has_views(work.item.source):
            work.uploads = await missing_uploads(work, ports)
        yield work
