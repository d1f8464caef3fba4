"""Faulty delivery of an answer: one function for each kind of fault."""

import asyncio
import gzip
import io
import socket
import struct
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import hdrs, web

from pipeline.sandbox.envelope import Answer, failure
from pipeline.sandbox.faults import Fault, FaultPlan
from pipeline.sandbox.shapes import SHAPES, of_another, reshaped

_DRIPS = 20
_DISCONNECT_POLL_S = 0.5
_NO_DATA = b'{"status":true,"error_code":0,"error_msg":""}'
_INTERNAL_ERROR = 67200000
_GARBAGE = b'\x89{"data": {"patent_messages": [\xff\xfe, not json \x00'


class Delivery(NamedTuple):
    """One call that goes wrong.

    answer: what would have been sent; None when the call was not executed
    closing: set when the sandbox ends, so that nothing waits any longer
    """

    request: web.Request
    fault: Fault
    answer: Answer | None
    plan: FaultPlan
    closing: asyncio.Event


async def deliver(delivery: Delivery) -> web.StreamResponse:
    """Answer one call as its fault demands."""
    return await _WAYS.get(delivery.fault.kind, _refuse)(delivery)


def respond(answer: Answer, *, status: int = 200) -> web.Response:
    """Build the ordinary response. Its status is 200 for business errors, too."""
    return web.Response(
        status=status,
        body=answer.body,
        headers={
            "Content-Type": "application/json;charset=utf-8",
            "x-correlation-id": str(uuid.uuid4()),
            "x-openapi-amount": str(answer.units),
        },
    )


async def _refuse(delivery: Delivery) -> web.StreamResponse:
    """Send an error code in an envelope, or for `http_<status>` the page that a gateway sends."""
    kind, executed = delivery.fault
    if not kind.startswith("http_"):
        return respond(_refusal(int(kind), executed=executed))
    number, _, code = kind.removeprefix("http_").partition("_")
    status = int(number)
    if code:
        response = respond(_refusal(int(code), executed=executed), status=status)
    elif status < HTTPStatus.BAD_REQUEST and delivery.answer is not None:
        response = respond(delivery.answer, status=status)
    else:
        response = _page(status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = "1"
    return response


def _refusal(code: int, *, executed: bool) -> Answer:
    # The vendor's pages give this code two texts; the one for a call that took effect is that of its quick start.
    return failure(code, text="Server Internal Error!" if executed and code == _INTERNAL_ERROR else None)


def _page(status: int) -> web.Response:
    names = {known.value: known.phrase for known in HTTPStatus}
    title = f"{status} {names.get(status, 'Error')}"
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body>\r\n</html>\r\n"
    return web.Response(status=status, body=page.encode(), headers=_headers("text/html"))


async def _hang(delivery: Delivery) -> web.StreamResponse:
    """Send nothing until the client disconnects or the sandbox ends."""
    while delivery.request.transport is not None and not delivery.closing.is_set():
        await _wait(delivery.closing, _DISCONNECT_POLL_S)
    return _cut(delivery.request)


async def _reset(delivery: Delivery) -> web.StreamResponse:
    return _cut(delivery.request)


async def _garbage(_: Delivery) -> web.StreamResponse:
    return web.Response(body=_GARBAGE, headers=_headers("application/json"))


async def _bomb(delivery: Delivery) -> web.StreamResponse:
    headers = {**_headers("application/json"), hdrs.CONTENT_ENCODING: "gzip"}
    # Packing 256 MiB takes most of a second; in the event loop it would delay every other call.
    return web.Response(body=await asyncio.to_thread(_packed_bomb, delivery.plan.bomb_bytes), headers=headers)


async def _redirect(delivery: Delivery) -> web.StreamResponse:
    # The target is this sandbox, so that a client that follows is seen in the statistics.
    location = f"/redirected{delivery.request.path}"
    return web.Response(status=307, headers={**_headers("text/html"), hdrs.LOCATION: location})


async def _truncated(delivery: Delivery) -> web.StreamResponse:
    body = _body(delivery)
    response = await _started(delivery.request, len(body))
    with suppress(ConnectionError):
        await response.write(body[: len(body) // 2])
    if delivery.request.transport is not None:
        delivery.request.transport.close()  # unlike abort(), it sends what was written
    return response


async def _slow(delivery: Delivery) -> web.StreamResponse:
    body = _body(delivery)
    response = await _started(delivery.request, len(body))
    size = max(1, -(-len(body) // _DRIPS))
    with suppress(ConnectionError):
        for start in range(0, len(body), size):
            await _wait(delivery.closing, delivery.plan.drip_s / _DRIPS)
            await response.write(body[start : start + size])
    return response


async def _late(delivery: Delivery) -> web.StreamResponse:
    await _wait(delivery.closing, delivery.plan.late_s)
    return respond(delivery.answer or failure(67200100))


async def _no_data(delivery: Delivery) -> web.StreamResponse:
    units = delivery.answer.units if delivery.answer else 0
    return respond(Answer(_NO_DATA, units=units))


async def _reshape(delivery: Delivery) -> web.StreamResponse:
    assert delivery.answer is not None
    return respond(reshaped(delivery.fault.kind, delivery.answer))


async def _another(delivery: Delivery) -> web.StreamResponse:
    assert delivery.answer is not None
    return respond(of_another(delivery.answer))


_WAYS: dict[str, Callable[[Delivery], Awaitable[web.StreamResponse]]] = {
    "hang": _hang,
    "reset": _reset,
    "garbage": _garbage,
    "bomb": _bomb,
    "redirect": _redirect,
    "truncated": _truncated,
    "slow": _slow,
    "late": _late,
    "no_data": _no_data,
    "another": _another,
    **dict.fromkeys(SHAPES, _reshape),
}


def _headers(content_type: str) -> dict[str, str]:
    return {hdrs.CONTENT_TYPE: content_type, "x-correlation-id": str(uuid.uuid4())}


def _body(delivery: Delivery) -> bytes:
    return delivery.answer.body if delivery.answer else b""


async def _started(request: web.Request, length: int) -> web.StreamResponse:
    response = web.StreamResponse(headers=_headers("application/json"))
    response.content_length = length
    await response.prepare(request)
    return response


def _cut(request: web.Request) -> web.StreamResponse:
    """Reset the connection: closing a socket that may not linger sends RST."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()  # is never sent: the connection is gone


async def _wait(closing: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await closing.wait()


@lru_cache(maxsize=2)
def _packed_bomb(size: int) -> bytes:
    """Pack an envelope with `size` blanks in its text, a block at a time, so that it is never in memory unpacked."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(b'{"data":"')
        block = b" " * 2**20
        for start in range(0, size, len(block)):
            file.write(block[: size - start])
        file.write(b'","status":true,"error_code":0,"error_msg":""}')
    return packed.getvalue()
