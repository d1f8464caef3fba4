"""A client on a transport without a network, in virtual time: every answer takes as long as a test says."""

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import anyio

from pipeline.calls.client import Client
from pipeline.calls.limiter import Limiter
from pipeline.calls.transport import Outgoing
from pipeline.endpoints.interface import Answer, Creation, Refusal, Request
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.errors import CallError, GivenUp, Stopping
from pipeline.models import PAID, Choice, Hits, Kind, Task
from pipeline.ports import Meter

ONE_HIT = Choice(b'[{"patent_id":"1","patent_pn":"US1","title":"x","url":"https://x/1"}]', 1, 0)
GOOD = {
    Kind.UPLOAD: {"url": "https://up.example/1.jpg", "expire": 32400},
    Kind.SEARCH: {"patent_messages": [], "total_search_result_count": 0},
    Kind.CREATE: {"task_id": "a-task"},
}

# A code, an HTTP status such as "503", a refusal, a dict of what a success says, or None for a good answer.
Reply = int | str | Refusal | dict[str, Any] | None


class VirtualVendor:
    """Stands where the transport stands. `reply` is asked when a call arrives, and answered `latency_s` later."""

    def __init__(self, reply: Callable[[Kind, int], Reply], *, latency_s: float = 0.0) -> None:
        self.sent: list[tuple[Kind, float]] = []  # when each left, on the loop's clock
        self.answered: list[tuple[Kind, float, Reply]] = []
        self._reply = reply
        self._latency_s = latency_s

    async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
        await attempt.depart({}, lambda: None)
        attempt.sent = True
        self.sent.append((request.kind, anyio.current_time()))
        reply = self._reply(request.kind, len(self.sent))
        await anyio.sleep(self._latency_s)
        self.answered.append((request.kind, anyio.current_time(), reply))
        if isinstance(reply, Refusal):
            raise reply
        if isinstance(reply, str):
            return Answer(int(reply), b"<html>", attempt.request_id, 0.0)
        if isinstance(reply, dict):
            return Answer(200, json.dumps({"status": True, **reply}).encode(), attempt.request_id, 0.0)
        whole = {"status": reply is None, "error_code": reply or 0, "error_msg": ""}
        if reply is None:
            whole["data"] = GOOD[request.kind]
        return Answer(200, json.dumps(whole).encode(), attempt.request_id, 0.0)

    def times(self, kind: Kind) -> list[float]:
        """The times at which the calls of a kind were sent."""
        return [at for sent, at in self.sent if sent is kind]


class PlainMeter:
    """Counts and allows everything."""

    def __init__(self) -> None:
        self.calls: list[Kind] = []
        self.taken_back = 0

    async def before(self, kind: Kind, request_id: str) -> None:
        pass

    def sent(self, kind: Kind) -> None:
        self.calls.append(kind)

    def not_executed(self, kind: Kind) -> None:
        self.taken_back += 1

    def refused(self) -> None:
        pass

    def may_exist(self) -> None:
        pass


def client_of(vendor: VirtualVendor, *, qps: float = 10, kinds: Iterable[Kind] = PAID, **parts: Any) -> Client:
    """A client with an API key: no token to fetch."""
    limiters = {kind: Limiter(qps) for kind in kinds}
    return Client(vendor, Credentials(api_key="a-key-of-ours"), limiters, **parts)  # type: ignore[arg-type]


async def outcome(call: Awaitable[object]) -> object:
    """Return what a call came to: its value, or the error it ended with."""
    try:
        return await call
    except (CallError, GivenUp, Stopping) as error:
        return error


async def search(client: Client, number: int = 1, *, meter: Meter | None = None) -> Hits:
    return await client.call(P009Search(limit=3), f"https://cdn.example/{number}.jpg", meter or PlainMeter())


async def create(client: Client, number: int = 1, *, meter: Meter | None = None) -> Task:
    asked = Creation(f"https://cdn.example/{number}.jpg", ONE_HIT)
    return await client.call(TaskCreation("en"), asked, meter or PlainMeter())
