"""T10: an account with a real token bucket and tokens of thirty minutes, over hours of virtual time.

The vendor stands where the transport stands, the client and its limiters are the real ones. Whatever is asked for, what
goes out settles at what the account allows, hardly any call is refused, and no call is lost.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio
import pytest

from pipeline.calls.client import Client
from pipeline.calls.limiter import Limiter
from pipeline.calls.transport import Outgoing
from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import CallError, GivenUp, RunPaused, RunStopped, Stopping
from pipeline.models import PAID, Kind
from tests.support.lengths import lengths, some
from tests.support.virtual_time import run_virtually
from tests.support.virtual_vendor import GOOD, create, search

pytestmark = pytest.mark.proofs

MINUTE = 60.0
TOKEN_S = 30 * MINUTE
START_S = 1000.0  # what the virtual loop's clock shows at first
TOO_FAST, BAD_TOKEN, FULL = 67200002, 67200003, 67200000


@dataclass
class Bucket:
    """So many calls a second, and `burst` at once after a pause."""

    rate: Callable[[float], float]
    burst: float
    level: float = 0.0
    at: float = START_S

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate(now - START_S))
        self.at = now
        if self.level < 1.0 - 1e-9:
            return False
        self.level -= 1.0
        return True


@dataclass
class Account:
    """The vendor's side of one account: a bucket per kind of call, tokens that expire, and what was seen."""

    rate: Callable[[float], float]
    burst: float
    latency_s: Callable[[int], float] = lambda number: 0.2
    refusal_s: float | None = None  # where a gateway refuses, it does so at once
    too_fast: Callable[[], Answer] = lambda: envelope(TOO_FAST)
    trouble: Callable[[float], int] = lambda at: 0  # a code for all calls at a time
    revoked_at: float = float("inf")
    answered: list[tuple[Kind, float]] = field(default_factory=list)
    refused: list[tuple[Kind, float]] = field(default_factory=list)
    bad_tokens: list[float] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._buckets = {kind: Bucket(self.rate, self.burst, self.burst) for kind in PAID}
        self._number = 0

    async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
        headers: dict[str, str] = {}
        await attempt.depart(headers, lambda: None)
        attempt.sent = True
        refused = len(self.refused)
        answer = self._answer(request, headers.get("Authorization", ""))
        self._number += 1
        at_the_gate = len(self.refused) > refused and self.refusal_s is not None
        await anyio.sleep(self.refusal_s or 0.0 if at_the_gate else self.latency_s(self._number))
        return answer

    def _answer(self, request: Request, authorization: str) -> Answer:
        now = anyio.current_time()
        if request.kind is Kind.TOKEN:
            self.tokens[f"Bearer token-{len(self.tokens)}"] = now
            body = {"token": f"token-{len(self.tokens) - 1}", "expires_in": int(TOKEN_S), "status": "approved"}
            return Answer(200, json.dumps(body).encode(), "asked", 0.0)
        issued = self.tokens.get(authorization, float("-inf"))
        if now >= issued + TOKEN_S or issued < START_S + self.revoked_at <= now:
            self.bad_tokens.append(now)
            return envelope(BAD_TOKEN)
        if code := self.trouble(now - START_S):
            return envelope(code)
        if not self._buckets[request.kind].take(now):
            self.refused.append((request.kind, now - START_S))
            return self.too_fast()
        self.answered.append((request.kind, now - START_S))
        return envelope(0, GOOD[request.kind])


def envelope(code: int, data: object = None) -> Answer:
    whole = {"status": code == 0, "error_code": code, "error_msg": "", "data": data}
    return Answer(200, json.dumps(whole).encode(), "asked", 0.0)


