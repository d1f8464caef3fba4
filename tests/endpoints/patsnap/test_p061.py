"""The request of P061: the views of one product in their order, and P060 for a single picture."""

import msgspec
import pytest

from pipeline.endpoints.interface import Creation
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.p060 import P060Filters, P060Search
from pipeline.endpoints.patsnap.p061 import P061Search
from pipeline.endpoints.patsnap.pages import read_page
from pipeline.models import Choice
from pipeline.paging import PagedHits
from pipeline.views import joined_views, views_of
from tests.support.answers import AT, answer, sample

URLS = [f"https://a.example/{number}.jpg" for number in range(4)]
FILTERS = P060Filters(country=["US"], loc="06-01")
SEARCH = P061Search(endpoint="P061", depth=300, filters=FILTERS)


@pytest.mark.parametrize("number", [2, 3, 4])
def test_the_views_go_into_the_body_in_their_order_with_the_parameters_of_p060(number: int) -> None:
    request = SEARCH.request(joined_views(URLS[:number]))
    assert (request.method, request.path) == ("POST", "/search/patent/image-multiple")
    assert msgspec.json.decode(request.body or b"") == {
        "urls": URLS[:number],
        "limit": 100,
        "is_https": 1,
        "loc": "06-01",
        "country": ["US"],
        "model": 1,
        "patent_type": "D",
    }


def test_a_single_picture_is_searched_with_p060_and_the_same_parameters() -> None:
    search = SEARCH.of_picture(URLS[0])
    plain = P060Search(endpoint="P060", depth=300, filters=FILTERS)
    assert search == plain
    assert search.request(URLS[0]) == plain.request(URLS[0])
    assert SEARCH.of_picture(joined_views(URLS)) is SEARCH


def test_hits_of_either_name_the_endpoint_that_was_asked() -> None:
    found = SEARCH.of_picture(URLS[0]).read(sample("p060_ok"))
    assert (found.endpoint, SEARCH.read(sample("p061_ok")).endpoint) == ("P060", "P061")


@pytest.mark.parametrize("asked", [URLS[0], joined_views(URLS)])
def test_further_pages_of_either_are_counted_and_asked_for(asked: str) -> None:
    search = SEARCH.of_picture(asked)
    body = {"data": {"patent_messages": [{"patent_id": "p"}] * 100, "total_search_result_count": 999}, "status": True}
    hits = read_page(answer(body), search.question, offset=0)
    assert isinstance(hits, PagedHits)
    assert SEARCH.pages_left(hits) == 2
    page = search.next_page(hits, now=AT)
    assert page is not None
    sent = msgspec.json.decode(page.request(asked).body or b"")
    assert sent["offset"] == 100
    assert sent.get("urls", [sent.get("url")]) == [*views_of(asked)]


def test_a_task_gets_all_views() -> None:
    request = TaskCreation("en").request(Creation(joined_views(URLS[:3]), Choice(b"[]", 0, 0)))
    assert msgspec.json.decode(request.body or b"")["urls"] == URLS[:3]


def test_equal_views_count_once_and_one_that_is_left_is_a_picture_like_any_other() -> None:
    twice = joined_views([URLS[0], URLS[1], URLS[0]])
    assert msgspec.json.decode(SEARCH.request(twice).body or b"")["urls"] == URLS[:2]
    alike = joined_views([URLS[0], URLS[0]])
    single = SEARCH.of_picture(alike)
    assert single.endpoint == "P060"
    assert msgspec.json.decode(single.request(alike).body or b"")["url"] == URLS[0]
