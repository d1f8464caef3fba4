"""One HTTP exchange over aiohttp: connect, let the attempt depart, send, read; every failure becomes a Refusal.

Only the request itself knows whether it was sent: aiohttp awaits its `send` once it has a connection. The type of an
exception does not tell, for a wait for a connection and a lost answer both raise TimeoutError. So the attempt departs
in `send`: there it makes its intent durable and takes its permit. A trace hook could do the same, for 0.04 ms more a
call (measured): it builds the URL twice, and an object for each hook that nobody asked for.
"""

import asyncio
import functools
import io
import math
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import msgspec
from yarl import URL

from pipeline.calls.connection import Proofs, deliver_soon_or_never
from pipeline.calls.machine import raise_if_of_this_machine
from pipeline.calls.proxy import raise_if_of_the_proxy
from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.errors import Code, PipelineError, RunStopped, SpecError
from pipeline.models import Kind
from pipeline.system.clock import loop_time
from pipeline.system.fault import Fault
from pipeline.version import __version__

CONNECT_S = 5.0
# How long to wait for a whole answer, from the send on. The vendor's maximum is 10 s. A timeout that comes too early
# costs another search, or leaves a create in doubt: so creates wait six times as long.
PATIENCE_S = {
    Kind.UPLOAD: 60.0,
    Kind.SEARCH: 15.0,
    Kind.CREATE: 60.0,
    Kind.QUERY: 15.0,
    Kind.TOKEN: 15.0,
    Kind.DETAILS: 30.0,
}
# Reuse a connection only long before any server closes it (5 s at the shortest in use): a create that meets the close
# is in doubt for nothing (measured: 69 of 600 at the server's edge).
KEEP_ALIVE_S = 2.0
# A watch that wakes so late was stopped, or slept with its machine: answers that came meanwhile lie in the sockets, and
# get so long to be read before anything is judged overdue.
LATE_S, GRACE_S = 0.5, 2.0
_LARGE_BODY = 512 << 10  # bytes; a larger body goes as a file, which aiohttp writes in pieces

Headers = Any  # aiohttp's CIMultiDict of the request about to be sent; may still be changed


class Outgoing(Protocol):
    """An attempt as its exchange sees it.

    request_id  the X-Request-ID
    apikey      the query parameter; None for a call without
    sent        set by the exchange, once a byte may have left
    """

    request_id: str
    sent: bool

    @property
    def apikey(self) -> str | None: ...

    async def depart(self, headers: Headers, require_open: Callable[[], None]) -> None:
        """Prepare to send, with a connection; may change the headers, or raise so that nothing is sent.

        `require_open` raises unless the connection is still open; it is the last thing before the call is counted.
        """


class _UnderWay(msgspec.Struct):
    """An exchange under way.

    patience_s  how long to wait for the answer, from the send on
    deadline    when that ends, on the loop's clock; infinite before the send
    connection  the connection that the request was sent over; None before
    overdue     True once the connection was closed because the answer did not come in time
    """

    attempt: Outgoing
    patience_s: float
    deadline: float = math.inf
    connection: aiohttp.connector.Connection | None = None
    overdue: bool = False


class _Exchanges(dict[str, _UnderWay]):
    """The exchanges of a session by X-Request-ID; closes the connections of those that are overdue.

    All of them are looked at now and then: a timer for each call costs 0.02 ms (measured).
    """

    def watch(self, every_s: float, due: float = math.inf) -> None:
        """Close the connections of overdue exchanges, now and every so many seconds; `due` is when it was to wake."""
        now = loop_time()
        self._next = asyncio.get_running_loop().call_later(every_s, self.watch, every_s, now + every_s)
        if now - due > LATE_S:
            for exchange in self.values():
                exchange.deadline = max(exchange.deadline, now + min(GRACE_S, exchange.patience_s))
            return
        for exchange in self.values():
            if now < exchange.deadline or exchange.connection is None:
                continue
            if (transport := exchange.connection.transport) is not None:  # else its answer is whole already
                # The reader then gets ClientError or, for an answer without Content-Length, a clean end: `overdue`
                # tells that from the end of an answer.
                exchange.overdue = True
                transport.abort()

    def close(self) -> None:
        """Watch no longer."""
        self._next.cancel()

    def request_class(self) -> type[aiohttp.ClientRequest]:
        """Make the class of the session's requests: each lets its attempt depart before it sends a byte."""
        exchanges, proofs = self, Proofs()

        class Request(aiohttp.ClientRequest):
            async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
                exchange = exchanges[self.headers["X-Request-ID"]]
                await exchange.attempt.depart(self.headers, functools.partial(proofs.require_open, conn))
                proofs.used(conn)
                exchange.attempt.sent, exchange.connection = True, conn
                exchange.deadline = loop_time() + exchange.patience_s
                return await super().send(conn)

        return Request


