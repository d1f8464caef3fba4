"""One exchange against servers that behave badly: what was sent, what was counted, what follows.

Every case runs as a search and as a create, through the client with its real transport; only the patience is shorter.
"""

import gzip
import os
import ssl
import tracemalloc
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from pipeline.calls.transport import PATIENCE_S, _translated, open_transport
from pipeline.endpoints.interface import Answer, Creation, Refusal, Request
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.errors import (
    GivenUp,
    InDoubt,
    RunPaused,
    RunStopped,
    SpecError,
    TryAgain,
    WrongProxy,
)
from pipeline.models import Kind
from pipeline.sources.pictures import Picture
from tests.support import misbehaving as bad
from tests.support import virtual_vendor as virtual
from tests.support.clients import (
    API_KEY,
    CHOICE,
    CLIENT,
    CREATE,
    LATER_S,
    SEARCH,
    SOON_S,
    BareAttempt,
    Call,
    Certificate,
    FakeMeter,
    client_at,
    create,
    failure_of,
    search,
)
from tests.support.misbehaving import (
    AFTER_SENDING,
    CREATED,
    NO_HITS,
    Misbehaving,
    Proxied,
    Seen,
    answers,
    closed_port,
    http,
)
from tests.support.virtual_time import run_virtually, virtual_backend
from tests.support.virtual_vendor import VirtualVendor, client_of, outcome

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


GOOD = {Kind.SEARCH: http(200, NO_HITS), Kind.CREATE: http(200, CREATED)}


@pytest.mark.parametrize("case", AFTER_SENDING)
async def test_a_lost_or_broken_answer_is_counted_and_classified(case: str, call: Call, no_jitter: None) -> None:
    """A create is in doubt at once; a search is repeated, each time counted; the server saw what the meter counted."""
    script, code = AFTER_SENDING[case]
    meter = FakeMeter()
    async with Misbehaving(script) as server, client_at(server.url, patience_s=SOON_S) as client:
        error = await failure_of(client, call, meter)
    assert type(error) is (InDoubt if call is CREATE else TryAgain)
    assert error.sent
    assert error.code == code or not code
    assert server.arrived == meter.total == client.stats.sent[call.kind] == (1 if call is CREATE else 4)
    assert meter.taken_back == ([] if call is CREATE else [True] * 4)
    assert len(set(meter.noted)) == meter.total
    assert error.request_id == meter.noted[-1]


async def test_a_reset_before_anything_was_read_never_loses_count(call: Call, no_jitter: None) -> None:
    """It is luck here whether a byte got out; but no arrival may go uncounted."""
    meter = FakeMeter()
    async with Misbehaving(bad.reset_at_once) as server, client_at(server.url) as client:
        error = await failure_of(client, call, meter)
    assert server.arrived <= meter.total <= server.connections
    assert type(error) is (InDoubt if call is CREATE and meter.total else TryAgain)


@pytest.mark.proofs
async def test_a_refused_connection_is_not_sent_and_tried_again(call: Call, no_jitter: None) -> None:
    meter = FakeMeter()
    async with closed_port() as url, client_at(url) as client:
        error = await failure_of(client, call, meter)
    assert (type(error), error.code, error.sent) == (RunPaused, "vendor_down", False)
    assert "127.0.0.1" in error.message
    assert set(meter.log) == {"not_executed"}
    assert (len(meter.log) > 10, any(meter.taken_back)) == (True, False)
    assert (client.stats.sent[call.kind], client.stats.retried) == (0, 0)


async def test_a_silent_listener_is_in_doubt_only_for_a_create(call: Call, no_jitter: None) -> None:
    """The connection stands (the kernel accepted it), so the bytes left, and nobody can tell who read them."""
    meter = FakeMeter()
    async with Misbehaving(bad.hang) as server, client_at(server.url, patience_s=SOON_S) as client:
        error = await failure_of(client, call, meter)
    assert "0.25 s" in error.message
    assert server.arrived == meter.total


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int, call: Call) -> None:
    """A followed 307 sends the body and the Authorization header to whoever it names."""
    meter = FakeMeter()
    async with (
        Misbehaving(answers(GOOD[call.kind])) as elsewhere,
        Misbehaving(bad.redirect(status, f"{elsewhere.url}/stolen")) as server,
        client_at(server.url) as client,
    ):
        error = await failure_of(client, call, meter)
    assert type(error) is (InDoubt if call is CREATE else RunStopped)
    assert (elsewhere.connections, elsewhere.seen) == (0, [])
    assert server.arrived == meter.total == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "nonsense", ""])
