"""The way of one item: upload, search, select, task. Vendor and journal are known as protocols alone."""

import anyio

from pipeline.endpoints.interface import Creation
from pipeline.engine.cost import paid_for, refuse_changed
from pipeline.engine.meter import ItemMeter
from pipeline.engine.pages import is_searched, search
from pipeline.engine.parts import Ports
from pipeline.engine.views import upload_views
from pipeline.errors import Code, ItemRefused
from pipeline.models import UPLOAD_LIFE_S, Choice, Hits, Work
from pipeline.outcomes import NoHits, SearchOnly, Settled, Tasked
from pipeline.paging import PagedHits
from pipeline.reports import ReusedTask, WholeReport
from pipeline.results.hits import choose
from pipeline.views import has_views, views_of


async def process_item(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Take one item all the way, and once more from the start if its links expired before they were used."""
    if work.anew:
        _forget(work, ports)
    try:
        return await _process_once(work, ports, meter)
    except ItemRefused as error:
        if error.code != Code.EXPIRED:
            raise
    meter.forget_links()
    _forget(work, ports, expired=True)
    return await _process_once(work, ports, meter)


def _forget(work: Work, ports: Ports, *, expired: bool = False) -> None:
    """Drop what is paid for an item: it is uploaded and searched anew."""
    ports.ledger.steps.forget(work)
    if expired and has_views(work.item.source):
        ports.ledger.steps.forget_views(views_of(work.sha256 or ""))
    work.hits = work.upload = work.reused = None
    work.free = False


async def _process_once(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Upload a local picture, search, select hits, create the task. Raises what a call raises."""
    spec = ports.spec
    if spec.submits:
        return await _submit(work, ports, meter)
    url = None
    is_new = work.hits is None
    if not is_searched(work, ports):
        url = await _reachable(work, ports, meter)
        await search(work, url, ports, meter)
    assert work.hits is not None
    meter.depends_on_links_from(work.hits.at)
    if ports.details is not None:
        ports.details.begin(work.ord, work.item.id, work.hits)
    choice = choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None:
        return NoHits(work.hits)
    if not spec.task.enabled:
        return SearchOnly(work.hits)
    if work.reused is not None:
        return Tasked(work.hits, choice, work.reused)
    if choice.count == 0:
        meter.stage = "create"
        raise ItemRefused("no hit has all the fields that a task needs", code=Code.INCOMPLETE_HITS, sent=False)
    if is_new and not isinstance(work.hits, PagedHits):
        ports.ledger.steps.found(work, work.hits)  # its create may wait for long, and a kill must not cost the search
    url = url or await _reachable(work, ports, meter)
    meter.stage = "create"
    task = await ports.vendor.call(ports.endpoints.create, Creation(url, choice), meter)
    return Tasked(work.hits, choice, task)


async def _submit(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Upload a local picture, then search it and open its task with one create: the hits come with its report."""
    if work.hits is not None:  # of a search that the job made before it was told to submit
        _forget(work, ports)
    nothing = Choice(b"[]", 0, 0)
    if isinstance(work.reused, ReusedTask):
        return Tasked(await _hits_of_submitted(work, work.reused, ports), nothing, work.reused)
    url = await _reachable(work, ports, meter)
    meter.stage = "create"
    task = await ports.vendor.call(ports.endpoints.create, Creation(url, nothing), meter)
    return Tasked(Hits(nothing.array, (), (), 0, meter.request_id or "", task.at), nothing, task)


async def _hits_of_submitted(work: Work, task: ReusedTask, ports: Ports) -> Hits:
    """Return the hits of what another run submitted, and keep its drawing; none while its report is to be asked for."""
    report = task.report
    if not isinstance(report, WholeReport) or report.hits is None:
        return Hits(b"[]", (), (), 0, "", task.at)
    if report.drawing is not None:
        await anyio.to_thread.run_sync(ports.keep_drawing, report.drawing_file, report.drawing)
    if ports.details is not None:
        ports.details.begin(work.ord, work.item.id, report.hits)
    return report.hits


async def _reachable(work: Work, ports: Ports, meter: ItemMeter) -> str:
    """Return a URL of the picture; a local picture is uploaded unless an earlier upload can still be used.

    It is not uploaded when it is another one than what is paid is of.
    """
    if not work.item.local:
        return work.item.source
    paid = paid_for(work, now=ports.now())
    if work.upload is None or not paid.has_link:
        meter.stage = "read"
        if paid.is_refused:
            raise refuse_changed(work)
        if has_views(work.item.source):
            work.upload = await upload_views(work, paid, ports, meter)
            meter.depends_on_links_from(work.upload.expires_at - UPLOAD_LIFE_S)
            return work.upload.url
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source, limiter=ports.reading)
        if paid._replace(changed=work.sha256 not in (None, picture.sha256)).is_refused:
            raise refuse_changed(work)
        meter.stage = "upload"
        work.upload = await ports.vendor.call(ports.endpoints.upload, picture, meter)
        work.sha256, work.changed = picture.sha256, False
        ports.ledger.steps.uploaded(work, work.upload, picture.sha256)
    meter.depends_on_links_from(work.upload.expires_at - UPLOAD_LIFE_S)
    return work.upload.url
