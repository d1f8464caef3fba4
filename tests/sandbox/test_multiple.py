"""P061 in the sandbox: several views of one product."""

from typing import Any

import pytest

from tests.support.fixtures import Start
from tests.support.sandbox_calls import MULTIPLE, PRODUCT, call, multiple, single

pytestmark = pytest.mark.anyio


def scores(data: dict[str, Any]) -> dict[str, float]:
    return {hit["patent_id"]: hit["score"] for hit in data["patent_messages"]}


async def test_a_hit_is_as_similar_as_to_the_view_that_it_resembles_most(start: Start) -> None:
    server = start()
    both = scores((await multiple(server, "bag-0", "lamp-0", limit=100)).data)
    first = scores((await single(server, limit=100)).data)
    other = {"url": "https://sandbox.invalid/products/lamp-0.jpg", "limit": 100}
    second = scores((await single(server, **other)).data)
    assert both == {id_: max(first.get(id_, 0.0), second.get(id_, 0.0)) for id_ in both}
    assert both.keys() == first.keys() | second.keys()


async def test_its_hits_have_the_fields_of_p060(start: Start) -> None:
    server = start()
    [hit] = (await multiple(server, "bag-0", "lamp-0", limit=1)).data["patent_messages"]
    [plain] = (await single(server, limit=1)).data["patent_messages"]
    assert hit.keys() == plain.keys()


@pytest.mark.parametrize(
    "products", [[], ["bag-0"], ["bag-0", "bag-0"], ["bag-0", "bag-1", "lamp-0", "lamp-1", "mug-0"]]
)
async def test_two_to_four_views_are_taken_and_all_must_be_different(products: list[str], start: Start) -> None:
    assert (await multiple(start(), *products)).code == 68300004


async def test_the_same_picture_at_two_urls_is_no_second_view(start: Start) -> None:
    body = {"urls": [PRODUCT, f"{PRODUCT}?n=1"], "model": 1, "patent_type": "D"}
    assert (await call(start(), "POST", MULTIPLE, json=body)).code == 68300004


async def test_a_single_url_is_no_parameter_of_it(start: Start) -> None:
    body = {"url": PRODUCT, "urls": [PRODUCT, PRODUCT.replace("bag-0", "lamp-0")], "model": 1, "patent_type": "D"}
    assert (await call(start(), "POST", MULTIPLE, json=body)).code == 68300004
