"""A server that behaves badly on purpose: raw asyncio on a loopback port, one script for each connection.

    async with Misbehaving(half_body) as server:
        ...                       # call server.url
    assert server.arrived == 1    # connections on which a request's first byte came

A list of scripts serves the first connection with the first, the next with the next, and every later one with the last.
"""

import asyncio
import functools
import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from tests.support.processes import PATIENCE_S

TASK_ID = "80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11"
NO_HITS = b'{"data":{"patent_messages":[],"total_search_result_count":0},"status":true,"error_code":0,"error_msg":""}'
CREATED = b'{"data":{"task_id":"80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11"},"status":true,"error_code":0,"error_msg":""}'
TOKEN = b'{"token":"token-of-the-test","token_type":"BearerToken","expires_in":1799,"status":"approved"}'

_MAX_DRIPS = 2_000  # 20 ms each: bounded, and longer than any test waits


class Seen(NamedTuple):
    """A request as it came in; `target` is the request line's, `headers` have lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters as a server decodes them."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True, strict_parsing=True)


class Caller:
    """One connection."""

    def __init__(self, server: "Misbehaving", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer

    async def first_byte(self) -> bytes:
        """Wait for a request and count it; asyncio.IncompleteReadError at the connection's end."""
        first = await self.reader.readexactly(1)
        self.server.arrived += 1
        return first

    async def request(self) -> Seen:
        """Read a whole request."""
        head = await self.first_byte() + await self.reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields if field)
        }
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = line.split(" ")
        seen = Seen(method, target, headers, body)
        self.server.seen.append(seen)
        return seen

    async def say(self, *parts: bytes) -> None:
        """Send."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def outlast(self, seen: Seen) -> None:
        """Say no more until the client has gone, which it does when its patience with this request is over."""
        self.server.give_up(seen.headers.get("x-request-id", ""))
        await self.reader.read()

    async def reset(self) -> None:
        """End the connection with RST: with no time to linger, closing sends one."""
        await asyncio.sleep(0.02)  # what was said before should arrive before
        sock = self.writer.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Caller], Awaitable[None]]


class Misbehaving:
    """Serves scripts between `async with` and its end, in the test's own loop.

    `connections` were accepted, on `arrived` of them (per request) a first byte came, `seen` are the whole requests.
    `give_up` ends the client's patience with a request that gets no whole answer (tests/support/patience.py); without
    it the client's own clock does.
    """

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, give_up: Callable[[str], None] = lambda _: None
    ) -> None:
        self.give_up = give_up
        self.connections = 0
        self.arrived = 0
        self.seen: list[Seen] = []
        self._scripts = scripts
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = 0

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(5):  # an aborted transport gives up its socket in a callback
            await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            await script(Caller(self, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            if self._tls is None:
                writer.transport.close()  # lets out what was said, then FIN
            else:
                writer.transport.abort()  # a TLS goodbye waits for the other side


@asynccontextmanager
async def closed_port() -> AsyncIterator[str]:
    """The URL of a loopback port that nobody listens on, and that nobody else gets meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holder.getsockname()[1]}"


@contextmanager
def serving(script: Script, give_up: Callable[[str], None] = lambda _: None) -> Iterator[str]:
    """The URL of a server in a thread and a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()
    server = Misbehaving(script, give_up=give_up)

    def do(step: Callable[[], object]) -> None:
        asyncio.run_coroutine_threadsafe(step(), loop).result(PATIENCE_S)  # type: ignore[arg-type]

    do(server.__aenter__)
    try:
        yield server.url
    finally:
        do(lambda: server.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# --- scripts: building blocks ---


def http(status: int, body: bytes, *headers: str, content_type: str = "application/json", length: int = -1) -> bytes:
    """One HTTP answer; `length` may lie about the body."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body) if length < 0 else length}"]
    lines += [f"Content-Type: {content_type}"] if content_type else []
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


def envelope(code: int, text: str = "as scripted") -> bytes:
    """A business error."""
    return json.dumps({"data": None, "status": False, "error_code": code, "error_msg": text}).encode()


