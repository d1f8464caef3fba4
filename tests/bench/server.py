"""A vendor that costs next to nothing: canned answers over a raw asyncio protocol, in a process of its own.

It parses no more of HTTP than Content-Length, so it could serve several times what any client here asks for: it tells
its CPU seconds at the end, and `compare` makes head-room of them. `latency_s` delays each answer and holds nothing but
a timer.
"""

import argparse
import asyncio
import json
import resource
import sys
import time

HITS = 100
ANSWER_BYTES = 73_000


def search_answer(hits: int = HITS, size: int = ANSWER_BYTES) -> bytes:
    """An answer of about `size` bytes with `hits` hits, as the vendor's real ones are."""
    per_hit = max(40, size // max(1, hits) - 150)
    messages = [
        {
            "patent_id": f"{n:08x}-7e1c-5d1e-9a7b-2f0c9b1d{n:04x}",
            "patent_pn": f"USD{n:07}S1",
            "title": "Elektrischer Wasserkocher " + "x" * (per_hit // 4),
            "url": "https://images.example.com/" + "a" * (per_hit - per_hit // 4),
            "score": round(0.99 - n / 1000, 4),
        }
        for n in range(hits)
    ]
    data = {"patent_messages": messages, "total_search_result_count": 20783}
    return json.dumps({"data": data, "status": True, "error_code": 0, "error_msg": ""}, separators=(",", ":")).encode()


def _response(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Vendor(asyncio.Protocol):
    """One connection; `arrivals` (path, time) is shared by all."""

    def __init__(self, answer: bytes, latency_s: float, arrivals: list[tuple[str, float]]) -> None:
        self._search = _response(answer)
        self._latency_s = latency_s
        self._arrivals = arrivals
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest = data if not self._rest else self._rest + data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._rest) < end + 4 + length:
                return
            self._rest = self._rest[end + 4 + length :]
            self._arrived(head.split(b" ", 2)[1])

    def _arrived(self, target: bytes) -> None:
        path = "create" if b"creation" in target else "search" if b"search" in target else "arrivals"
        if path == "arrivals":
            self._send(_response(json.dumps(self._arrivals).encode()))
            self._arrivals.clear()
            return
        self._arrivals.append((path, time.monotonic()))
        response = self._search
        if path == "create":
            task_id = f"task-{len(self._arrivals):08}"
            response = _response(b'{"data":{"task_id":"%s"},"status":true,"error_code":0}' % task_id.encode())
        if self._latency_s:
            self._loop.call_later(self._latency_s, self._send, response)
        else:
            self._send(response)

    def _send(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)


async def serve(latency_s: float, size: int, hits: int) -> None:
    """Serve until the parent closes our stdin; print the port first, the worst delay of a 5 ms timer last."""
    arrivals: list[tuple[str, float]] = []
    answer = search_answer(hits, size)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Vendor(answer, latency_s, arrivals), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    lags = []
    while not ended.done():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - before - 0.005)
    lags.sort()
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "lag_p99_ms": lags[int(len(lags) * 0.99)] * 1e3,
        "lag_max_ms": lags[-1] * 1e3,
        "cpu_s": used.ru_utime + used.ru_stime,
        "pictures": sum(path == "create" for path, _ in arrivals),
    }
    print(json.dumps(told), flush=True)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--size", type=int, default=ANSWER_BYTES)
    parser.add_argument("--hits", type=int, default=HITS)
    given = parser.parse_args()
    asyncio.run(serve(given.latency, given.size, given.hits))