async def test_the_content_type_does_not_decide_what_an_answer_is(content_type: str, call: Call) -> None:
    said = NO_HITS if call is SEARCH else CREATED
    async with (
        Misbehaving(answers(http(200, said, content_type=content_type))) as server,
        client_at(server.url) as client,
    ):
        assert await call.make(client)


async def test_a_gzip_answer_is_read(call: Call) -> None:
    said = gzip.compress(NO_HITS if call is SEARCH else CREATED)
    async with (
        Misbehaving(answers(http(200, said, "Content-Encoding: gzip"))) as server,
        client_at(server.url) as client,
    ):
        assert await call.make(client)


@pytest.mark.proofs
async def test_a_gzip_bomb_costs_no_memory() -> None:
    """A hundred kilobytes of gzip hold 128 MiB: the cap counts what comes out."""
    script = bad.bomb(128 << 20)
    bad.packed(128 << 20)  # which takes memory itself
    async with Misbehaving(script) as server, client_at(server.url) as client:
        tracemalloc.start()
        try:
            error = await failure_of(client, CREATE)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (type(error), error.code) == (InDoubt, "too_large")
    assert peak < 32 << 20


async def test_an_answer_of_two_megabytes_is_read_whole() -> None:
    """The cap is above any real answer."""
    hits = b",".join([b'{"title":"' + b"x" * 18_000 + b'"}'] * 100)
    body = b'{"data":{"patent_messages":[%b]},"status":true}' % hits
    async with Misbehaving(answers(http(200, body))) as server, client_at(server.url) as client:
        assert len((await search(client)).scores) == 100


@pytest.mark.parametrize("size", [100, 101])
async def test_an_answer_may_be_as_large_as_its_endpoint_says_and_no_larger(size: int) -> None:
    request = Request(Kind.SEARCH, "GET", "/image-search/search", most_bytes=100)
    async with Misbehaving(answers(http(200, b"x" * size))) as server, open_transport(server.url) as opened:
        if size <= 100:
            assert len((await opened.exchange(request, BareAttempt())).body) == size
        else:
            with pytest.raises(Refusal, match="too_large"):
                await opened.exchange(request, BareAttempt())


async def test_nothing_is_kept_of_exchanges_that_are_over() -> None:
    request = Request(Kind.SEARCH, "GET", "/image-search/search")
    async with (
        Misbehaving(bad.close_without_answer, answers(http(200, b"{}"))) as server,
        open_transport(server.url) as opened,
    ):
        with pytest.raises(Refusal, match="no_answer"):
            await opened.exchange(request, BareAttempt("lost"))
        await opened.exchange(request, BareAttempt("answered"))
        assert opened._exchanges == {}


async def test_an_unknown_certificate_stops_the_run_before_a_byte_leaves(self_signed: Certificate, call: Call) -> None:
    meter = FakeMeter()
    async with (
        Misbehaving(answers(GOOD[call.kind]), tls=self_signed.server) as server,
        client_at(server.url) as client,
    ):
        error = await failure_of(client, call, meter)
    assert (type(error), error.code, error.sent) == (RunStopped, "certificate", False)
    assert (server.arrived, meter.total, meter.noted) == (0, 0, [])


async def test_plain_http_behind_an_https_url_is_not_sent(call: Call, no_jitter: None) -> None:
    """The handshake fails: none of ours has left."""

    async def no_tls(caller: bad.Caller) -> None:
        await caller.first_byte()
        await caller.say(http(400, b"speak HTTP"))

    meter = FakeMeter()
    async with Misbehaving(no_tls) as server, client_at(server.url.replace("http:", "https:")) as client:
        error = await failure_of(client, call, meter)
    assert isinstance(error, RunStopped | TryAgain)
    assert not error.sent
    assert meter.total == 0


async def test_a_ca_file_vouches_for_a_host(self_signed: Certificate, call: Call) -> None:
    async with (
        Misbehaving(answers(GOOD[call.kind]), tls=self_signed.server) as server,
        client_at(server.url, ca_file=str(self_signed.file)) as client,
    ):
        assert await call.make(client)
    assert server.arrived == 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["missing", "empty", "nonsense"])
