"""The bearer of the moment: a token that one caller fetches for all, or an API key."""

from collections.abc import Callable

import anyio
import pytest

from pipeline.calls.access import RENEW_AT, Access
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.oauth import Token
from pipeline.errors import CallError, RunPaused, RunStopped, TryAgain
from pipeline.models import Kind
from pipeline.system.masking import masked
from tests.support.clients import API_KEY, CLIENT, FakeMeter, client_at, search
from tests.support.fixtures import Start

pytestmark = pytest.mark.anyio


class Desk:
    """Hands out numbered tokens; `now` is the clock, `takes_s` moves it while a token is on its way."""

    def __init__(self, *, lifetime_s: float = 1800.0, takes_s: float = 0.0) -> None:
        self.now = 1000.0
        self.asked = 0
        self.lifetime_s = lifetime_s
        self.takes_s = takes_s
        self.failure: Callable[[], CallError] | None = None
        self.refused = "not asked yet"

    async def fetch(self, refused: str) -> Token:
        self.asked += 1
        self.refused = refused
        await anyio.sleep(0.01)
        if self.failure is not None:
            raise self.failure()
        self.now += self.takes_s
        return Token(f"token-{self.asked}", self.lifetime_s)

    def access(self, credentials: Credentials = CLIENT) -> Access:
        return Access(credentials, fetch=self.fetch, clock=lambda: self.now)


# --- the token ---


async def test_of_a_hundred_callers_one_fetches_the_token() -> None:
    desk = Desk()
    access = desk.access()
    async with anyio.create_task_group() as callers:
        for _ in range(100):
            callers.start_soon(access.ready)
    assert desk.asked == 1
    assert access.bearer == "token-1"


async def test_whoever_brings_a_token_is_told_which_one_was_refused_last() -> None:
    desk = Desk()
    access = desk.access()
    await access.ready()
    assert desk.refused == ""
    access.refused("token-0", "not valid")  # one that is no longer used: nothing is fetched for it
    await access.ready()
    access.refused(access.bearer, "not valid")
    await access.ready()
    assert (desk.asked, desk.refused) == (2, "token-1")


async def test_an_api_key_is_its_own_token_and_never_ages() -> None:
    desk = Desk()
    access = desk.access(API_KEY)
    desk.now = 1e12
    await access.ready()
    access.renew()  # as after a sleep of the machine
    await access.ready()
    assert (access.bearer, access.apikey, desk.asked) == ("sandbox-key", None, 0)


async def test_with_client_credentials_the_apikey_is_the_client_id() -> None:
    assert Desk().access().apikey == "sandbox"


async def test_a_token_is_renewed_at_five_sixths_of_its_life() -> None:
    desk = Desk(lifetime_s=1800.0)
    access = desk.access()
    await access.ready()
    desk.now += 1499.0
    await access.ready()
    assert desk.asked == 1
    desk.now += 2.0
    await access.ready()
    assert (desk.asked, access.bearer) == (2, "token-2")


async def test_a_token_ages_from_before_it_was_asked_for() -> None:
    desk = Desk(lifetime_s=1800.0, takes_s=100.0)
    access = desk.access()
    await access.ready()
    desk.now += 1399.0
    await access.ready()
    assert desk.asked == 1
    desk.now += 2.0
    await access.ready()
    assert desk.asked == 2


async def test_a_refused_token_is_fetched_anew_once_for_all_who_had_it() -> None:
    desk = Desk()
    access = desk.access()
    await access.ready()

    async def refused_then_ready() -> None:
        access.refused("token-1", "refused")
        await access.ready()

    async with anyio.create_task_group() as callers:
        for _ in range(50):
            callers.start_soon(refused_then_ready)
    assert (desk.asked, access.bearer) == (2, "token-2")


async def test_three_fresh_tokens_refused_in_a_row_stop_the_run() -> None:
    desk = Desk()
    access = desk.access()
    for _ in range(2):
        await access.ready()
        access.refused(access.bearer, "no")
    await access.ready()
    with pytest.raises(RunStopped, match="PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET") as caught:
        access.refused(access.bearer, "no")
    assert caught.value.exit_code == 3


async def test_late_refusals_of_an_old_token_do_not_count() -> None:
    desk = Desk()
    access = desk.access()
    await access.ready()
    access.refused("token-1", "no")
    await access.ready()
    for _ in range(10):
        access.refused("token-1", "no")
    await access.ready()
    assert desk.asked == 2


