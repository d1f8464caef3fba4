"""The sandbox's statement of account: strict on its body, whole for closed days alone, empty where nothing is."""

from typing import Any

import pytest

from pipeline.sandbox.server import SandboxServer
from tests.support.fixtures import Clock, Start
from tests.support.sandbox_calls import CREATE, Reply, call, search

pytestmark = pytest.mark.anyio

BODY = {
    "apikey": "sandbox",
    "client_secret": "sandbox-secret",
    "time_start": "20261121",
    "time_end": "20261121",
}
DAY_S = 86_400


async def ask(server: SandboxServer, **changes: Any) -> Reply:
    body = {key: value for key, value in (BODY | changes).items() if value is not None}
    return await call(server, "POST", "/open-user/statement/v2", json=body)


async def test_day_that_is_closed_has_every_call_and_what_it_was_billed(start: Start, clock: Clock) -> None:
    server = start(prices={"P009": "0.2"})
    for _ in range(3):
        await search(server)
    await search(server, limit="0")
    await call(server, "POST", CREATE, json={})
    assert (await ask(server)).data == {}, "today is not closed"
    clock.now += DAY_S
    data = (await ask(server)).data
    assert data == {
        "usage": [
            {
                "request_path": "/image-search/search",
                "serial_number": "P009",
                "request_path_name": "<cn>P009</cn><us>P009</us>",
                "usage_times": 4,
                "fee_times": 3,
                "used_money": 0.6,
            },
            {
                "request_path": CREATE,
                "serial_number": "AI39-1",
                "request_path_name": "<cn>AI39-1</cn><us>AI39-1</us>",
                "usage_times": 1,
                "fee_times": 0,
                "used_money": 0.0,
            },
        ],
        "usage_money": 0.6,
    }
    assert (await ask(server, time_start="20261122", time_end="20261123")).data == {}


async def test_what_is_in_a_package_is_counted_there(start: Start, clock: Clock) -> None:
    server = start(packages=frozenset({"P009"}))
    await search(server)
    clock.now += DAY_S
    data = (await ask(server)).data
    assert (data["usage"], data["combo_usage"][0]["used_num"], data["combo_use_num"]) == ([], 1, 1)


async def test_day_closes_at_eight_in_china(start: Start, clock: Clock) -> None:
    server = start()
    await search(server)  # at noon UTC of the 21st, 20:00 in China
    clock.now += 12 * 3600 - 1
    assert (await ask(server)).data == {}
    clock.now += 1  # 8:00 of the 22nd in China
    assert (await ask(server)).data["usage"][0]["usage_times"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": None}, 68300004),
        ({"apikey": None}, 68300004),
        ({"time_start": None}, 68300004),
        ({"time_end": "2026-11-21"}, 68300004),
        ({"time_end": "20261131"}, 68300004),
        ({"time_end": "20261120"}, 68300004),
        ({"time_end": 20261121}, 68300004),
        ({"page": 1}, 68300004),
        ({"client_secret": "wrong"}, 67200003),
        ({"apikey": "wrong"}, 67200003),
    ],
)
async def test_other_body_is_refused_and_repeats_no_secret(start: Start, changes: Any, code: int) -> None:
    reply = await ask(start(), **changes)
    assert reply.code == code
    assert b"sandbox-secret" not in reply.body