async def test_an_unreadable_ca_file_is_a_fault_of_the_spec(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SpecError, match=r"api\.ca_file"):
        async with open_transport("https://127.0.0.1:1", ca_file=str(file)):
            raise AssertionError("opened")


# --- patience ---


async def test_a_search_that_hangs_is_given_up_and_repeated(no_jitter: None) -> None:
    async with (
        Misbehaving(bad.hang, answers(GOOD[Kind.SEARCH])) as server,
        client_at(server.url, patience_s=LATER_S) as client,
    ):
        assert await search(client)
    assert (server.arrived, client.stats.retried) == (2, 1)


async def test_the_patience_with_each_kind_is_as_agreed() -> None:
    agreed = {Kind.UPLOAD: 60.0, Kind.SEARCH: 15.0, Kind.CREATE: 60.0, Kind.TOKEN: 15.0}
    assert agreed | {Kind.DETAILS: 30.0, Kind.QUERY: 15.0} == PATIENCE_S


# --- the moment of sending ---


async def test_what_fails_before_the_attempt_departed_was_not_sent() -> None:
    def disk_fails() -> None:
        raise OSError("a disk, not the network")

    request = TaskCreation("en").request(Creation("https://a.example/1", CHOICE))
    async with Misbehaving(answers(GOOD[Kind.CREATE])) as server, open_transport(server.url) as opened:
        with pytest.raises(Refusal) as caught:
            await opened.exchange(request, BareAttempt(on_depart=disk_fails))
        await anyio.sleep(0.05)
    assert (caught.value.condition, server.arrived) == ("not_sent", 0)


async def test_the_patience_with_an_answer_starts_at_the_send(call: Call) -> None:
    """Waiting for a permit or a disk does not count, though the answer then takes as long as it may."""

    class SlowMeter(FakeMeter):
        async def before(self, kind: Kind, request_id: str) -> None:
            await anyio.sleep(2 * LATER_S[kind])

    async def slow_answer(caller: bad.Caller) -> None:
        await caller.request()
        await anyio.sleep(LATER_S[call.kind] / 2)
        await caller.say(GOOD[call.kind])

    async with Misbehaving(slow_answer) as server, client_at(server.url, patience_s=LATER_S) as client:
        assert await call.make(client, SlowMeter())


# --- never twice ---


async def test_aiohttp_resends_no_get_whose_answer_was_lost(no_jitter: None) -> None:
    """aiohttp repeats idempotent calls by itself on a reused connection: 50 lost answers became 100 paid searches."""

    async def one_answer_then_lost(caller: bad.Caller) -> None:
        await caller.request()
        await caller.say(http(200, NO_HITS))
        await caller.request()

    meter = FakeMeter()
    async with Misbehaving(one_answer_then_lost) as server, client_at(server.url) as client:
        for _ in range(15):  # fewer losses than open the breaker
            await search(client, meter)
    assert client.stats.retried == len(meter.taken_back) == 14
    assert server.arrived == len(server.seen) == meter.total == client.stats.sent[Kind.SEARCH] == 29
    assert len({seen.headers["x-request-id"] for seen in server.seen}) == 29


