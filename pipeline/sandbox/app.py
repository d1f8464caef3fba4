"""The vendor's contract as a web application: authentication, limits, validation, the log of tasks, and faults."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import hdrs, web

from pipeline.sandbox.delivery import Delivery, deliver, respond
from pipeline.sandbox.envelope import BAD_REQUEST, Answer, Refused, failure, success
from pipeline.sandbox.faults import FaultDice
from pipeline.sandbox.forms import read_image
from pipeline.sandbox.limits import PAID, Limits
from pipeline.sandbox.patent_data import detail_of, family_of, found_among, refuse_among
from pipeline.sandbox.patents import Patent
from pipeline.sandbox.pictures import (
    HOST,
    LIFETIME_S,
    ExpiredPicture,
    UnknownPicture,
    detect_type,
    open_pictures,
)
from pipeline.sandbox.search_desk import SearchDesk
from pipeline.sandbox.searching import Searcher, load_gallery
from pipeline.sandbox.settings import STATEMENT, SandboxSettings
from pipeline.sandbox.statement import Statement
from pipeline.sandbox.stats import SandboxStats
from pipeline.sandbox.task_desk import TaskDesk
from pipeline.sandbox.tokens import TokenDesk
from pipeline.sandbox.validate import (
    PatentsAsked,
    read_query,
    refuse_parameters,
)

STATS = web.AppKey("stats", SandboxStats)

_MAX_BODY_BYTES = 8 * 2**20
_NO_SUCH_API = 67200101
STATEMENT_PATH = "/open-user/statement/v2"
_NO_PERMISSION = 67200004

Work = Callable[[web.Request], Awaitable[Answer]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Route(NamedTuple):
    """One endpoint.

    kind: its name in limits, faults and statistics
    name: the vendor's name for it, which permissions are given by; "" where none is needed
    """

    method: str
    path: str
    kind: str
    name: str
    work: Work


def make_app(settings: SandboxSettings) -> web.Application:
    """Build the application of one sandbox; its statistics are `app[STATS]`."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    vendor = _Vendor(settings)
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[STATS] = vendor.stats
    for route in vendor.routes():
        app.router.add_route(route.method, route.path, vendor.served(route))
    app.router.add_get("/pictures/{path:.+}", vendor.show_picture)
    app.router.add_route("*", "/{path:.*}", vendor.no_such_api)
    app.on_response_prepare.append(vendor.omit_headers)
    app.on_shutdown.append(vendor.stop_waiting)
    app.on_cleanup.append(vendor.close)
    return app


