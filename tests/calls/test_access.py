"""Credentials that never show, and a token that one caller fetches for all."""

from collections.abc import Callable
from urllib.parse import quote

import anyio
import pytest
from yarl import URL

from pipeline.calls.access import Auth, Credentials, credentials_from
from pipeline.endpoints.patsnap.wire import Token
from pipeline.errors import CallError, RunPaused, RunStopped, SpecError
from pipeline.models import Kind
from tests.calls.conftest import API_KEY, CLIENT, FakeMeter, Start, client_at, search

pytestmark = pytest.mark.anyio


class Desk:
    """Hands out numbered tokens; `now` is the clock, `takes_s` moves it while a token is on its way."""

    def __init__(self, *, lifetime_s: float = 1800.0, takes_s: float = 0.0) -> None:
        self.now = 1000.0
        self.asked = 0
        self.lifetime_s = lifetime_s
        self.takes_s = takes_s
        self.failure: Callable[[], CallError] | None = None

    async def fetch(self) -> Token:
        self.asked += 1
        await anyio.sleep(0.01)
        if self.failure is not None:
            raise self.failure()
        self.now += self.takes_s
        return Token(f"token-{self.asked}", self.lifetime_s)

    def auth(self, credentials: Credentials = CLIENT) -> Auth:
        return Auth(credentials, fetch=self.fetch, clock=lambda: self.now)


# --- the token ---


async def test_of_a_hundred_callers_one_fetches_the_token() -> None:
    desk = Desk()
    auth = desk.auth()
    async with anyio.create_task_group() as callers:
        for _ in range(100):
            callers.start_soon(auth.ready)
    assert desk.asked == 1
    assert auth.bearer == "token-1"


async def test_an_api_key_is_its_own_token_and_never_ages() -> None:
    desk = Desk()
    auth = desk.auth(API_KEY)
    desk.now = 1e12
    await auth.ready()
    assert (auth.bearer, auth.apikey, desk.asked) == ("sandbox-key", None, 0)


async def test_with_client_credentials_the_apikey_is_the_client_id() -> None:
    assert Desk().auth().apikey == "sandbox"


async def test_a_token_is_renewed_at_five_sixths_of_its_life() -> None:
    desk = Desk(lifetime_s=1800.0)
    auth = desk.auth()
    await auth.ready()
    desk.now += 1499.0
    await auth.ready()
    assert desk.asked == 1
    desk.now += 2.0
    await auth.ready()
    assert (desk.asked, auth.bearer) == (2, "token-2")


async def test_a_token_ages_from_before_it_was_asked_for() -> None:
    desk = Desk(lifetime_s=1800.0, takes_s=100.0)
    auth = desk.auth()
    await auth.ready()
    desk.now += 1399.0
    await auth.ready()
    assert desk.asked == 1
    desk.now += 2.0
    await auth.ready()
    assert desk.asked == 2


async def test_a_refused_token_is_fetched_anew_once_for_all_who_had_it() -> None:
    desk = Desk()
    auth = desk.auth()
    await auth.ready()

    async def refused_then_ready() -> None:
        auth.refused("token-1", "refused")
        await auth.ready()

    async with anyio.create_task_group() as callers:
        for _ in range(50):
            callers.start_soon(refused_then_ready)
    assert (desk.asked, auth.bearer) == (2, "token-2")


async def test_three_fresh_tokens_refused_in_a_row_stop_the_run() -> None:
    desk = Desk()
    auth = desk.auth()
    for _ in range(2):
        await auth.ready()
        auth.refused(auth.bearer, "no")
    await auth.ready()
    with pytest.raises(RunStopped, match="PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET") as caught:
        auth.refused(auth.bearer, "no")
    assert caught.value.exit_code == 3


async def test_late_refusals_of_an_old_token_do_not_count() -> None:
    desk = Desk()
    auth = desk.auth()
    await auth.ready()
    auth.refused("token-1", "no")
    await auth.ready()
    for _ in range(10):
        auth.refused("token-1", "no")
    await auth.ready()
    assert desk.asked == 2


async def test_an_accepted_call_between_refusals_starts_the_count_anew() -> None:
    desk = Desk()
    auth = desk.auth()
    for _ in range(10):
        await auth.ready()
        auth.refused(auth.bearer, "no")
        auth.accepted()
    await auth.ready()
    assert desk.asked == 11