async def test_without_the_switch_against_resending_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch is private to aiohttp; should a version lose it, no paid call may go out."""
    original = aiohttp.ClientSession.__init__

    def without(self: aiohttp.ClientSession, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        del self._retry_connection

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", without)
    with pytest.raises(RunStopped, match="twice") as caught:
        async with open_transport("http://127.0.0.1:1"):
            raise AssertionError("opened")
    assert caught.value.exit_code == 3


async def test_without_the_call_in_which_attempts_depart_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(aiohttp.ClientRequest, "send")
    with pytest.raises(RunStopped, match="twice"):
        async with open_transport("http://127.0.0.1:1"):
            raise AssertionError("opened")


async def test_the_switch_against_resending_is_set() -> None:
    async with open_transport("http://127.0.0.1:1") as opened:
        assert opened._session._retry_connection is False
        assert opened._session.trust_env is False
        assert isinstance(opened._session.cookie_jar, aiohttp.DummyCookieJar)


# --- what the server gets ---


async def exchange(url: str, request: Request, *, apikey: str | None = None) -> Answer:
    async with open_transport(url) as opened:
        return await opened.exchange(request, BareAttempt(apikey=apikey))


async def sent(request: Request, *, apikey: str | None = None) -> Seen:
    """The one request that a server gets."""
    async with Misbehaving(answers(http(200, b"{}"))) as server:
        await exchange(server.url, request, apikey=apikey)
    (seen,) = server.seen
    return seen


ODD = "https://a.example/a+b%20c/手 Sac à main.jpg?x=1&y=100%25&sig=a%2Bb%3D#part;'\"<>|^`{}\\~"


@pytest.mark.parametrize("apikey", [None, "client-1", "odd id+&=%/é"])
async def test_a_server_reads_the_query_that_was_meant(apikey: str | None) -> None:
    loc, assignees = "(01-01 OR 01-02)", "Émile & Söhne + 50%"
    asked = P009Search(limit=100, filters=P009Filters(loc=loc, assignees=assignees))
    seen = await sent(asked.request(ODD), apikey=apikey)
    expected = [("url", ODD), ("limit", "100"), ("loc", loc), ("assignees", assignees)]
    assert seen.query == expected + ([("apikey", apikey)] if apikey else [])
    assert (seen.method, seen.path) == ("GET", "/image-search/search")
    assert seen.headers["x-request-id"] == "id-1"
    assert seen.headers["user-agent"].startswith("infringement-pipeline/")
    assert "authorization" not in seen.headers  # that is the client's to add, at the moment of sending


async def test_a_server_reads_a_create_byte_for_byte() -> None:
    request = TaskCreation("en", ["US"]).request(Creation(ODD, CHOICE))
    seen = await sent(request, apikey="client-1")
    assert seen.body == request.body
    assert CHOICE.array in seen.body
    assert (seen.headers["content-type"], seen.query) == ("application/json", [("apikey", "client-1")])


@pytest.mark.parametrize("size", [100, 600_000, 4_096_000], ids=["small", "large", "largest"])
async def test_a_picture_travels_whole_and_with_its_length(size: int) -> None:
    request = PictureUpload().request(Picture(os.urandom(size), "jpeg", ""))
    seen = await sent(request)
    assert seen.body == request.body
    assert seen.headers["content-length"] == str(len(seen.body))
    assert "transfer-encoding" not in seen.headers
    assert seen.headers["content-type"] == request.content_type


async def test_cookies_are_neither_kept_nor_sent() -> None:
    async with (
        Misbehaving(answers(http(200, NO_HITS, "Set-Cookie: a=b"))) as server,
        client_at(server.url) as client,
    ):
        await search(client)
        await search(client)
    assert all("cookie" not in seen.headers for seen in server.seen)


# --- proxies ---


async def test_a_proxy_that_was_asked_for_is_used(call: Call) -> None:
    log: list[Proxied] = []
    meter = FakeMeter()
    async with (
        Misbehaving(answers(GOOD[call.kind])) as server,
        Misbehaving(bad.proxy(log)) as way,
        client_at(server.url, proxy=way.url) as client,
    ):
        await call.make(client, meter)
    (asked,) = log
    assert asked.target.startswith(server.url)
    assert server.arrived == meter.total == 1


async def test_through_a_tunnel_only_the_call_itself_counts(self_signed: Certificate, call: Call) -> None:
    """The CONNECT goes to the proxy, costs nothing and carries no secret."""
    log: list[Proxied] = []
    meter = FakeMeter()
    async with (
        Misbehaving(answers(GOOD[call.kind]), tls=self_signed.server) as server,
        Misbehaving(bad.proxy(log)) as way,
        client_at(server.url, proxy=way.url, ca_file=str(self_signed.file)) as client,
    ):
        await call.make(client, meter)
    assert log == [Proxied("CONNECT", server.url.removeprefix("https://"))]
    assert server.arrived == meter.total == 1


@pytest.mark.parametrize("status", [502, *(pytest.param(status, marks=pytest.mark.proofs) for status in (429, 504))])
async def test_a_proxy_that_does_not_reach_the_host_is_waited_for_as_an_absent_vendor(
    self_signed: Certificate, call: Call, status: int, no_jitter: None
) -> None:
    meter = FakeMeter()
    log: list[Proxied] = []
    async with (
        Misbehaving(bad.proxy(log, refuse=["CONNECT"], status=status)) as way,
        client_at("https://127.0.0.1:9", proxy=way.url, ca_file=str(self_signed.file)) as client,
    ):
        error = await failure_of(client, call, meter)
        assert f"not_sent: the proxy {way.url} did not reach 127.0.0.1:9: HTTP {status}" in error.message
    assert (type(error), error.code, error.sent) == (RunPaused, "vendor_down", False)
    assert len(log) > 10
    assert meter.total == 0


@pytest.mark.parametrize("credentials", [API_KEY, CLIENT], ids=["key", "token"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(407, "refused its credentials, which are wrong or missing (HTTP 407)", id="credentials"),
        pytest.param(403, "does not let 127.0.0.1:9 through (HTTP 403)", id="host"),
        pytest.param(405, "does not let 127.0.0.1:9 through (HTTP 405)", id="no tunnels"),
    ],
)
async def test_a_proxy_that_lets_nothing_through_ends_the_run_at_once_with_its_name_and_setting(
    self_signed: Certificate, call: Call, status: int, said: str, credentials: Credentials
) -> None:
    """Asked once: no later call could fare better. A password in the proxy's address is not in the line."""
    meter = FakeMeter()
    log: list[Proxied] = []
    async with (
        Misbehaving(bad.proxy(log, refuse=["CONNECT"], status=status)) as way,
        client_at(
            "https://127.0.0.1:9",
            proxy=way.url.replace("//", "//me:canary-password@"),
            ca_file=str(self_signed.file),
            credentials=credentials,
        ) as client,
    ):
        error = await failure_of(client, call, meter)
        assert f"the proxy {way.url} {said}" in error.message
    assert (type(error), error.code, error.exit_code, error.sent) == (WrongProxy, "proxy", 2, False)
    assert "api.proxy (or PATSNAP_PROXY)" in error.message
    assert "canary" not in error.message
    assert (len(log), meter.total, client.stats.sent[Kind.TOKEN]) == (1, 0, 0)