async def test_an_accepted_call_between_refusals_starts_the_count_anew() -> None:
    desk = Desk()
    access = desk.access()
    for _ in range(10):
        await access.ready()
        access.refused(access.bearer, "no")
        access.answered()
    await access.ready()
    assert desk.asked == 11


async def test_a_refused_api_key_stops_the_run_at_once() -> None:
    access = Desk().access(API_KEY)
    await access.ready()
    with pytest.raises(RunStopped, match="PATSNAP_API_KEY") as caught:
        access.refused(access.bearer, "no")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("ends_with", [RunPaused, RunStopped, TryAgain])
async def test_callers_who_wait_for_a_token_share_its_failure(ends_with: type[CallError]) -> None:
    """A vendor that is down was asked four times for each waiting call before the run could end."""
    desk = Desk()
    desk.failure = lambda: ends_with("no access token", code="x")
    access = desk.access()
    failures: list[CallError] = []

    async def ask() -> None:
        with pytest.raises(ends_with) as caught:
            await access.ready()
        failures.append(caught.value)

    async with anyio.create_task_group() as callers:
        for _ in range(100):
            callers.start_soon(ask)
    assert desk.asked == 1
    assert {(failure.message, failure.code) for failure in failures} == {("no access token", "x")}
    assert len({id(failure) for failure in failures}) == 100  # each may be marked with its own request


async def test_after_a_failure_that_may_pass_the_next_caller_asks_for_a_token_again() -> None:
    desk = Desk()
    desk.failure = lambda: TryAgain("not reached", code="not_sent", sent=False)
    access = desk.access()
    with pytest.raises(TryAgain):
        await access.ready()
    desk.failure = None
    await access.ready()
    assert (desk.asked, access.bearer) == (2, "token-2")


async def test_a_token_is_masked_wherever_it_is_said_from_the_moment_it_came() -> None:
    desk = Desk()

    async def fetch(_refused: str) -> Token:
        return Token("canary-of-an-access-token", 1800.0)

    await Access(CLIENT, fetch=fetch, clock=lambda: desk.now).ready()
    assert "canary" not in masked("the vendor says: canary-of-an-access-token is not valid")


# --- against the sandbox ---


@pytest.mark.proofs
@pytest.mark.parametrize("shape", ["flat", "nested"])
async def test_client_credentials_work_with_both_shapes_of_token(sandbox: Start, shape: str) -> None:
    server = sandbox(token_shape=shape)
    async with client_at(server.url, credentials=CLIENT) as client, anyio.create_task_group() as callers:
        for _ in range(100):
            callers.start_soon(search, client)
    assert server.stats.calls("token") == client.stats.sent[Kind.TOKEN] == 1
    assert server.stats.outcomes["search"] == {"ok": 100}


async def test_an_api_key_works_without_a_token_call(sandbox: Start) -> None:
    server = sandbox()
    async with client_at(server.url) as client:
        await search(client)
    assert server.stats.calls("token") == 0
    assert server.stats.outcomes["search"] == {"ok": 1}


@pytest.mark.proofs
async def test_tokens_of_three_seconds_lose_no_search(sandbox: Start) -> None:
    server = sandbox(token_lifetime_s=3)
    meters = [FakeMeter() for _ in range(200)]
    began = anyio.current_time()
    async with client_at(server.url, credentials=CLIENT, qps=50) as client, anyio.create_task_group() as callers:
        for meter in meters:
            callers.start_soon(search, client, meter)
    assert server.stats.executed["search"] == 200
    assert server.stats.calls("search") == sum(meter.total for meter in meters)
    assert 2 <= server.stats.calls("token") <= 1 + (anyio.current_time() - began) / (RENEW_AT * 3)


async def test_a_wrong_secret_stops_the_run_after_one_token_call(sandbox: Start) -> None:
    server = sandbox()
    wrong = Credentials(client_id="sandbox", client_secret="something else")
    meter = FakeMeter()
    async with client_at(server.url, credentials=wrong) as client:
        with pytest.raises(RunStopped, match="PATSNAP_CLIENT_SECRET"):
            await search(client, meter)
    assert server.stats.calls("token") == 1
    assert (server.stats.calls("search"), meter.total, meter.noted) == (0, 0, [])


async def test_a_wrong_api_key_stops_the_run_after_one_search(sandbox: Start) -> None:
    server = sandbox()
    async with client_at(server.url, credentials=Credentials(api_key="wrong")) as client:
        with pytest.raises(RunStopped, match="PATSNAP_API_KEY"):
            await search(client)
    assert server.stats.calls("search") == 1