def answers(*said: bytes) -> Script:
    """Answer the connection's requests one after another, the last answer again and again (keep-alive)."""

    async def script(caller: Caller) -> None:
        for number in range(10_000):
            await caller.request()
            await caller.say(said[min(number, len(said) - 1)])

    return script


def in_turn(*said: bytes) -> Script:
    """Answer the server's requests one after another whatever their connection; the last answer again and again."""

    async def script(caller: Caller) -> None:
        for _ in range(10_000):
            await caller.request()
            await caller.say(said[min(len(caller.server.seen) - 1, len(said) - 1)])

    return script


def by_path(**said: bytes | Script) -> Script:
    """Answer by what the path ends with: token, search, creation, upload, single."""

    async def script(caller: Caller) -> None:
        for _ in range(10_000):
            seen = await caller.request()
            answer = next(answer for name, answer in said.items() if seen.path.endswith(name))
            if not isinstance(answer, bytes):
                await answer(caller)
                return
            await caller.say(answer)

    return script


def then(*said: bytes) -> Script:
    """Say bytes after a request, whatever they are, and close."""

    async def script(caller: Caller) -> None:
        await caller.request()
        await caller.say(*said)

    return script


# --- scripts: the ways to behave badly ---


async def reset_at_once(caller: Caller) -> None:
    """RST, whether or not anything came."""
    await caller.reset()


async def reset_before_reading(caller: Caller) -> None:
    """RST at the request's first byte."""
    await caller.first_byte()
    await caller.reset()


async def reset_after_request(caller: Caller) -> None:
    """RST instead of an answer."""
    await caller.request()
    await caller.reset()


async def reset_after_status(caller: Caller) -> None:
    await caller.request()
    await caller.say(b"HTTP/1.1 200 OK\r\nContent-Le")
    await caller.reset()


async def reset_after_headers(caller: Caller) -> None:
    await caller.request()
    await caller.say(http(200, b"", length=100))
    await caller.reset()


async def reset_mid_body(caller: Caller) -> None:
    await caller.request()
    await caller.say(http(200, CREATED[:40], length=len(CREATED)))
    await caller.reset()


async def close_without_answer(caller: Caller) -> None:
    await caller.request()


async def hang(caller: Caller) -> None:
    """Say nothing until the client goes."""
    await caller.outlast(await caller.request())


async def hang_after_headers(caller: Caller) -> None:
    seen = await caller.request()
    await caller.say(http(200, b'{"data":', length=100))
    await caller.outlast(seen)


async def slow_drip(caller: Caller) -> None:
    """A byte now and then, without an end: no single read ever waits long."""
    seen = await caller.request()
    await caller.say(http(200, b"{", length=10_000))
    for drip in range(_MAX_DRIPS):
        await asyncio.sleep(0.02)
        await caller.say(b" ")
        if drip == 2:
            caller.server.give_up(seen.headers["x-request-id"])


def stall(status: int, body: bytes) -> Script:
    """Begin an answer that has no length, so that only a close ends it, and say no more until the client goes."""
    head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"

    async def script(caller: Caller) -> None:
        seen = await caller.request()
        await caller.say(head.encode() + body)
        await caller.outlast(seen)

    return script


