"""The way of one item: upload, search, select, task. Vendor and journal are known as protocols alone."""

import anyio

from pipeline.endpoints.interface import Creation
from pipeline.engine.cost import upload_lasts
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.errors import Code, ItemRefused
from pipeline.models import UPLOAD_LIFE_S, NoHits, SearchOnly, Settled, Tasked, Work
from pipeline.results.hits import choose


async def process_item(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Take one item all the way, and once more from the start if its links expired before they were used."""
    try:
        return await _process_once(work, ports, meter)
    except ItemRefused as error:
        if error.code != Code.EXPIRED:
            raise
    meter.forget_links()
    ports.ledger.steps.forget(work)
    work.hits = work.upload = None
    return await _process_once(work, ports, meter)


async def _process_once(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Upload a local picture, search, select hits, create the task. Raises what a call raises."""
    spec = ports.spec
    url = None
    is_new = work.hits is None
    if work.hits is None:
        url = await _reachable(work, ports, meter)
        meter.stage = "search"
        work.hits = await ports.vendor.call(ports.endpoints.search, url, meter)
    meter.depends_on_links_from(work.hits.at)
    choice = choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None:
        return NoHits(work.hits)
    if not spec.task.enabled:
        return SearchOnly(work.hits)
    if choice.count == 0:
        meter.stage = "create"
        raise ItemRefused("no hit has all the fields that a task needs", code=Code.INCOMPLETE_HITS, sent=False)
    if is_new:
        ports.ledger.steps.found(work, work.hits)  # its create may wait for long, and a kill must not cost the search
    url = url or await _reachable(work, ports, meter)
    meter.stage = "create"
    task = await ports.vendor.call(ports.endpoints.create, Creation(url, choice), meter)
    return Tasked(work.hits, choice, task)


async def _reachable(work: Work, ports: Ports, meter: ItemMeter) -> str:
    """Return a URL of the picture; a local picture is uploaded unless an earlier upload can still be used."""
    if not work.item.local:
        return work.item.source
    if work.upload is None or not upload_lasts(work.upload.expires_at, now=ports.now()):
        meter.stage = "read"
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source, limiter=ports.reading)
        meter.stage = "upload"
        work.upload = await ports.vendor.call(ports.endpoints.upload, picture, meter)
        work.sha256 = picture.sha256
        if work.hits is None:
            ports.ledger.steps.uploaded(work, work.upload, picture.sha256)
    meter.depends_on_links_from(work.upload.expires_at - UPLOAD_LIFE_S)
    return work.upload.url
