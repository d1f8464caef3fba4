"""One HTTP exchange over aiohttp: connect, ask leave to send, send, read, and translate what went wrong, once.

"Was it sent?" is answered by the request itself, which aiohttp tells to `send` once it has a connection; the exception
type cannot tell (a wait for a connection and a lost answer both raise TimeoutError). aiohttp awaits it, so leave to
send is asked there: an intent is made durable and a permit taken at the moment of sending. A trace hook does the same
for 0.04 ms more a call (measured): it builds the URL twice, and an object for each hook that nobody asked for.
"""

import asyncio
import io
import math
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.endpoints.patsnap import wire
from pipeline.errors import Code, PipelineError, RunStopped, SpecError
from pipeline.models import Kind
from pipeline.system.clock import loop_time
from pipeline.version import __version__

CONNECT_S = 5.0
# Counted from the send. A false timeout of a search costs a repeated search, of a create an item in doubt; the vendor's
# maximum is 10 s, so creates wait six times that.
ANSWER_S = {Kind.UPLOAD: 60.0, Kind.SEARCH: 15.0, Kind.CREATE: 60.0, Kind.TOKEN: 15.0}
# Reuse a connection only long before any server closes it (5 s at the shortest in use): a create that meets the close
# is in doubt for nothing (measured: 69 of 600 at the server's edge).
KEEP_ALIVE_S = 2.0
_LARGE_BODY = 512 << 10

Headers = Any  # aiohttp's CIMultiDict of the request about to be sent; may still be changed


@dataclass(slots=True)
class _Sending:
    """An exchange under way: its patience begins with the send."""

    leave: Callable[[Headers], Awaitable[None]]
    answer_s: float
    connection: aiohttp.connector.Connection | None = None
    sent: bool = False
    deadline: float = math.inf
    overdue: bool = False


class _UnderWay(dict[str, _Sending]):
    """The exchanges of a session by X-Request-ID; those that are overdue end.

    One look at all of them now and then: a timer for each call costs 0.02 ms (measured).
    """

    def watch(self, every_s: float) -> None:
        """End what is overdue, now and every so many seconds."""
        loop, now = asyncio.get_running_loop(), loop_time()
        self._next = loop.call_later(every_s, self.watch, every_s)
        for sending in self.values():
            if now < sending.deadline or sending.connection is None:
                continue
            if (transport := sending.connection.transport) is not None:  # else its answer is whole already
                sending.overdue = True
                transport.abort()  # who reads from it hears of it, or takes it for the end of an answer without length

    def close(self) -> None:
        """Look no more."""
        self._next.cancel()

    def asking(self) -> type[aiohttp.ClientRequest]:
        """The class of the session's requests: each asks its exchange for leave before it sends a byte."""
        under_way = self

        class Request(aiohttp.ClientRequest):
            async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
                sending = under_way[self.headers["X-Request-ID"]]
                await sending.leave(self.headers)
                sending.sent, sending.connection = True, conn
                sending.deadline = loop_time() + sending.answer_s
                return await super().send(conn)

        return Request


