"""The request of P009 V2, and what it leaves out of sight."""

from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.endpoints.patsnap.p009_v2 import P009V2Filters, P009V2Search


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