async def test_a_refused_api_key_stops_the_run_at_once() -> None:
    auth = Desk().auth(API_KEY)
    await auth.ready()
    with pytest.raises(RunStopped, match="PATSNAP_API_KEY") as caught:
        auth.refused(auth.bearer, "no")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("ends_with", [RunPaused, RunStopped])
async def test_callers_who_wait_for_a_token_share_its_failure(ends_with: type[CallError]) -> None:
    """A vendor that is down was asked four times for each waiting call before the run could end."""
    desk = Desk()
    desk.failure = lambda: ends_with("no access token", code="x")
    auth = desk.auth()
    failures: list[CallError] = []

    async def ask() -> None:
        with pytest.raises(ends_with) as caught:
            await auth.ready()
        failures.append(caught.value)

    async with anyio.create_task_group() as callers:
        for _ in range(100):
            callers.start_soon(ask)
    assert desk.asked == 1
    assert {(failure.message, failure.code) for failure in failures} == {("no access token", "x")}
    assert len({id(failure) for failure in failures}) == 100  # each may be marked with its own request


# --- against the sandbox ---


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


async def test_tokens_of_three_seconds_lose_no_search(sandbox: Start) -> None:
    server = sandbox(token_lifetime_s=3)
    meters = [FakeMeter() for _ in range(200)]
    async with client_at(server.url, credentials=CLIENT, qps=50) as client, anyio.create_task_group() as callers:
        for meter in meters:
            callers.start_soon(search, client, meter)
    assert server.stats.executed["search"] == 200
    assert server.stats.calls("search") == sum(meter.total for meter in meters)
    assert 2 <= server.stats.calls("token") <= 5


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


# --- credentials ---


def test_credentials_show_nothing_of_themselves() -> None:
    secret = Credentials(client_id="my-id", client_secret="my-secret", api_key="my-key")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>50}", repr([secret])):
        assert "my-" not in shown
        assert secret.basic.removeprefix("Basic ") not in shown
    assert repr(API_KEY) == "Credentials(API key)"


def test_the_forms_in_which_credentials_could_show_are_known() -> None:
    odd = "a/b+c&d=e%f:g@é!?*'(),;$~"
    forms = Credentials(client_id=odd, client_secret="s3cret", api_key="k3y").secrets
    url = str(URL("https://a.example").with_query([("apikey", odd)]))
    assert {odd, "s3cret", "k3y", quote(odd, safe="")} <= set(forms)
    assert any(form in url for form in forms)
    assert Credentials(client_id="sandbox", client_secret="sandbox-secret").basic.removeprefix("Basic ") in (
        CLIENT.secrets
    )
    assert Credentials().secrets == ()


ID, SECRET, KEY = "PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET", "PATSNAP_API_KEY"


def test_client_credentials_win_over_an_api_key_and_it_is_said() -> None:
    credentials, remark = credentials_from({ID: "i", SECRET: "s", KEY: "k"})
    assert credentials == Credentials(client_id="i", client_secret="s")
    assert remark is not None
    assert KEY in remark


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({ID: "i", SECRET: "s"}, Credentials(client_id="i", client_secret="s")),
        ({ID: " i\n", SECRET: "\ts "}, Credentials(client_id="i", client_secret="s")),
        ({KEY: "k"}, Credentials(api_key="k")),
        ({KEY: "k", ID: "i"}, Credentials(api_key="k")),
    ],
    ids=["client", "surrounding blanks", "key", "half a client and a key"],
)
def test_either_kind_of_credentials_is_enough(environment: dict[str, str], expected: Credentials) -> None:
    assert credentials_from(environment) == (expected, None)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, f"{ID} and {SECRET}, or {KEY}"),
        ({ID: "  "}, "no credentials"),
        ({ID: "i"}, f"{SECRET} is missing"),
        ({SECRET: "s"}, f"{ID} is missing"),
        ({KEY: "with space"}, KEY),
        ({KEY: "zero\x00byte"}, KEY),
        ({ID: "i", SECRET: "line\r\nbreak"}, SECRET),
        ({ID: "no\u00a0break", SECRET: "s"}, ID),
        ({ID: "tab\there", SECRET: "s"}, ID),
        ({KEY: "right\u202eto left"}, KEY),
    ],
)
def test_odd_credentials_are_refused_in_one_line_without_showing_them(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SpecError) as caught:
        credentials_from(environment)
    (line,) = caught.value.lines
    assert named in line
    assert line.isprintable()
    assert not any(value.strip() and value.strip() in line for value in environment.values() if len(value.strip()) > 2)
