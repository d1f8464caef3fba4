"""The search of one item, page by page where the job looks deeper: what is paid is durable before the next page."""

import logging

from pipeline.endpoints.patsnap.pages import NextPage
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.errors import CallError
from pipeline.models import Work
from pipeline.paging import PagedHits, joined

_log = logging.getLogger(__name__)


def is_searched(work: Work, ports: Ports) -> bool:
    """Return whether all hits of an item are here that the job asks for."""
    return work.hits is not None and not ports.spec.search.pages_left(work.hits)


async def search(work: Work, url: str, ports: Ports, meter: ItemMeter) -> None:
    """Search the picture at a URL, from the first page that is not paid yet on. Raises what a call raises."""
    meter.stage = "search"
    asked = ports.spec.search.of_picture(url)
    if work.hits is None:
        first = ports.endpoints.search if asked is ports.spec.search else asked
        work.hits = await ports.vendor.call(first, url, meter)
        await _keep(work, ports)
    while (page := asked.next_page(work.hits, now=ports.now())) is not None:
        assert isinstance(work.hits, PagedHits)
        meter.depends_on_links_from(work.hits.at)
        work.hits = await _with_page(page, work, work.hits, url, ports, meter)
        await _keep(work, ports)


async def _with_page(
    page: NextPage, work: Work, hits: PagedHits, url: str, ports: Ports, meter: ItemMeter
) -> PagedHits:
    """Ask for one more page.

    1. The vendor has forgotten the search that the page is of: it is searched anew, from this page on.
    2. It counts more hits and shows none, however often it is asked: there are no more, and the record says how many
       it counted.
    3. It shows again what earlier pages showed, and nothing else: so would the next page, and each is paid.
    """
    try:
        more = joined(hits, await ports.vendor.call(page, url, meter))
        if len(more.scores) > len(hits.scores):
            return more
        return more.with_paging(next_offset=None)
    except CallError as error:
        if error.condition == "old_search_id":
            return hits.with_paging(search_id="", named_at=0.0)
        if error.condition != "hits_missing":
            raise
    _log.warning("search.page_missing item=%s offset=%s total=%s", work.item.id, page.offset, hits.total)
    return hits.with_paging(next_offset=None)


async def _keep(work: Work, ports: Ports) -> None:
    """Make the pages so far durable before the next one is asked for: a kill must not cost the ones that are paid."""
    if isinstance(work.hits, PagedHits):
        await ports.ledger.steps.found_page(work, work.hits)
