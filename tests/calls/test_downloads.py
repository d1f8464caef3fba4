"""Pictures fetched from hosts that a search named: only public ones, over https, without credentials or redirects."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from aiohttp import web

from pipeline.calls import downloads
from pipeline.calls.downloads import Downloads, NotFetched, is_public, open_downloads

pytestmark = pytest.mark.anyio

NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::1", "::",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::",
    "2001:db8::1", "fd00:ec2::254", "2001::1", "nonsense", "",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]

REFUSED = [
    "http://127.0.0.1/a.png", "https://127.0.0.1/a.png", "https://127.1/a.png", "https://2130706433/a.png",
    "https://0x7f000001/a.png", "https://0177.0.0.1/a.png", "https://0x7f.1/a.png", "https://[::1]/a.png",
    "https://[::ffff:127.0.0.1]/a.png", "https://[fe80::1]/a.png", "https://169.254.169.254/latest/meta-data",
    "https://1.1.1.1/a.png", "https://localhost/a.png", "https://intranet/a.png", "https://intranet./a.png",
    "https://cdn.example.com:8443/a.png", "http://cdn.example.com:8080/a.png", "https://cdn.example.com:22/",
    "https://user@cdn.example.com/a.png", "https://user:pw@cdn.example.com/a.png", "ftp://cdn.example.com/a.png",
    "file:///etc/passwd", "data:image/png;base64,AAAA", "javascript:alert(1)", "gopher://cdn.example.com/",
    "//cdn.example.com/a.png", "/a.png", "", "https://", "https:///a.png", "not a link", "https://[oops/a.png",
    "http://127.0.0.1:1/a.png", "https://sandbox.invalid:1/a.png",
]  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_inside_a_network_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


class _Nowhere:
    """A session that must not be asked."""

    def get(self, url: object, **_: object) -> None:
        raise AssertionError(f"{url} was opened")


@pytest.mark.parametrize("url", REFUSED)
async def test_a_link_that_must_not_be_opened_opens_nothing(url: str) -> None:
    with pytest.raises(NotFetched):
        await Downloads(_Nowhere()).fetch(url)  # type: ignore[arg-type]


class _Asked:
    """A session that notes what it is asked, and answers nothing."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.keys: dict[str, Any] = {}

    def get(self, url: object, **keys: Any) -> None:
        self.urls.append(str(url))
        self.keys = keys
        raise OSError(113, "No route to host")


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        (
            "http://cdn.example.com/a.png?X-Amz-Signature=1&b=%2F",
            "https://cdn.example.com/a.png?X-Amz-Signature=1&b=%2F",
        ),
        ("https://cdn.example.com:443/a.png", "https://cdn.example.com/a.png"),
        ("http://cdn.example.com:80/a.png", "https://cdn.example.com/a.png"),
    ],
)
async def test_a_link_is_opened_as_https_on_its_own_host_and_no_redirect_is_followed(url: str, opened: str) -> None:
    session = _Asked()
    with pytest.raises(NotFetched):
        await Downloads(session, proxy="http://proxy:3128").fetch(url)  # type: ignore[arg-type]
    assert session.urls == [opened]
    assert session.keys == {"allow_redirects": False, "proxy": "http://proxy:3128"}


@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "::1"])
async def test_a_name_that_leads_inside_is_not_opened_even_beside_public_addresses(
    inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that led outside a moment before: the address that is checked is the one that is opened."""

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        part = {"hostname": host, "port": port, "family": family, "proto": 0, "flags": 0}
        return [{**part, "host": "93.184.216.34"}, {**part, "host": inside}]

    monkeypatch.setattr(downloads.Lookups, "resolve", resolve)
    async with open_downloads() as fetching:
        with pytest.raises(NotFetched, match="not public"):
            await fetching.fetch("https://rebound.example.com/a.png")


@asynccontextmanager
async def _host(handler: Any) -> AsyncIterator[str]:
    """A host on this machine, which stands for the sandbox."""
    app = web.Application()
    app.router.add_get("/a", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "127.0.0.1:{}".format(*site._server.sockets[0].getsockname()[1:])  # type: ignore[union-attr]
    finally:
        await runner.cleanup()


async def fetched(handler: Any) -> bytes:
    async with _host(handler) as authority, open_downloads(own=authority) as fetching:
        return await fetching.fetch(f"http://{authority}/a")


async def test_the_sandboxs_own_pictures_are_fetched_without_credentials_or_cookies() -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers)
        answer = web.Response(body=b"picture")
        answer.set_cookie("a", "b")
        return answer

    async with _host(handler) as authority, open_downloads(own=authority) as fetching:
        assert [await fetching.fetch(f"http://{authority}/a") for _ in range(2)] == [b"picture"] * 2
    assert not [name for headers in seen for name in headers if name.lower() in ("authorization", "cookie")]


async def test_another_port_of_this_machine_is_not_the_sandbox() -> None:
    async with open_downloads(own="127.0.0.1:1234") as fetching:
        with pytest.raises(NotFetched, match="unusual port"):
            await fetching.fetch("http://127.0.0.1:4321/a")


async def _redirect(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/b"})


async def _large(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * (downloads.MOST_BYTES + 1))


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 65_536)


async def _missing(request: web.Request) -> web.Response:
    return web.Response(status=404)


async def _cut_short(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return answer


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (_redirect, "HTTP 302"),
        (_large, "too large"),
        (_endless, "too large"),
        (_missing, "HTTP 404"),
        (_cut_short, "Error"),
    ],
)
async def test_what_is_no_whole_picture_of_a_bearable_size_is_not_kept(handler: Any, said: str) -> None:
    with pytest.raises(NotFetched, match=said):
        await fetched(handler)


async def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(request: web.Request) -> web.Response:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(downloads, "WHOLE_S", 0.2)
    with pytest.raises(NotFetched, match="no answer in time"):
        await fetched(silent)


async def test_what_went_wrong_names_no_link_for_its_query_is_a_signature() -> None:
    async with open_downloads() as fetching:
        with pytest.raises(NotFetched) as failed:
            await fetching.fetch("https://cdn.sandbox.invalid/a.png?signature=hush-hush")
    assert "hush" not in str(failed.value)


def test_the_lists_above_mean_what_they_say() -> None:
    assert all(ipaddress.ip_address(address) for address in PUBLIC)
