"""Calls to a sandbox as a client makes them, one connection each."""

import io
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import anyio
import msgspec

from pipeline.sandbox.server import SandboxServer

NOON = 1_795_262_400.0  # 2026-11-21T12:00:00Z, a full hour: the time of clocks that tests set
PRODUCT = "https://sandbox.invalid/products/bag-0.jpg"
KEY = {"Authorization": "Bearer sandbox-key"}
SEARCH = "/image-search/search"
SEARCH_ID = "/image-search/search-id"
RESULTS = "/image-search/results"
SINGLE = "/search/patent/image-single"
MULTIPLE = "/search/patent/image-multiple"
UPLOAD = "/image-search/image-upload"
CREATE = "/ai/infringement-detection-creation"
QUERY = "/ai/infringement-detection-query"
SUBMIT = "/ai/image-search/submit"
REPORT = "/ai/image-search/report"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def envelope(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def data(self) -> Any:
        assert self.envelope["status"] is True, self.envelope
        return self.envelope["data"]

    @property
    def code(self) -> int:
        return self.envelope["error_code"]


async def call(server: SandboxServer, method: str, path: str, **options: Any) -> Reply:
    """Send one call in the API key mode, unless `headers` say otherwise."""
    options.setdefault("headers", KEY)
    async with aiohttp.ClientSession() as session:
        session._retry_connection = False  # aiohttp sends a GET again by itself when its answer is lost
        async with session.request(method, server.url + path, allow_redirects=False, **options) as response:
            return Reply(response.status, response.headers, await response.read())


async def search(server: SandboxServer, **params: str) -> Reply:
    return await call(server, "GET", SEARCH, params={"url": PRODUCT, **params})


async def multiple(server: SandboxServer, *products: str, **fields: Any) -> Reply:
    """Search by several products of the shipped ones, as views of one."""
    urls = [f"https://sandbox.invalid/products/{name}.jpg" for name in products]
    return await call(server, "POST", MULTIPLE, json={"urls": urls, "model": 1, "patent_type": "D", **fields})


async def single(server: SandboxServer, **fields: Any) -> Reply:
    return await call(server, "POST", SINGLE, json={"url": PRODUCT, "model": 1, "patent_type": "D", **fields})


async def upload(server: SandboxServer, data: bytes, *, field: str = "image") -> Reply:
    form = aiohttp.FormData()
    form.add_field(field, io.BytesIO(data), filename="picture", content_type="application/octet-stream")
    return await call(server, "POST", UPLOAD, data=form)


async def create(server: SandboxServer, **fields: Any) -> Reply:
    return await call(server, "POST", CREATE, json=creation(**fields))


async def create_without_answer(server: SandboxServer) -> None:
    """Create a task, and give up once it is executed: not a byte of an answer may have come a moment later."""
    answered = anyio.Event()

    async def ask() -> None:
        await session.post(server.url + CREATE, json=creation())
        answered.set()

    async with aiohttp.ClientSession(headers=KEY) as session, anyio.create_task_group() as calls:
        calls.start_soon(ask)
        while not server.stats.executed_creates:
            await anyio.sleep(0.01)
        with anyio.move_on_after(0.2):
            await answered.wait()
        calls.cancel_scope.cancel()
    assert not answered.is_set()


async def submit(server: SandboxServer, **fields: Any) -> Reply:
    """Submit a picture; a field that is None is left out."""
    body = {"url": PRODUCT, "country": ["US", "CN"], "lang": "en", **fields}
    return await call(server, "POST", SUBMIT, json={key: value for key, value in body.items() if value is not None})


async def report(server: SandboxServer, task_id: str) -> Reply:
    return await call(server, "POST", REPORT, json={"task_id": task_id})


async def token(server: SandboxServer, *, secret: str = "sandbox-secret", grant: str = "client_credentials") -> Reply:
    authorization = basic("sandbox", secret)
    return await call(
        server, "POST", "/oauth/token", data={"grant_type": grant}, headers={"Authorization": authorization}
    )


def basic(client_id: str, secret: str) -> str:
    return f"Basic {b64encode(f'{client_id}:{secret}'.encode()).decode()}"


def creation(**fields: Any) -> dict[str, Any]:
    """A creation that is right, but for `fields`."""
    return {"urls": [PRODUCT], "patent_messages": [message()], "report_lang": "en", **fields}


def message(**fields: Any) -> dict[str, Any]:
    """A hit that is right, but for `fields`."""
    url = "https://sandbox.invalid/gallery/bag-0-1.png"
    return {"patent_id": "p1", "patent_pn": "US1", "title": "Bag", "url": url, "score": 0.9, **fields}