@dataclass
class Load:
    """The outcome of a run of some hours."""

    account: Account
    client: Client
    ended: list[Exception] = field(default_factory=list)

    def rate(self, since: float, until: float, kind: Kind = Kind.SEARCH) -> float:
        """Calls a second that were let in."""
        return sum(since <= at < until for of, at in self.account.answered if of is kind) / (until - since)

    def refused_share(self, since: float, until: float) -> float:
        refused = sum(since <= at < until for _, at in self.account.refused)
        return refused / max(1, refused + sum(since <= at < until for _, at in self.account.answered))


async def loaded(account: Account, *, qps: float, seconds: float, workers: int, kinds: str = "s") -> Load:
    """So many workers call without a pause until it is time; what ends a call is kept, what ends the run ends it."""
    limiters = {kind: Limiter(qps) for kind in PAID}
    client = Client(account, Credentials(client_id="id", client_secret="secret"), limiters)  # type: ignore[arg-type]
    load = Load(account, client)

    async def work(number: int) -> None:
        call = create if kinds[number % len(kinds)] == "c" else search
        while True:
            try:
                await call(client)
            except Stopping:
                return
            except (RunPaused, RunStopped) as error:
                load.ended.append(error)
                client.stop()
            except (CallError, GivenUp) as error:
                load.ended.append(error)

    async with anyio.create_task_group() as around:
        for number in range(workers):
            around.start_soon(work, number)
        with anyio.move_on_after(seconds):
            while not any(isinstance(error, RunPaused | RunStopped) for error in load.ended):
                await anyio.sleep(1.0)
        client.stop()
    return load


