"""The desk for searches: every endpoint that finds drawings like a picture."""

from aiohttp import web

from pipeline.sandbox.envelope import INVALID_PARAMETER, Answer, Refused, success
from pipeline.sandbox.pictures import PictureStore
from pipeline.sandbox.search_names import SearchNames
from pipeline.sandbox.searching import Searcher
from pipeline.sandbox.settings import SandboxSettings
from pipeline.sandbox.shapes import NOTHING_FOUND
from pipeline.sandbox.stats import SandboxStats
from pipeline.sandbox.task_desk import find_picture
from pipeline.sandbox.validate import (
    SearchP009,
    SearchP009V2,
    SearchP060,
    SearchP061,
    read_body,
    read_query,
    refuse_parameters,
)


class SearchDesk:
    """The searches of one account."""

    def __init__(
        self, settings: SandboxSettings, searcher: Searcher, pictures: PictureStore, stats: SandboxStats
    ) -> None:
        self._settings = settings
        self._searcher = searcher
        self._pictures = pictures
        self._stats = stats
        self._names = SearchNames(clock=settings.clock)

    async def search(self, request: web.Request) -> Answer:
        """Answer a search by P009."""
        return await self._answer_search(read_query(request.query.items(), SearchP009))

    async def by_id(self, request: web.Request) -> Answer:
        """Answer a first search by P009 V2, with the name that its pages are asked by."""
        search = read_query(request.query.items(), SearchP009V2)
        return await self._answer_search(search, name=self._names.name(search.url))

    async def results(self, request: web.Request) -> Answer:
        """Answer a page of a search by its name."""
        try:
            pairs = self._names.resolved(request.query.items())
        except Refused:
            if self._settings.forgotten_searches == "refused":
                raise
            return success(NOTHING_FOUND[self._settings.forgotten_searches])
        return await self._answer_search(read_query(pairs, SearchP009V2))

    async def single(self, request: web.Request) -> Answer:
        """Answer a search by P060."""
        refuse_parameters(request.query)
        return await self._answer_search(read_body(await request.read(), SearchP060))

    async def beta(self, request: web.Request) -> Answer:
        """Answer a search by P060 in beta."""
        # The vendor searches a line drawing of the picture; the sandbox's features are much the same for both.
        refuse_parameters(request.query)
        return await self._answer_search(read_body(await request.read(), SearchP060), beta=True)

    async def multiple(self, request: web.Request) -> Answer:
        """Answer a search by several views of one product."""
        refuse_parameters(request.query)
        search = read_body(await request.read(), SearchP061)
        views = [find_picture(self._pictures, url) for url in search.urls]
        if len({view.sha256 for view in views}) < len(views) and not self._settings.stand_ins:
            raise Refused(INVALID_PARAMETER, "urls: the pictures must be different")
        data = await self._searcher.data(search, *views)
        self._stats.searched(search)
        return success(data)

    async def _answer_search(
        self, search: SearchP009 | SearchP009V2 | SearchP060, *, beta: bool = False, name: str = ""
    ) -> Answer:
        data = await self._searcher.data(search, find_picture(self._pictures, search.url), beta=beta)
        self._stats.searched(search)
        return success(_with_search_id(data, name) if name else data)


def _with_search_id(data: bytes, name: str) -> bytes:
    """Add the name by which P009 V2 pages through these hits, to data that is a JSON object."""
    more = b"}" if data == b"{}" else b"," + data[1:]
    return f'{{"search_id":"{name}"'.encode() + more
