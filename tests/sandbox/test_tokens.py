"""Authentication: who gets a token, and whose calls are let in."""

import pytest

from tests.support.fixtures import Clock, Start
from tests.support.sandbox_calls import (
    CREATE,
    NOON,
    PRODUCT,
    SEARCH,
    basic,
    call,
    creation,
    search,
    token,
)

pytestmark = pytest.mark.anyio


async def bearer(server) -> dict[str, str]:
    reply = await token(server)
    return {"Authorization": f"Bearer {reply.envelope['token']}"}


class TestToken:
    async def test_the_flat_shape_is_the_contracts(self, start: Start) -> None:
        answer = (await token(start())).envelope
        assert set(answer) == {"token", "token_type", "expires_in", "status", "issued_at"}
        assert (answer["token_type"], answer["expires_in"], answer["status"]) == ("BearerToken", 1799, "approved")
        assert answer["issued_at"] == str(int(NOON * 1000))

    async def test_the_older_shape_nests_it_and_sends_text(self, start: Start) -> None:
        answer = await token(start(token_shape="nested"))
        assert answer.data["expires_in"] == "1799"
        assert answer.data["token"]

    async def test_wrong_credentials_are_67200003(self, start: Start) -> None:
        assert (await token(start(), secret="guess")).code == 67200003

    async def test_missing_credentials_are_67200003(self, start: Start) -> None:
        reply = await call(start(), "POST", "/oauth/token", data={"grant_type": "client_credentials"})
        assert reply.code == 67200003

    async def test_another_grant_is_refused(self, start: Start) -> None:
        assert (await token(start(), grant="password")).code == 68300004

    async def test_a_json_body_is_refused(self, start: Start) -> None:
        headers = {"Authorization": basic("sandbox", "sandbox-secret")}
        reply = await call(start(), "POST", "/oauth/token", json={"grant_type": "client_credentials"}, headers=headers)
        assert reply.code == 68300004


class TestAuthentication:
    async def test_a_token_with_its_apikey_is_let_in(self, start: Start) -> None:
        server = start()
        params = {"url": PRODUCT, "apikey": "sandbox"}
        assert (await call(server, "GET", SEARCH, params=params, headers=await bearer(server))).code == 0

    async def test_a_token_goes_with_the_apikey_on_a_post_too(self, start: Start) -> None:
        server = start()
        params, headers = {"apikey": "sandbox"}, await bearer(server)
        assert (await call(server, "POST", CREATE, params=params, json=creation(), headers=headers)).code == 0

    async def test_a_token_without_apikey_is_67200008(self, start: Start) -> None:
        server = start()
        reply = await call(server, "GET", SEARCH, params={"url": PRODUCT}, headers=await bearer(server))
        assert reply.code == 67200008

    async def test_a_token_with_another_apikey_is_67200009(self, start: Start) -> None:
        server = start()
        params = {"url": PRODUCT, "apikey": "other"}
        assert (await call(server, "GET", SEARCH, params=params, headers=await bearer(server))).code == 67200009

    async def test_a_token_expires_after_its_lifetime(self, start: Start, clock: Clock) -> None:
        server = start()
        headers, params = await bearer(server), {"url": PRODUCT, "apikey": "sandbox"}
        clock.now += 1798
        assert (await call(server, "GET", SEARCH, params=params, headers=headers)).code == 0
        clock.now += 1
        assert (await call(server, "GET", SEARCH, params=params, headers=headers)).code == 67200003

    @pytest.mark.parametrize("only_one", [False, True])
    async def test_a_new_token_ends_the_one_before_where_only_one_is_allowed(
        self, start: Start, *, only_one: bool
    ) -> None:
        server, params = start(one_token=only_one), {"url": PRODUCT, "apikey": "sandbox"}
        old, new = await bearer(server), await bearer(server)
        assert (await call(server, "GET", SEARCH, params=params, headers=new)).code == 0
        assert (await call(server, "GET", SEARCH, params=params, headers=old)).code == (67200003 if only_one else 0)

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic sandbox-key"}, {"Authorization": "Bearer"}],
        ids=["none", "wrong", "other scheme", "empty"],
    )
    async def test_anyone_else_is_67200003(self, headers: dict[str, str], start: Start) -> None:
        assert (await call(start(), "GET", SEARCH, params={"url": PRODUCT}, headers=headers)).code == 67200003

    async def test_an_api_key_goes_without_the_apikey_parameter(self, start: Start) -> None:
        assert (await search(start(), apikey="sandbox")).code == 67200009

    async def test_no_answer_repeats_a_secret(self, start: Start) -> None:
        server = start()
        headers = await bearer(server)
        replies = [
            await call(server, "GET", SEARCH, params={"apikey": "guess", "x": "y"}, headers=headers),
            await call(server, "GET", SEARCH, params={"bad": "sandbox-key"}),
            await call(
                server, "POST", CREATE, json={"sandbox-secret": 1}, headers={"Authorization": "Bearer sandbox-secret"}
            ),
        ]
        said = b"".join(reply.body + repr(sorted(reply.headers.items())).encode() for reply in replies)
        for secret in (headers["Authorization"].split()[1], "sandbox-key", "sandbox-secret", "guess"):
            assert secret.encode() not in said