@pytest.fixture(autouse=True)
def virtual_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens age in virtual time, too."""
    monkeypatch.setattr("pipeline.calls.client.steady", anyio.current_time)


def run(account: Account, *, qps: float, minutes: float, workers: int = 0, kinds: str = "s") -> Load:
    workers = workers or max(4, round(3 * qps * account.latency_s(0)))

    async def scenario() -> Load:
        return await loaded(account, qps=qps, seconds=minutes * MINUTE, workers=workers, kinds=kinds)

    return run_virtually(scenario)


def steady_at(rate: float) -> Callable[[float], float]:
    return lambda at: rate


def http_429(**headers: str) -> Callable[[], Answer]:
    return lambda: Answer(429, b"<html>", "asked", 0.0, headers)


# Calls a second asked for and allowed, calls at once after a pause, and what else is odd about the vendor.
CONVERGES: dict[str, tuple[float, float, float, dict[str, Any]]] = {
    "as much as is allowed": (5, 5, 5, {}),
    "as much as is allowed, and no two at once": (5, 5, 1, {}),
    "one a second": (1, 1, 1, {}),
    "one in two seconds": (0.5, 0.5, 1, {}),
    "a fifth too much": (6, 5, 5, {}),
    "half as much again": (15, 10, 10, {}),
    "double": (10, 5, 5, {}),
    "five times too much": (25, 5, 5, {}),
    "five times too much, and no two at once": (25, 5, 1, {}),
    "ten times too much": (50, 5, 5, {}),
    "ten times too much, and no two at once": (50, 5, 1, {}),
    "double, answered after ten seconds": (10, 5, 5, {"latency_s": lambda number: 10.0, "refusal_s": 0.2}),
    "double, answered after up to ten seconds": (
        10,
        5,
        5,
        {"latency_s": lambda number: number * 7919 % 100 / 10, "refusal_s": 0.2},
    ),
    "double, refused with HTTP 429": (10, 5, 5, {"too_fast": http_429()}),
    "double, refused with HTTP 429 and Retry-After": (10, 5, 5, {"too_fast": http_429(**{"Retry-After": "1"})}),
}


NAMED = (
    "as much as is allowed, and no two at once",
    "one in two seconds",
    "half as much again",
    "ten times too much",
    "double, answered after up to ten seconds",
    "double, refused with HTTP 429 and Retry-After",
)


@pytest.mark.parametrize("case", some(CONVERGES, *NAMED))
def test_whatever_is_asked_for_the_rate_settles_at_what_the_account_allows(case: str) -> None:
    """Within 15 % of it, at most 2 % of the calls refused, and none given up."""
    asked, allowed, burst, odd = CONVERGES[case]
    minutes = 10.0
    workers = round(asked * 10) + 5 if "answered" in case else round(asked * 0.5) + 4
    load = run(Account(steady_at(allowed), burst, **odd), qps=asked, minutes=minutes, workers=workers)
    half, end = minutes * MINUTE / 2, minutes * MINUTE
    assert 0.85 * allowed <= load.rate(half, end) <= 1.02 * allowed
    assert load.refused_share(half, end) <= (0.02 if asked > allowed else 0.0)
    assert load.ended == []


def test_searches_and_creates_settle_each_at_their_own_limit() -> None:
    load = run(Account(steady_at(5.0), 5.0), qps=10.0, minutes=10.0, workers=16, kinds="sc")
    for kind in (Kind.SEARCH, Kind.CREATE):
        assert 4.25 <= load.rate(300, 600, kind) <= 5.1
    assert load.refused_share(300, 600) <= 0.02
    assert load.ended == []


def test_a_limit_that_falls_is_found_again_and_one_that_rises_is_used_again() -> None:
    """Half as much from the tenth minute on, all of it again from the twentieth."""
    account = Account(lambda at: 3.0 if 600 <= at < 1200 else 6.0, 3.0)
    load = run(account, qps=6.0, minutes=30.0)
    assert load.rate(60, 600) >= 5.7
    assert 2.55 <= load.rate(780, 1200) <= 3.06
    assert load.refused_share(780, 1200) <= 0.02
    assert load.rate(1440, 1800) >= 5.1
    assert load.ended == []


@pytest.mark.parametrize("hours", lengths(long=2, thorough=3))
def test_for_hours_no_call_meets_an_expired_token(hours: int) -> None:
    """Each token serves 25 of its 30 minutes, and is fetched once for all calls."""
    load = run(Account(steady_at(0.5), 1.0), qps=0.5, minutes=60.0 * hours, workers=2)
    assert load.account.bad_tokens == []
    issued = list(load.account.tokens.values())
    assert len(issued) == load.client.stats.sent[Kind.TOKEN] == math.ceil(60 * hours / 25)
    assert all(25 * MINUTE <= later - earlier < 30 * MINUTE for earlier, later in pairwise(issued))
    assert load.ended == []


def test_a_token_that_is_revoked_costs_one_refresh_and_no_call() -> None:
    load = run(Account(steady_at(5.0), 5.0, revoked_at=300.0), qps=5.0, minutes=10.0, workers=10)
    assert len(load.account.tokens) == 2
    assert 0 < len(load.account.bad_tokens) <= 4  # those that left before the first refusal was answered
    assert load.ended == []
    assert load.rate(0, 600) >= 4.75


def test_a_platform_that_is_full_for_five_minutes_is_asked_a_few_times_and_then_used_as_before() -> None:
    account = Account(steady_at(5.0), 5.0, trouble=lambda at: FULL if 300 <= at < 600 else 0)
    load = run(account, qps=5.0, minutes=20.0)
    sent = load.client.limiters[Kind.SEARCH].sent
    assert 0 < sent - len(load.account.answered) <= 40
    assert load.rate(960, 1200) >= 4.75
    assert load.ended == []


def test_a_quota_that_is_refused_like_speed_ends_the_run_to_be_resumed() -> None:
    """From the tenth minute on nothing is let in: after 15 minutes at the lowest rate that is known for what it is."""
    load = run(Account(lambda at: 5.0 if at < 600 else 0.0, 1.0), qps=5.0, minutes=120.0)
    paused = [error for error in load.ended if isinstance(error, RunPaused)]
    assert paused
    assert {error.code for error in paused} == {"quota"}
    assert {error.exit_code for error in paused} == {4}
    assert max(at for _, at in load.account.refused) < 600 + 20 * MINUTE
    assert len(load.account.refused) <= 600  # half a call a second
