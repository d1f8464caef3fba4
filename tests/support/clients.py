"""A client at any URL, composed as in a run; the calls that tests make with it, and a meter that writes them down."""

import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.calls.access import Fetch, Sleep
from pipeline.calls.client import Client
from pipeline.calls.limiter import Limiter
from pipeline.calls.stats import Stats
from pipeline.calls.transport import PATIENCE_S, open_transport
from pipeline.endpoints.interface import Creation
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.ai39_2 import ReportQuery
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.errors import CallError, GivenUp
from pipeline.models import KINDS, Choice, Hits, Kind, Task
from pipeline.reports import Report

PRODUCT = "https://sandbox.invalid/products/bag-0.jpg"
API_KEY = Credentials(api_key="sandbox-key")
CLIENT = Credentials(client_id="sandbox", client_secret="sandbox-secret")
HIT = b'{"patent_id":"1","patent_pn":"USD0554568S1","title":"Bag","url":"https://img.example/1.png","score":0.9}'
CHOICE = Choice(array=b"[" + HIT + b"]", count=1, dropped=0)
SOON_S = dict.fromkeys(Kind, 0.25)  # patience that tests in virtual time reach in few steps
LATER_S = dict.fromkeys(Kind, 0.6)


@dataclass(slots=True)
class FakeMeter:
    """Writes down what a call reports, in order; `forbid` is raised by `before`."""

    forbid: Exception | None = None
    on_before: Callable[[], None] | None = None
    noted: list[str] = field(default_factory=list)  # request ids
    calls: Counter[Kind] = field(default_factory=Counter)
    taken_back: list[bool] = field(default_factory=list)  # of each not_executed, whether its attempt was sent
    log: list[str] = field(default_factory=list)
    refusals: int = 0

    async def before(self, kind: Kind, request_id: str) -> None:
        self.log.append("before")
        if self.on_before:
            self.on_before()
        if self.forbid is not None:
            raise self.forbid
        self.noted.append(request_id)

    def sent(self, kind: Kind) -> None:
        self.log.append("sent")
        self.calls[kind] += 1

    def not_executed(self, kind: Kind) -> None:
        self.taken_back.append(self.log[-1:] == ["sent"])
        self.log.append("not_executed")

    def refused(self) -> None:
        self.refusals += 1

    def may_exist(self) -> None:
        pass

    @property
    def total(self) -> int:
        return self.calls.total()


@dataclass(slots=True, eq=False)
class BareAttempt:
    """An attempt with nothing to prepare; `on_depart` may forbid it."""

    request_id: str = "id-1"
    apikey: str | None = None
    sent: bool = False
    on_depart: Callable[[], None] = lambda: None

    async def depart(self, headers: object, require_open: Callable[[], None]) -> None:
        require_open()
        self.on_depart()


@asynccontextmanager
async def client_at(
    url: str,
    *,
    qps: float = 1000.0,
    credentials: Credentials = API_KEY,
    patience_s: Mapping[Kind, float] = PATIENCE_S,
    on_sent: Callable[[Kind, float], None] | None = None,
    share_tokens: Callable[[Fetch, Sleep], Fetch] | None = None,
    **transport: Any,
) -> AsyncIterator[Client]:
    """A client as the application composes it."""
    async with open_transport(url, patience_s=patience_s, **transport) as opened:
        limiters = {kind: Limiter(qps) for kind in KINDS}
        yield Client(opened, credentials, limiters, stats=Stats(on_sent=on_sent), share_tokens=share_tokens)


async def search(client: Client, meter: FakeMeter | None = None, *, url: str = PRODUCT) -> Hits:
    """One search of the shipped product."""
    return await client.call(P009Search(limit=3), url, meter or FakeMeter())


async def create(client: Client, meter: FakeMeter | None = None, *, choice: Choice = CHOICE) -> Task:
    """One create with one hit."""
    return await client.call(TaskCreation("en"), Creation(PRODUCT, choice), meter or FakeMeter())


async def query(client: Client, meter: FakeMeter | None = None, *, task_id: str = "t-1") -> Report:
    """One question for a report."""
    return await client.call(ReportQuery(), task_id, meter or FakeMeter())


class Call(NamedTuple):
    """A call that tests can make without knowing which."""

    kind: Kind
    make: Callable[..., Any]


SEARCH, CREATE, QUERY = Call(Kind.SEARCH, search), Call(Kind.CREATE, create), Call(Kind.QUERY, query)


async def failure_of(client: Client, call: Call, meter: FakeMeter | None = None) -> CallError:
    """The error a call ends with; fails when it succeeds."""
    with pytest.raises((CallError, GivenUp)) as caught:
        await call.make(client, meter or FakeMeter())
    return caught.value.error if isinstance(caught.value, GivenUp) else caught.value


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 that only its own file vouches for."""

    file: Path
    server: ssl.SSLContext
