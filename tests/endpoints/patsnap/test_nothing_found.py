"""Nothing found has several shapes, and what only looks like it is never taken for it."""

from typing import Any

import pytest

from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.endpoints.patsnap.p060 import P060Search
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.errors import CallError, ItemRefused, TryAgain
from pipeline.models import Hits, Kind
from tests.support.answers import answer, sample
from tests.support.refusals import read_or_error

NOTHING: list[dict[str, Any]] = [
    {},
    {"patent_messages": []},
    {"patent_messages": None},
    {"patent_messages": [], "total_search_result_count": 0},
    {"patent_messages": [], "total_search_result_count": "0"},
    {"patent_messages": [], "total_search_result_count": None},
    {"patent_messages": None, "total_search_result_count": 0},
    {"total_search_result_count": 0},
    {"total_search_result_count": None},
    {"total_search_result_count": -1},
    {"search_id": "5F0A-1-D"},
]
MISSING: list[dict[str, Any]] = [
    {"patent_messages": [], "total_search_result_count": 20783},
    {"patent_messages": [], "total_search_result_count": "20783"},
    {"patent_messages": [], "total_search_result_count": 10**30},
    {"patent_messages": None, "total_search_result_count": 1},
    {"total_search_result_count": 1},
]


def read(data: Any, *, offset: int | None = None) -> Hits | CallError:
    search = P009Search(filters=P009Filters(offset=offset))
    return read_or_error(Kind.SEARCH, search.read, answer({"data": data, "status": True, "error_code": 0}))


@pytest.mark.parametrize("search", [P009Search(), P060Search(endpoint="P060")], ids=["P009", "P060"])
@pytest.mark.parametrize("data", NOTHING, ids=str)
def test_every_shape_of_nothing_found_is_no_hits(data: dict[str, Any], search: Search) -> None:
    found = search.read(answer({"data": data, "status": True, "error_code": 0}))
    assert (found.array, found.scores, found.total) == (b"[]", (), 0)


@pytest.mark.parametrize("case", ["no_hits_data_empty", "no_hits_null"])
def test_the_recorded_shapes_are_no_hits(case: str) -> None:
    assert P009Search().read(sample(case)).scores == ()


@pytest.mark.parametrize("data", MISSING, ids=str)
def test_hits_that_are_counted_and_not_sent_are_asked_for_again(data: dict[str, Any]) -> None:
    error = read(data)
    assert isinstance(error, TryAgain)
    assert (error.code, error.attempts) == ("hits_missing", 2)
    assert "total_search_result_count is" in error.message


@pytest.mark.parametrize("data", [None, [], "", False, 0, {"patent_messages": {}}, {"patent_messages": [1]}], ids=str)
def test_data_that_is_missing_or_malformed_is_asked_for_again(data: Any) -> None:
    error = read(data)
    assert isinstance(error, TryAgain)
    assert (error.code, error.attempts) == ("no_data", 2)


@pytest.mark.parametrize(("total", "code"), [(99, "past_the_end"), (100, "past_the_end"), (101, "hits_missing")])
def test_an_empty_list_beyond_the_last_hit_is_said_to_be_beyond_it(total: int, code: str) -> None:
    error = read({"patent_messages": [], "total_search_result_count": total}, offset=100)
    assert isinstance(error, CallError)
    assert error.code == code
    if code == "past_the_end":
        assert isinstance(error, ItemRefused)
        assert f"{total} hits in all, and offset leaves out 100" in error.message


def test_nothing_at_all_beyond_an_offset_is_no_hits() -> None:
    found = read({"patent_messages": [], "total_search_result_count": 0}, offset=100)
    assert isinstance(found, Hits)
