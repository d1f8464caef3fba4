"""Several processes of one account at a vendor that keeps one token alive: they fight, or they share it."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import anyio
import pytest

from pipeline.calls.access import RENEW_AT, Fetch, Sleep
from pipeline.calls.client import Client
from pipeline.errors import PipelineError
from pipeline.leases.tokens import SharedTokens, seal_for
from tests.support.clients import CLIENT, client_at, search
from tests.support.fixtures import Start
from tests.support.sandbox_calls import token
from tests.support.shared_store import MemoryStore

pytestmark = pytest.mark.anyio

CLIENTS, EACH = 4, 100
Share = Callable[[Fetch, Sleep], Fetch]


def sharing(store: MemoryStore) -> Share:
    """Share the token of one account through a store."""

    def share(fetch: Fetch, sleep: Sleep) -> Fetch:
        seal = seal_for(CLIENT.client_secret, "acme")
        return SharedTokens(store, "acme", seal, lambda: fetch(""), sleep=sleep, renew_at=RENEW_AT).fetch

    return share


async def search_all(url: str, share: Share | None, *, between: Callable[[], object] | None = None) -> int:
    """Let four clients search; return how many searches failed."""
    failed = 0

    async def work(client: Client) -> None:
        nonlocal failed
        for number in range(EACH):
            if between is not None and number == EACH // 2:
                await between()
            try:
                await search(client)
            except PipelineError:
                failed += 1

    async with AsyncExitStack() as stack, anyio.create_task_group() as all_:
        for _ in range(CLIENTS):
            all_.start_soon(
                work, await stack.enter_async_context(client_at(url, credentials=CLIENT, share_tokens=share))
            )
    return failed


@pytest.mark.proofs
async def test_without_sharing_they_end_each_others_tokens(sandbox: Start) -> None:
    server = sandbox(one_token=True)
    failed = await search_all(server.url, None)
    assert server.stats.calls("token") > CLIENTS
    assert server.stats.outcomes["search"].get("67200003", 0) + failed > CLIENTS


async def test_with_sharing_one_token_does_for_all_and_no_call_is_refused(sandbox: Start) -> None:
    server = sandbox(one_token=True)
    assert await search_all(server.url, sharing(MemoryStore())) == 0
    assert server.stats.calls("token") == 1
    assert server.stats.outcomes["search"] == {"ok": CLIENTS * EACH}


@pytest.mark.proofs
async def test_a_token_that_somebody_else_ended_is_replaced_once_for_all(sandbox: Start) -> None:
    """Another program with the same credentials fetches a token of its own in between."""
    server, taken = sandbox(one_token=True), []

    async def take_one() -> None:
        if not taken:
            taken.append("one is enough")
            await token(server)

    assert await search_all(server.url, sharing(MemoryStore()), between=take_one) == 0
    outcomes = server.stats.outcomes["search"]
    assert server.stats.calls("token") == 1 + 1 + 1
    assert outcomes["ok"] == CLIENTS * EACH
    assert 1 <= outcomes["67200003"] <= CLIENTS * EACH // 100