class Transport:
    """Exchanges requests for answers with one host; `answer_s` is the patience with an answer, from the send."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        under_way: _UnderWay,
        *,
        base_url: str,
        proxy: str | None = None,
        answer_s: Mapping[Kind, float] = ANSWER_S,
    ) -> None:
        self._session = session
        self._under_way = under_way
        self._base = URL(base_url)
        self._proxy = proxy
        self._answer_s = answer_s

    async def exchange(
        self,
        request: Request,
        *,
        request_id: str,
        apikey: str | None,
        leave: Callable[[Headers], Awaitable[None]],
    ) -> Answer:
        """Send one request and read its whole answer. `leave` is awaited before the first byte and may raise.

        Raises Refusal when no whole answer came; nothing is ever sent twice.
        """
        sending = _Sending(leave, self._answer_s[request.kind])
        self._under_way[request_id] = sending
        try:
            answer = await self._exchange(request, request_id, apikey)
        except PipelineError:
            raise
        except (aiohttp.ClientError, OSError, ValueError, EOFError) as exc:
            if not sending.overdue:
                # `from None`: aiohttp's errors carry the URL, and the URL carries the apikey (found in 5 of 7 kinds).
                raise _translated(exc, sent=sending.sent) from None
        else:
            if not sending.overdue:
                return answer
        finally:
            del self._under_way[request_id]
        raise Refusal("no_answer", detail=f"no whole answer in {sending.answer_s:g} s")

    async def _exchange(self, request: Request, request_id: str, apikey: str | None) -> Answer:
        query = [*request.query, ("apikey", apikey)] if apikey else request.query
        headers = {"X-Request-ID": request_id, "Accept": "application/json"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        large = request.body is not None and len(request.body) > _LARGE_BODY
        async with self._session.request(
            request.method,
            self._base.with_path(request.path).with_query(query) if query else self._base.with_path(request.path),
            data=io.BytesIO(request.body or b"") if large else request.body,
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            cap = wire.MAX_TOKEN_BYTES if request.kind is Kind.TOKEN else wire.MAX_ANSWER_BYTES
            body = await _read(response, cap)
            return Answer(response.status, body, request_id, time.time(), response.headers)


@asynccontextmanager
async def open_transport(
    base_url: str,
    *,
    proxy: str | None = None,
    ca_file: str | None = None,
    answer_s: Mapping[Kind, float] = ANSWER_S,
) -> AsyncIterator[Transport]:
    """Open the connections to one host; close them at the end. Raises SpecError for an unreadable `ca_file`."""
    try:
        tls: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
    except OSError as exc:
        raise SpecError(f"api.ca_file: cannot read {ca_file}: {exc.strerror or 'no certificates in it'}") from None
    under_way = _UnderWay()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ssl=tls),
        timeout=aiohttp.ClientTimeout(total=None, connect=2 * CONNECT_S, sock_connect=CONNECT_S),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"infringement-pipeline/{__version__}"},
        request_class=under_way.asking(),
    )
    async with session:
        _never_resend(session)
        under_way.watch(min(1.0, min(answer_s.values()) / 10))
        try:
            yield Transport(session, under_way, base_url=base_url, proxy=proxy, answer_s=answer_s)
        finally:
            under_way.close()


def _never_resend(session: aiohttp.ClientSession) -> None:
    """Switch off aiohttp's own resend of GETs: 50 lost answers became 100 paid searches (aiohttp #10790).

    Raises RunStopped for an aiohttp without that switch, or without the `send` in which leave is asked.
    """
    if not hasattr(session, "_retry_connection") or not hasattr(aiohttp.ClientRequest, "send"):
        raise RunStopped("this aiohttp may send paid calls twice; install aiohttp>=3.14,<3.15", code=Code.AIOHTTP)
    session._retry_connection = False


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """Read a body of at most `cap` decoded bytes: half a megabyte of gzip can hold half a gigabyte."""
    parts: list[bytes] = []
    size = 0
    while part := await response.content.readany():
        size += len(part)
        if size > cap:
            response.close()
            raise Refusal("too_large", detail=f"over {cap:,} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _translated(exc: Exception, *, sent: bool) -> Refusal:
    """Turn a foreign error into a refusal; only its class and the host are kept, its text may hold the URL."""
    name = type(exc).__name__
    if sent:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return Refusal("certificate", detail=name)
        condition = "malformed" if isinstance(exc, aiohttp.ClientPayloadError | ValueError) else "no_answer"
        return Refusal(condition, detail=name)
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return Refusal("certificate", detail=name)
    if isinstance(exc, aiohttp.ClientConnectorError):
        reason = exc.os_error.strerror or type(exc.os_error).__name__
        return Refusal("not_sent", detail=f"{exc.host}:{exc.port}: {reason}")
    return Refusal("not_sent", detail=name)
