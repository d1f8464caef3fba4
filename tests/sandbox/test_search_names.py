"""Pages of P009 V2 in the sandbox, asked for by the name of their search."""

import pytest

from tests.support.fixtures import Clock, Start
from tests.support.sandbox_calls import NOON, PRODUCT, RESULTS, SEARCH_ID, call, search

pytestmark = pytest.mark.anyio


async def named(server: object, **params: str) -> str:
    found = await call(server, "GET", SEARCH_ID, params={"url": PRODUCT, "limit": "3", **params})
    return str(found.data["search_id"])


async def test_a_page_by_name_is_the_page_of_the_picture(start: Start) -> None:
    server = start()
    plain = (await search(server, limit="5", offset="3")).data
    page = (
        await call(server, "GET", RESULTS, params={"search_id": await named(server), "limit": "5", "offset": "3"})
    ).data
    assert page["patent_messages"] == plain["patent_messages"]
    assert page["total_search_result_count"] == plain["total_search_result_count"]


async def test_past_the_end_the_list_is_empty_and_the_total_stands(start: Start) -> None:
    server = start()
    params = {"search_id": await named(server), "limit": "5", "offset": "900"}
    page = (await call(server, "GET", RESULTS, params=params)).data
    assert (page["patent_messages"], page["total_search_result_count"]) == ([], 12)


async def test_a_name_is_refused_after_twenty_minutes(start: Start) -> None:
    clock = Clock()
    server = start(clock=clock)
    params = {"search_id": await named(server), "limit": "5"}
    clock.now = NOON + 20 * 60
    assert (await call(server, "GET", RESULTS, params=params)).code == 0
    clock.now += 1
    assert (await call(server, "GET", RESULTS, params=params)).code == 68300004


async def test_an_old_name_may_come_to_nothing_found_instead(start: Start) -> None:
    server = start(forgotten_searches="no_hits")
    reply = await call(server, "GET", RESULTS, params={"search_id": "gone", "limit": "5"})
    assert reply.data == {}


@pytest.mark.parametrize(
    "params",
    [{}, {"search_id": "never"}, {"search_id": ""}, {"limit": "101"}, {"offset": "1001"}, {"url": PRODUCT}],
)
async def test_what_is_no_page_by_name_is_refused(params: dict[str, str], start: Start) -> None:
    server = start()
    asked = {"search_id": await named(server), "limit": "5", **params} if params else {"limit": "5"}
    assert (await call(server, "GET", RESULTS, params=asked)).code == 68300004
