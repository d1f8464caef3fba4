"""A canary in every credential: whatever goes wrong, none of its forms shows in an error or a log."""

import base64
import logging
import traceback
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import pytest
from yarl import URL

from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import PipelineError
from pipeline.system.masking import hide
from tests.support import misbehaving as bad
from tests.support.clients import SEARCH, SOON_S, Call, Certificate, FakeMeter, client_at, create, failure_of, search
from tests.support.misbehaving import (
    AFTER_SENDING,
    NO_HITS,
    Misbehaving,
    Proxied,
    Script,
    answers,
    by_path,
    closed_port,
    envelope,
    http,
)
from tests.support.virtual_time import virtual_backend

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


CANARY_CLIENT = Credentials(client_id="canary/id+&=é", client_secret="canary%secret?")
CANARY_KEY = Credentials(api_key="canary-key")
TOKEN = "canary.token~1"
ISSUED = http(200, b'{"token":"%b","expires_in":1799,"status":"approved"}' % TOKEN.encode())
SECRETS = ["canary/id+&=é", "canary%secret?", "canary-key", TOKEN]


def forms() -> set[str]:
    """Raw, percent-encoded in every usual way, and base64."""
    basic = base64.b64encode(b"canary/id+&=\xc3\xa9:canary%secret?").decode()
    found = {basic, "canary"}  # what all of them begin with
    for secret in SECRETS:
        found |= {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
        found.add(str(URL("http://a").with_query([("k", secret)])).partition("=")[2])
        found.add(base64.b64encode(secret.encode()).decode().rstrip("="))
    return found


def texts_of(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that somebody could print or log of an error, its causes included."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and len(chain) < 20:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    shown = [text for link in chain for text in (str(link), repr(link), repr(link.args))]
    shown += traceback.format_exception(error)
    shown += [record.getMessage() + str(record.exc_text or "") for record in caplog.records]
    return "\n".join([*shown, caplog.text])


def check(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    shown = texts_of(error, caplog)
    assert not [form for form in forms() if form in shown]


SAID = {
    str(code): answers(http(200, envelope(code)))
    for code in (67200003, 67200004, 67200005, 67200008, 67200009, 68300004, 67200100, 99999999)
} | {str(status): bad.then(http(status, b"no")) for status in (302, 401, 403, 404, 500)}
SCRIPTS: dict[str, Script] = {name: script for name, (script, _) in AFTER_SENDING.items()} | SAID


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_the_canary_would_be_found() -> None:
    assert any(form in f"GET {URL('http://a').with_query([('apikey', SECRETS[0])])}" for form in forms())
    assert CANARY_CLIENT.basic.removeprefix("Basic ") in forms()


def after_a_token(script: Script) -> Script:
    """The first connection gets a token; every other one meets the script."""

    async def vendor(caller: bad.Caller) -> None:
        if caller.server.connections > 1:
            await script(caller)
            return
        await caller.request()
        await caller.say(ISSUED.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))

    return vendor


@pytest.mark.proofs
@pytest.mark.parametrize("credentials", [CANARY_CLIENT, CANARY_KEY], ids=["client", "key"])
async def test_no_failure_of_a_call_shows_a_credential(
    credentials: Credentials, call: Call, no_jitter: None, caplog: pytest.LogCaptureFixture
) -> None:
    errors: dict[str, BaseException] = {}

    async def one(case: str) -> None:
        script = SCRIPTS[case] if credentials is CANARY_KEY else after_a_token(SCRIPTS[case])
        async with (
            Misbehaving(script) as server,
            client_at(server.url, credentials=credentials, patience_s=SOON_S) as client,
        ):
            with pytest.raises(PipelineError) as caught:
                await call.make(client, FakeMeter())
        assert client.stats.sent[call.kind] >= 1
        errors[case] = caught.value

    async with anyio.create_task_group() as cases:
        for case in SCRIPTS:
            cases.start_soon(one, case)
    assert set(errors) == set(SCRIPTS)
    for error in errors.values():
        check(error, caplog)


TOKEN_SAID: dict[str, Script] = {
    "refused": answers(http(200, envelope(67200003))),
    "400": answers(http(400, b'{"error":"invalid_client"}')),
    "401": answers(http(401, b"")),
    "no permission": answers(http(200, envelope(67200004))),
    "redirect": bad.redirect(307, "http://127.0.0.1:9/"),
    "garbage": bad.garbage,
    "half a body": bad.half_body,
    "lost": bad.reset_after_request,
    "not HTTP": bad.not_http,
}


async def test_no_failure_of_the_token_call_shows_a_credential(
    no_jitter: None, caplog: pytest.LogCaptureFixture
) -> None:
    errors: dict[str, BaseException] = {}

    async def one(case: str) -> None:
        async with (
            Misbehaving(TOKEN_SAID[case]) as server,
            client_at(server.url, credentials=CANARY_CLIENT, patience_s=SOON_S) as client,
        ):
            with pytest.raises(PipelineError) as caught:
                await create(client)
        assert server.arrived >= 1
        errors[case] = caught.value

    async with anyio.create_task_group() as cases:
        for case in TOKEN_SAID:
            cases.start_soon(one, case)
    assert set(errors) == set(TOKEN_SAID)
    for error in errors.values():
        check(error, caplog)


@pytest.mark.proofs
async def test_no_failure_on_the_way_shows_a_credential(
    call: Call, no_jitter: None, self_signed: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused, an unknown certificate, a proxy that refuses (whose own password is a secret, too)."""
    log: list[Proxied] = []
    async with (
        closed_port() as nobody,
        Misbehaving(answers(http(200, NO_HITS)), tls=self_signed.server) as server,
        Misbehaving(bad.proxy(log, refuse=["CONNECT"])) as way,
    ):
        password = way.url.replace("//", "//me:canary-password@")
        for url, proxy in ((nobody, None), (server.url, None), (server.url, password), (server.url, nobody)):
            async with client_at(url, credentials=CANARY_KEY, proxy=proxy) as client:
                with pytest.raises(PipelineError) as caught:
                    await call.make(client, FakeMeter())
            check(caught.value, caplog)
    assert {asked.method for asked in log} == {"CONNECT"}


@pytest.mark.proofs
async def test_a_base_url_that_cannot_be_used_shows_no_credential(
    call: Call, no_jitter: None, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_at("http://127.0.0.1:70", credentials=CANARY_KEY) as client:
        picture = "https://a.example/\ud800"  # no UTF-8: the URL cannot be built
        with pytest.raises(PipelineError) as caught:
            await search(client, url=picture)
    check(caught.value, caplog)


async def test_the_credentials_do_reach_the_vendor() -> None:
    """The other tests would pass if nothing was ever sent."""
    async with Misbehaving(by_path(token=ISSUED, search=http(200, NO_HITS))) as server:
        async with client_at(server.url, credentials=CANARY_CLIENT) as client:
            await SEARCH.make(client, FakeMeter())
        async with client_at(server.url, credentials=CANARY_KEY) as client:
            await SEARCH.make(client, FakeMeter())
    token, with_token, with_key = server.seen
    assert token.headers["authorization"] == CANARY_CLIENT.basic
    assert (with_token.headers["authorization"], dict(with_token.query)["apikey"]) == (f"Bearer {TOKEN}", SECRETS[0])
    assert (with_key.headers["authorization"], "apikey" in dict(with_key.query)) == ("Bearer canary-key", False)


async def test_a_secret_across_the_cut_of_a_long_correlation_id_is_masked_before_it_is_cut() -> None:
    """Of what is cut first a part would be left, which nothing knows any more."""
    hide(["a-secret-of-this-test-alone"])  # the register is one for the process, and other tests do without
    said = http(200, envelope(68300004), f"x-correlation-id: {'c' * 122}a-secret-of-this-test-alone")
    async with Misbehaving(answers(said)) as server, client_at(server.url) as client:
        error = await failure_of(client, SEARCH)
    assert error.correlation_id == "c" * 122 + "***"
