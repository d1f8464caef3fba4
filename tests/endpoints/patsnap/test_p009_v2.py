"""The request of P009 V2, and what it leaves out of sight."""

import pytest

from pipeline.endpoints.interface import Answer
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.endpoints.patsnap.p009_v2 import SEARCH_ID_LIFE_S, P009V2Filters, P009V2Search
from pipeline.endpoints.patsnap.pages import NextPage
from pipeline.errors import CallError, ItemRefused, TryAgain
from pipeline.models import Kind
from pipeline.paging import PagedHits
from tests.support.answers import AT, answer, sample
from tests.support.refusals import read_or_error

PICTURE = "https://a.example/1.jpg"
DEEP = P009V2Search(endpoint="P009-V2", depth=300, filters=P009V2Filters(country=["US", "KR"]))


def test_lists_go_into_the_query_as_codes_joined_by_commas() -> None:
    filters = P009V2Filters(country=["US", "EU"], simple_legal_status="1,2", loc="06-01")
    request = P009V2Search(endpoint="P009-V2", limit=10, filters=filters).request("https://a.example/1.jpg")
    assert (request.method, request.path, request.body) == ("GET", "/image-search/search-id", None)
    assert dict(request.query) == {
        "url": "https://a.example/1.jpg",
        "limit": "10",
        "loc": "06-01",
        "country": "US,EU",
        "simple_legal_status": "1,2",
    }


def test_without_filters_it_asks_what_p009_asks() -> None:
    plain = P009Search().request("https://a.example/1.jpg")
    assert P009V2Search(endpoint="P009-V2").request("https://a.example/1.jpg").query == plain.query


def test_hits_beyond_the_countries_of_the_task_are_remarked_on_unless_the_search_is_limited() -> None:
    limited = P009V2Search(endpoint="P009-V2", filters=P009V2Filters(country=["US"]))
    assert limited.warnings(task_country=["US"]) == []
    assert P009V2Search(endpoint="P009-V2").warnings(task_country=None) == []
    [said] = P009V2Search(endpoint="P009-V2").warnings(task_country=["US"])
    assert said == (
        "P009-V2 searches worldwide: its hits are not limited to task.country (US). Write search.filters.country to "
        "limit them."
    )


def test_what_the_filters_leave_out_of_sight_is_said() -> None:
    filters = P009V2Filters(country=["US", "EU"], simple_legal_status="1", main_field="kettle")
    said = P009V2Search(endpoint="P009-V2", filters=filters).not_looked_at()
    assert set(said) == {
        "patents that are not active",
        "patents outside US, EU",
        "patents without kettle in their texts, names, numbers and classes",
        "utility models",
        "hits beyond the first 100",
    }


def first_page(**data: object) -> PagedHits:
    hits = [{"patent_id": f"p{number}", "score": 0.9} for number in range(100)]
    body = {"search_id": "5F0A-1-D", "patent_messages": hits, "total_search_result_count": 431, **data}
    found = DEEP.read(answer({"data": body, "status": True}))
    assert isinstance(found, PagedHits)
    return found


def page_after(hits: PagedHits, now: float) -> NextPage:
    page = DEEP.next_page(hits, now=now)
    assert page is not None
    return page


def error_in(page: NextPage, given: Answer) -> CallError:
    error = read_or_error(Kind.SEARCH, page.read, given)
    assert isinstance(error, CallError)
    return error


def test_a_further_page_is_asked_for_by_the_searchs_name_with_the_same_filters() -> None:
    request = page_after(first_page(), AT + 60).request(PICTURE)
    assert (request.method, request.path, request.body) == ("GET", "/image-search/results", None)
    assert dict(request.query) == {"search_id": "5F0A-1-D", "limit": "100", "country": "US,KR", "offset": "100"}


@pytest.mark.parametrize("age_s", [-1, SEARCH_ID_LIFE_S, SEARCH_ID_LIFE_S - 59])
def test_a_name_that_may_be_too_old_is_not_used_and_the_page_is_searched_anew(age_s: float) -> None:
    request = page_after(first_page(), AT + age_s).request(PICTURE)
    assert request.path == "/image-search/search-id"
    assert dict(request.query)["offset"] == "100"
    assert dict(request.query)["url"] == PICTURE


def test_without_a_name_the_page_is_searched_anew() -> None:
    assert page_after(first_page(search_id=None), AT).request(PICTURE).path == "/image-search/search-id"


def test_the_name_lasts_from_the_search_that_it_is_of_and_not_from_its_last_page() -> None:
    later = Answer(200, sample("p009_v2_page").body, "request-2", AT + 900)
    page = page_after(first_page(), AT).read(later)
    assert (page.paging.search_id, page.paging.named_at) == ("5F0A-1-D", AT)
    assert page.paging.pages[0].at == AT + 900


@pytest.mark.parametrize(
    "given",
    [
        sample("p009_v2_old_search_id"),
        *(sample(case) for case in ("no_hits_data_empty", "no_hits_null", "p009_no_hits", "absent_hits")),
        answer({"data": {"patent_messages": [], "total_search_result_count": 431}, "status": True}),
    ],
)
def test_an_answer_to_a_name_that_is_known_no_more_lets_the_page_be_searched_anew(given: Answer) -> None:
    error = error_in(page_after(first_page(), AT), given)
    assert (type(error), error.condition) == (ItemRefused, "old_search_id")


def test_a_page_past_the_end_is_no_old_name() -> None:
    page = page_after(first_page(total_search_result_count=None), AT)
    assert page.read(sample("p009_no_hits")).scores == ()


def test_another_refusal_stays_what_it_is() -> None:
    assert error_in(page_after(first_page(), AT), sample("error_67200007")).code == "67200007"


def test_a_page_of_another_search_is_refused_and_asked_for_again() -> None:
    page = page_after(first_page(), AT)
    hits = {"patent_messages": [{"patent_id": "p1"}], "total_search_result_count": 431}
    error = error_in(page, answer({"data": {**hits, "search_id": "5F0A-2-D"}, "status": True}))
    assert (type(error), error.condition) == (TryAgain, "of_another")
    assert len(page.read(answer({"data": {**hits, "search_id": "5F0A-1-D"}, "status": True})).scores) == 1
    assert len(page.read(answer({"data": hits, "status": True})).scores) == 1
