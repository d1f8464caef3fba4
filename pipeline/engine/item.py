"""One item all the way: upload, search, select, task. Knows the vendor and the journal only as protocols."""

import anyio

from pipeline.endpoints.interface import Creation
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.errors import Code, ItemRefused
from pipeline.models import EXPIRY_MARGIN_S, UPLOAD_LIFE_S, NoHits, SearchOnly, Settled, Tasked, Upload, Work
from pipeline.results.hits import choose
from pipeline.system.clock import from_the_future


async def process_item(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Take one item all the way; once more from the start when its links expired on the way."""
    try:
        return await _whole_way(work, ports, meter)
    except ItemRefused as error:
        if error.code != Code.EXPIRED:
            raise
    meter.starts_anew()
    ports.ledger.steps.forget(work)
    work.hits = work.upload = None
    return await _whole_way(work, ports, meter)


async def _whole_way(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Item -> (upload) -> search -> select -> task. Raises what stops it on the way."""
    spec = ports.spec
    url = await _reachable(work, ports, meter)
    meter.stage = "search"
    if work.hits is None:
        work.hits = await ports.vendor.call(ports.endpoints.search, url, meter)
    meter.rests_on(work.hits.at)
    choice = choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None:
        return NoHits(work.hits)
    if not spec.task.enabled:
        return SearchOnly(work.hits)
    meter.stage = "create"
    if choice.count == 0:
        raise ItemRefused("no hit has all the fields that a task needs", code=Code.INCOMPLETE_HITS, sent=False)
    task = await ports.vendor.call(ports.endpoints.create, Creation(url, choice), meter)
    return Tasked(work.hits, choice, task)


async def _reachable(work: Work, ports: Ports, meter: ItemMeter) -> str:
    """The picture's URL at the vendor; a local picture is uploaded unless an earlier upload still lives."""
    if not work.item.local:
        return work.item.source
    if work.upload is None or _expired(work.upload, ports.now()):
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source, limiter=ports.reading)
        meter.stage = "upload"
        work.upload = await ports.vendor.call(ports.endpoints.upload, picture, meter)
        work.sha256 = picture.sha256
        if work.hits is None:
            ports.ledger.steps.uploaded(work, work.upload, picture.sha256)
    meter.rests_on(work.upload.expires_at - UPLOAD_LIFE_S)
    return work.upload.url


def _expired(upload: Upload, now: float) -> bool:
    return upload.expires_at - EXPIRY_MARGIN_S < now or from_the_future(upload.expires_at - UPLOAD_LIFE_S, now=now)