class _Vendor:
    """One account with the vendor, and everything behind it."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.stats = SandboxStats()
        self._settings = settings
        self._clock = settings.clock
        self._dice = FaultDice(settings.faults)
        self._latency = random.Random(settings.faults.seed)
        self._closing = asyncio.Event()
        self._pictures = open_pictures(settings)
        self._limits = Limits(qps=settings.qps, daily_limit=settings.daily_limit, balance=settings.balance)
        self._tokens = TokenDesk(
            client=(settings.client_id, settings.client_secret),
            api_key=settings.api_key,
            lifetime_s=settings.token_lifetime_s,
            shape=settings.token_shape,
            only_one=settings.one_token,
            clock=settings.clock,
        )
        self._statement = Statement(
            (settings.client_id, settings.client_secret),
            settings.clock,
            packages=settings.packages,
            prices=settings.prices,
        )
        gallery = load_gallery(settings.gallery, settings.cache_dir, settings.preparing)
        self._searcher = Searcher(gallery, self._pictures, clock=settings.clock)
        self._searches = SearchDesk(settings, self._searcher, self._pictures, self.stats)
        self._desk = TaskDesk(settings, self._searcher, self._pictures, self.stats)

    def routes(self) -> tuple[_Route, ...]:
        """List every endpoint."""
        return (
            _Route("POST", "/oauth/token", "token", "", self._token),
            _Route("POST", "/image-search/image-upload", "upload", "P010", self._upload),
            _Route("GET", "/image-search/search", "search", "P009", self._searches.search),
            _Route("GET", "/image-search/search-id", "search", "P009-V2", self._searches.by_id),
            _Route("GET", "/image-search/results", "search", "P009-V2", self._searches.results),
            _Route("POST", "/search/patent/image-single", "search", "P060", self._searches.single),
            _Route("POST", "/search/patent/image-single/beta", "search", "P060-beta", self._searches.beta),
            _Route("POST", "/search/patent/image-multiple", "search", "P061", self._searches.multiple),
            _Route("POST", "/ai/infringement-detection-creation", "create", "AI39-1", self._desk.create),
            _Route("POST", "/ai/infringement-detection-query", "query", "AI39-2", self._desk.query),
            _Route("GET", "/basic-patent-data/patent-detail-aggregation", "details", "D301", self._details),
            _Route("GET", "/basic-patent-data/patent-family", "details", "P014", self._families),
            _Route("POST", STATEMENT_PATH, "statement", STATEMENT, self._account),
            _Route("POST", "/ai/image-search/submit", "create", "AI39-submit", self._desk.submit),
            _Route("POST", "/ai/image-search/report", "query", "AI39-report", self._desk.report),
        )

    def served(self, route: _Route) -> Handler:
        """Wrap the work of an endpoint: count the call, let it go wrong, authenticate, limit, wait, answer."""
        low_s, high_s = self._settings.latency_range_s
        endpoint = route.kind

        async def handle(request: web.Request) -> web.StreamResponse:
            arrived = self.stats.arrived(endpoint)
            fault = self._dice.next(endpoint)
            answer = None
            if fault is None or fault.executed:
                answer = await self._answer(route, request, arrived)
            if high_s:
                await asyncio.sleep(self._latency.uniform(low_s, high_s))
            if fault is not None:
                self.stats.answered(endpoint, str(fault))
                return await deliver(Delivery(request, fault, answer, self._settings.faults, self._closing))
            assert answer is not None
            self.stats.answered(endpoint, str(answer.code) if answer.code else "ok")
            return respond(answer)

        return handle

    async def show_picture(self, request: web.Request) -> web.Response:
        """Serve a picture to people: `/pictures/...` here is `/...` on the host that does not exist."""
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        try:
            data = self._pictures.read(
                f"https://{HOST}/{request.match_info['path']}?{request.rel_url.raw_query_string}"
            )
        except UnknownPicture as exc:
            return web.Response(status=404, text=str(exc), headers=headers)
        except ExpiredPicture as exc:
            return web.Response(status=410, text=str(exc), headers=headers)
        content_type = "image/png" if detect_type(data) == "png" else "image/jpeg"
        return web.Response(body=data, content_type=content_type, headers=headers)

    async def no_such_api(self, request: web.Request) -> web.Response:
        """Answer every other path and method."""
        self.stats.arrived("redirected" if request.path.startswith("/redirected/") else "unknown")
        return respond(failure(_NO_SUCH_API))

    async def omit_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Take out the headers that this vendor's answers lack."""
        for name in self._settings.omit_headers:
            response.headers.popall(name, None)

    async def stop_waiting(self, _: web.Application) -> None:
        """End the answers that are only being delayed, so that shutting down does not wait for them."""
        self._closing.set()

    async def close(self, _: web.Application) -> None:
        """Close the threads and files."""
        self._searcher.close()
        self._desk.close()

    async def _answer(self, route: _Route, request: web.Request, arrived: float) -> Answer:
        try:
            if route.name:
                self._tokens.admit(request.headers.get(hdrs.AUTHORIZATION), request.query.getall("apikey", []))
                if route.name in self._settings.denied:
                    raise Refused(_NO_PERMISSION)
                self._limits.admit(route.kind, monotonic_s=arrived, wall_s=self._clock())
            return await self._executed(route, request)
        except Refused as refusal:
            return failure(refusal.code, refusal.detail)

    async def _executed(self, route: _Route, request: web.Request) -> Answer:
        endpoint = route.kind
        try:
            answer = await route.work(request)
        except (web.HTTPRequestEntityTooLarge, Refused) as exc:
            self._limits.give_back(endpoint)
            self._count(route, units=0)
            if isinstance(exc, Refused):
                raise
            raise Refused(BAD_REQUEST, "the body is too large") from None
        units = answer.units or int(endpoint in PAID)
        self.stats.executed_call(endpoint, units)
        self._count(route, units=units)
        return answer._replace(units=units) if units else answer

    def _count(self, route: _Route, *, units: int) -> None:
        if route.name and route.name != STATEMENT:
            self._statement.count(route.path, route.name, units=units)

    async def _account(self, request: web.Request) -> Answer:
        refuse_parameters(request.query)
        return self._statement.answer(await request.read())

    async def _token(self, request: web.Request) -> Answer:
        return self._tokens.issue(
            request.headers.get(hdrs.AUTHORIZATION), content_type=request.content_type, form=await _text(request)
        )

    async def _upload(self, request: web.Request) -> Answer:
        refuse_parameters(request.query)
        url = await self._searcher.keep(await read_image(request))
        return success(msgspec.json.encode({"url": url, "expire": LIFETIME_S}))

    async def _details(self, request: web.Request) -> Answer:
        return self._patents(request, detail_of)

    async def _families(self, request: web.Request) -> Answer:
        return self._patents(request, family_of)

    def _patents(self, request: web.Request, describe: Callable[[Patent], dict[str, Any]]) -> Answer:
        """Describe the patents that are known; the others are missing, and each that is found is a unit."""
        asked = read_query(request.query.items(), PatentsAsked)
        self.stats.asked_about(asked.asked)
        refuse_among(asked.asked, self._settings.refused_patents)
        found = found_among(asked, self._searcher.patent)
        return success(msgspec.json.encode([describe(patent) for patent in found]), units=len(found))


async def _text(request: web.Request) -> str:
    return (await request.read()).decode("utf-8", "replace")