class Transport:
    """Exchanges requests for answers with one host; `patience_s` is how long to wait for them, from the send on."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        exchanges: _Exchanges,
        *,
        base_url: str,
        proxy: str | None = None,
        patience_s: Mapping[Kind, float] = PATIENCE_S,
    ) -> None:
        self._session = session
        self._exchanges = exchanges
        self._base = URL(base_url)
        self._urls: dict[str, URL] = {}  # by path, of which the endpoints have a handful
        self._proxy = proxy
        self._patience_s = patience_s

    async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
        """Let an attempt depart, send its request once and read the whole answer.

        Raises Refusal when no whole answer came, WrongProxy where a proxy lets none through, and what `depart` raised;
        `attempt.sent` says whether a byte may have left. Nothing is ever sent twice.
        """
        exchange = _UnderWay(attempt, self._patience_s[request.kind])
        self._exchanges[attempt.request_id] = exchange
        try:
            answer = await self._exchange(request, attempt.request_id, attempt.apikey)
        except PipelineError:
            raise
        except (aiohttp.ClientError, OSError, ValueError, EOFError) as exc:
            if not exchange.overdue:
                if not attempt.sent:
                    raise_if_of_this_machine(exc)
                    raise_if_of_the_proxy(exc, self._proxy, host=self._base.authority)
                # `from None`: aiohttp's errors carry the URL, and the URL carries the apikey (found in 5 of 7 kinds).
                raise _translated(exc, sent=attempt.sent) from None
        else:
            if not exchange.overdue:
                return answer
        finally:
            del self._exchanges[attempt.request_id]
        raise Refusal("no_answer", detail=f"no whole answer in {exchange.patience_s:g} s")

    async def _exchange(self, request: Request, request_id: str, apikey: str | None) -> Answer:
        query = [*request.query, ("apikey", apikey)] if apikey else request.query
        headers = {"X-Request-ID": request_id, "Accept": "application/json"}
        if request.content_type:
            headers["Content-Type"] = request.content_type
        large = request.body is not None and len(request.body) > _LARGE_BODY
        url = self._urls.get(request.path)
        if url is None:
            url = self._urls[request.path] = self._base.with_path(request.path)
        async with self._session.request(
            request.method,
            url.with_query(query) if query else url,
            data=io.BytesIO(request.body or b"") if large else request.body,
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            body = await _read(response, request.most_bytes)
            return Answer(response.status, body, request_id, time.time(), response.headers)


@asynccontextmanager
async def open_transport(
    base_url: str,
    *,
    proxy: str | None = None,
    ca_file: str | None = None,
    patience_s: Mapping[Kind, float] = PATIENCE_S,
    drop_late: bool = False,
) -> AsyncIterator[Transport]:
    """Open the connections to one host; close them at the end. Raises SpecError for an unreadable `ca_file`.

    With `drop_late` the system gives up what it could not deliver (`connection.deliver_soon_or_never`).
    """
    try:
        tls: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
    except OSError as exc:
        what = f"cannot read {ca_file}: {exc.strerror or 'no certificates in it'}"
        raise SpecError(Fault(what, where="api.ca_file")) from None
    exchanges = _Exchanges()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=KEEP_ALIVE_S,
            ssl=tls,
            socket_factory=deliver_soon_or_never if drop_late else None,
        ),
        timeout=aiohttp.ClientTimeout(total=None, connect=2 * CONNECT_S, sock_connect=CONNECT_S),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"infringement-pipeline/{__version__}"},
        request_class=exchanges.request_class(),
    )
    async with session:
        _never_resend(session)
        exchanges.watch(min(1.0, min(patience_s.values()) / 10))
        try:
            yield Transport(session, exchanges, base_url=base_url, proxy=proxy, patience_s=patience_s)
        finally:
            exchanges.close()


def _never_resend(session: aiohttp.ClientSession) -> None:
    """Switch off aiohttp's own resend of GETs: 50 lost answers became 100 paid searches (aiohttp #10790).

    Raises RunStopped for an aiohttp without that switch, or without the `send` in which attempts depart.
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
    """Turn a foreign error into a refusal; only its class and the host are kept, its text may hold the URL.

    1. Sent: the certificate was refused in a later handshake, the answer is broken (`malformed`), or it did not come.
    2. Not sent: the certificate or TLS was refused, or there was no connection; then the system says why.
    """
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
    # What cannot be written as a request says nothing of the vendor: nobody waits for it.
    return Refusal("not_sent", code="not_built" if isinstance(exc, ValueError) else "", detail=name)