@pytest.mark.proofs
async def test_a_proxy_that_is_not_there_is_named_with_its_setting(call: Call, no_jitter: None) -> None:
    async with closed_port() as nobody, client_at("https://127.0.0.1:9", proxy=nobody) as client:
        error = await failure_of(client, call)
    assert (type(error), error.sent) == (RunPaused, False)
    assert f"the proxy {nobody}: " in error.message
    assert "api.proxy (or PATSNAP_PROXY)" in error.message


async def test_a_create_that_found_no_way_at_first_is_sent_exactly_once(
    self_signed: Certificate, no_jitter: None
) -> None:
    meter = FakeMeter()
    log: list[Proxied] = []
    ways = [bad.proxy(log, refuse=["CONNECT"], status=502), bad.reset_before_reading, bad.proxy(log)]
    async with (
        Misbehaving(answers(GOOD[Kind.CREATE]), tls=self_signed.server) as server,
        Misbehaving(*ways) as way,
        client_at(server.url, proxy=way.url, ca_file=str(self_signed.file)) as client,
    ):
        assert (await create(client, meter)).task_id == bad.TASK_ID
    assert meter.log == ["not_executed", "not_executed", "before", "sent"]
    assert (server.arrived, meter.total, client.stats.retried) == (1, 1, 0)


async def test_proxies_of_the_environment_are_ignored(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials go where the job says, not where a shell happens to point."""
    async with Misbehaving(answers(GOOD[call.kind])) as server, Misbehaving(bad.hang) as trap:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, trap.url)
        monkeypatch.setenv("no_proxy", "")
        async with client_at(server.url) as client:
            await call.make(client)
    assert (server.arrived, trap.connections) == (1, 0)


# --- certificates ---


def test_a_certificate_that_is_refused_stops_the_run_without_a_doubt() -> None:
    async def scenario() -> object:
        class Unreachable(VirtualVendor):
            async def exchange(self, *arguments: object, **options: object) -> Answer:
                raise _translated(ssl.SSLError(1, "expired"), sent=False)

        return await outcome(virtual.create(client_of(Unreachable(lambda *_: None))))

    assert isinstance(run_virtually(scenario), RunStopped)


def test_a_certificate_that_is_refused_after_the_send_is_in_doubt_and_carries_the_stop() -> None:
    async def scenario() -> object:
        refused = _translated(ssl.SSLCertVerificationError(1, "expired"), sent=True)
        return await outcome(virtual.create(client_of(VirtualVendor(lambda *_: refused))))

    ended = run_virtually(scenario)
    assert isinstance(ended, GivenUp)
    assert (type(ended.error), type(ended.ends_run)) == (InDoubt, RunStopped)
