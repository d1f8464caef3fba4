"""The way of one item: upload, search, select, task. Vendor and journal are known as protocols alone."""

import anyio

from pipeline.endpoints.interface import Creation
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.errors import Code, ItemRefused
from pipeline.models import EXPIRY_MARGIN_S, UPLOAD_LIFE_S, NoHits, SearchOnly, Settled, Tasked, Upload, Work
from pipeline.results.hits import choose
from pipeline.system.clock import from_the_future


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
    url = await _reachable(work, ports, meter)
    meter.stage = "search"
    is_new = work.hits is None
    if work.hits is None:
        work.hits = await ports.vendor.call(ports.endpoints.search, url, meter)
    meter.depends_on_links_from(work.hits.at)
    choice = choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None:
        return NoHits(work.hits)
    if not spec.task.enabled:
        return SearchOnly(work.hits)
    meter.stage = "create"
    if choice.count == 0:
        raise ItemRefused("no hit has all the fields that a task needs", code=Code.INCOMPLETE_HITS, sent=False)
    if is_new:
        ports.ledger.steps.found(work, work.hits)  # its create may wait for long, and a kill must not cost the search
    task = await ports.vendor.call(ports.endpoints.create, Creation(url, choice), meter)
    return Tasked(work.hits, choice, task)


async def _reachable(work: Work, ports: Ports, meter: ItemMeter) -> str:
    """Return a URL of the picture; a local picture is uploaded unless an earlier upload can still be used."""
    if not work.item.local:
        return work.item.source
    if work.upload is None or _expired(work.upload, ports.now()):
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source, limiter=ports.reading)
        meter.stage = "upload"
        work.upload = await ports.vendor.call(ports.endpoints.upload, picture, meter)
        work.sha256 = picture.sha256
        if work.hits is None:
            ports.ledger.steps.uploaded(work, work.upload, picture.sha256)
    meter.depends_on_links_from(work.upload.expires_at - UPLOAD_LIFE_S)
    return work.upload.url


def _expired(upload: Upload, now: float) -> bool:
    return upload.expires_at - EXPIRY_MARGIN_S < now or from_the_future(upload.expires_at - UPLOAD_LIFE_S, now=now)
