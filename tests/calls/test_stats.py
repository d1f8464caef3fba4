"""Counts of calls and billed units."""

from typing import Any

import pytest

from tests.support import misbehaving as bad
from tests.support.clients import client_at, create
from tests.support.misbehaving import CREATED, Misbehaving, http
from tests.support.virtual_time import virtual_backend

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


@pytest.mark.parametrize(
    ("amounts", "units"),
    [
        (["1", "2", "0.5"], 3.5),
        (["", "x", "-1"], 0.0),
        (["²", "٣", "1²"], 0.0),
        (["1e9", "nan", "inf"], 0.0),
        (["1.", ".5", "1.2.3"], 1.5),
        (["\xff", "9" * 400, "3"], 3.0),
    ],
)
async def test_billed_units_are_summed_and_nonsense_costs_no_task(amounts: list[str], units: float) -> None:
    """A create has been paid when its headers are read: nothing in them may lose it."""

    async def vendor(caller: bad.Caller) -> None:
        for amount in amounts:
            await caller.request()
            raw = amount.encode("latin-1" if amount == "\xff" else "utf-8")
            await caller.say(http(200, CREATED, "x-openapi-amount: @").replace(b"@", raw))

    async with Misbehaving(vendor) as server, client_at(server.url) as client:
        for _ in amounts:
            assert (await create(client)).task_id == bad.TASK_ID
    assert client.stats.units == units
    assert server.arrived == len(amounts)


async def test_answers_that_do_not_say_what_they_were_billed_are_counted_as_such() -> None:
    answers = bad.in_turn(http(200, CREATED), http(200, CREATED, "X-OpenAPI-Amount: 2"), http(200, CREATED))
    async with Misbehaving(answers) as server, client_at(server.url) as client:
        for _ in range(3):
            await create(client)
    assert (client.stats.units, client.stats.said, client.stats.answers) == (2.0, 1, 3)