half_body = then(http(200, CREATED[:40], length=len(CREATED)))
half_chunk = then(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + CREATED[:40]
)
bad_chunk = then(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
not_http = then(b"\x16\x03\x01\x00\xff what is this?\r\n\r\n")
bad_status_line = then(b"HTTP/1.1 2000 Many\r\nContent-Length: 0\r\n\r\n")
bad_header = then(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}")
long_header = then(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\nContent-Length: 2\r\n\r\n{}")
garbage = then(http(200, b"\x89\x00\xff not json"))
html_page = then(http(200, b"<html><body>Maintenance</body></html>", content_type="text/html"))
bad_gateway = then(http(502, b"<html><body>502 Bad Gateway</body></html>", content_type="text/html"))
empty_answer = then(http(200, b""))
no_content = then(b"HTTP/1.1 204 No Content\r\n\r\n")
oversized = then(http(200, b'{"data":"' + b" " * (3 << 20) + b'"}'))
broken_gzip = then(http(200, b"\x1f\x8b\x08\x00 this is no gzip", "Content-Encoding: gzip"))


def redirect(status: int, location: str) -> Script:
    """Send the client elsewhere."""
    return then(http(status, b"", f"Location: {location}"))


def bomb(size: int) -> Script:
    """A gzip answer that unpacks to `size` bytes, and is packed once it is asked for."""

    async def script(caller: Caller) -> None:
        await then(http(200, packed(size), "Content-Encoding: gzip"))(caller)

    return script


@functools.cache
def packed(size: int) -> bytes:
    """Return the body of a bomb, which is packed once in a process."""
    return gzip.compress(b'{"data":"' + bytes(size) + b'"}', compresslevel=6)


# Everything that can happen after a byte has left: the script, and the code of the error.
AFTER_SENDING: dict[str, tuple[Script, str]] = {
    "reset before reading": (reset_before_reading, "no_answer"),
    "reset after the request": (reset_after_request, "no_answer"),
    "reset in the status line": (reset_after_status, "no_answer"),
    "reset after the headers": (reset_after_headers, ""),
    "reset in the body": (reset_mid_body, ""),
    "closed without an answer": (close_without_answer, "no_answer"),
    "hang": (hang, "no_answer"),
    "hang after the headers": (hang_after_headers, "no_answer"),
    "slow drip": (slow_drip, "no_answer"),
    # The end of our patience closes the connection, which must not pass for the end of the answer.
    "silent after the headers of an answer without length": (stall(200, b""), "no_answer"),
    "silent after half an answer without length": (stall(200, CREATED[:40]), "no_answer"),
    "silent after half a refusal": (stall(400, b'{"error_code":68300008,'), "no_answer"),
    "silent after half a refused token": (stall(401, b'{"error_code":67200003,'), "no_answer"),
    "silent after half a refusal for speed": (stall(429, b""), "no_answer"),
    "half a body": (half_body, "malformed"),
    "half a chunk": (half_chunk, "malformed"),
    "a bad chunk": (bad_chunk, ""),
    "not HTTP": (not_http, "no_answer"),
    "a bad status line": (bad_status_line, "no_answer"),
    "a bad header": (bad_header, "no_answer"),
    "a header without end": (long_header, "no_answer"),
    "garbage": (garbage, "malformed"),
    "a page of HTML": (html_page, "malformed"),
    "an empty answer": (empty_answer, "malformed"),
    "HTTP 204": (no_content, "malformed"),
    "HTTP 502 with a page": (bad_gateway, "http_502"),
    "a body without end": (oversized, "too_large"),
    "broken gzip": (broken_gzip, "malformed"),
    "a gzip bomb": (bomb(16 << 20), "too_large"),
}


# --- a proxy that behaves well ---


class Proxied(NamedTuple):
    """What a proxy was asked: the method and the target as in the request line."""

    method: str
    target: str


def proxy(log: list[Proxied], *, refuse: Sequence[str] = (), status: int = 403) -> Script:
    """Forward one request of http://, or tunnel a CONNECT; methods in `refuse` are answered with `status`."""

    async def script(caller: Caller) -> None:
        head = await caller.first_byte() + await caller.reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        log.append(Proxied(method, target))
        if method in refuse:
            await caller.say(http(status, b"no", content_type="text/plain"))
            return
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            if method == "CONNECT":
                await caller.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = f"{parts.path}?{parts.query}" if parts.query else parts.path
                rest = head.split(b"\r\n", 1)[1]
                writer.write(f"{method} {path} HTTP/1.1\r\n".encode() + rest)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(caller.reader, writer))
                both.create_task(_pump(reader, caller.writer))
        finally:
            writer.transport.abort()

    return script


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.transport.abort()
