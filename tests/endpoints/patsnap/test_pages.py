"""What a search of several pages asks for, and which depths a job may name."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.endpoints.patsnap.endpoints import SEARCHES, name_of
from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.endpoints.patsnap.p060 import P060Search
from pipeline.endpoints.patsnap.pages import read_page
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.models import Kind
from pipeline.paging import PagedHits, joined
from tests.support.answers import AT, answer
from tests.support.fuzzing import fuzzed
from tests.support.refusals import read_or_error

PICTURE = "https://a.example/1.jpg"


def search_of(endpoint: str, **parts: Any) -> Search:
    [kind] = [search for search in SEARCHES if name_of(search) == endpoint]
    return kind.model_validate({"endpoint": endpoint, **parts})


def page_of(search: Search, offset: int, *, hits: int = 100, total: int | None = 431, **data: Any) -> PagedHits:
    messages = [{"patent_id": f"p{offset + n}", "score": 0.9} for n in range(hits)]
    said = {} if total is None else {"total_search_result_count": total}
    body = {"data": {"patent_messages": messages, **said, **data}, "status": True}
    return read_page(answer(body), search.question, offset=offset)


def asked(request: Any) -> dict[str, Any]:
    return msgspec.json.decode(request.body) if request.body else dict(parse_qsl(urlencode(request.query)))


@pytest.mark.parametrize("endpoint", ["P009", "P060", "P060-beta"])
def test_a_further_page_asks_the_same_from_an_offset_on(endpoint: str) -> None:
    search = search_of(endpoint, depth=250, filters={"loc": "06-01"})
    first = search.request(PICTURE)
    hits = page_of(search, 0)
    for offset, limit in ((100, 100), (200, 50)):
        page = search.next_page(hits, now=AT)
        assert page is not None
        request = page.request(PICTURE)
        assert (request.method, request.path, request.kind) == (first.method, first.path, Kind.SEARCH)
        there = {key: type(value)(asked(first)[key]) for key, value in asked(first).items()}
        as_text = endpoint == "P009"
        changed = {"limit": str(limit), "offset": str(offset)} if as_text else {"limit": limit, "offset": offset}
        assert asked(request) == there | changed
        hits = joined(hits, page_of(search, offset, hits=limit))
    assert search.next_page(hits, now=AT) is None


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"depth": 0}, "greater than or equal to 1"),
        ({"depth": 1101}, "less than or equal to 1100"),
        ({"depth": 200, "limit": 50}, "search.depth: 200 takes pages of 100 hits, each paid; leave search.limit out"),
        ({"depth": 1100, "filters": {"offset": 50}}, "write depth: 1050"),
    ],
)
def test_a_depth_that_cannot_be_meant_is_refused(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        P009Search.model_validate(section)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("section", "limit", "pages"),
    [
        ({}, 100, 1),
        ({"depth": 100}, 100, 1),
        ({"limit": 20}, 20, 1),
        ({"limit": 20, "depth": 100}, 20, 1),
        ({"depth": 40}, 40, 1),
        ({"depth": 101}, 100, 2),
        ({"depth": 1100}, 100, 11),
        ({"depth": 1000, "filters": {"offset": 100}}, 100, 10),
    ],
)
def test_the_first_page_and_the_number_of_pages_follow_from_the_depth(
    section: dict[str, Any], limit: int, pages: int
) -> None:
    search = P009Search.model_validate(section)
    assert (search.params["limit"], search.pages_left(None)) == (limit, pages)


def test_a_depth_of_one_page_is_no_other_question_than_none() -> None:
    assert P009Search(depth=100).asked() == P009Search().asked()
    assert P009Search(depth=200).asked()["depth"] == 200


@pytest.mark.parametrize(
    ("search", "sorted_by_score"),
    [
        (P009Search(), True),
        (P009Search(filters=P009Filters(field="APD")), False),
        (P009Search(filters=P009Filters(order="asc")), False),
        (P060Search(endpoint="P060"), False),
        (P060Search(endpoint="P060", model=2), True),
        (P060Search(endpoint="P060", model=4, patent_type="U"), True),
        (P060Search.model_validate({"endpoint": "P060", "model": 2, "filters": {"field": "PBD"}}), False),
    ],
)
def test_a_score_ends_the_paging_only_where_hits_are_sorted_by_score(search: Search, sorted_by_score: bool) -> None:
    assert search.by_score is sorted_by_score


def test_what_is_not_looked_at_names_the_depth_and_the_score_that_ends_it() -> None:
    assert P009Search(depth=300, min_score=0.8).not_looked_at() == [
        "utility models",
        "hits beyond the first 300",
        "pages after one that ends with a hit below 0.8",
    ]


@fuzzed(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=9), short=60, long=2000)
def test_any_answer_to_a_further_page_is_read_or_refused(body: Any) -> None:
    search = P009Search(depth=300)
    page = search.next_page(page_of(search, 0), now=AT)
    assert page is not None
    given = body if isinstance(body, bytes) else {"data": {"patent_messages": body}, "status": True}
    read_or_error(Kind.SEARCH, page.read, answer(given))
