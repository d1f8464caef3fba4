"""The request of P060."""

import json

import pytest

from pipeline.endpoints.patsnap.p060 import P060BetaSearch, P060Filters, P060Search


def test_a_p060_request_is_a_json_body_with_typed_values() -> None:
    url = "https://a.example/手提包/Sac à main.jpg"
    filters = P060Filters(country=["US", "EU"], return_img_id=True)
    request = P060Search(endpoint="P060", limit=10, filters=filters).request(url)
    assert (request.method, request.path, request.query) == ("POST", "/search/patent/image-single", ())
    assert request.content_type == "application/json"
    params = {
        "limit": 10,
        "is_https": 1,
        "country": ["US", "EU"],
        "return_img_id": True,
        "model": 1,
        "patent_type": "D",
    }
    assert json.loads(request.body or b"") == {"url": url, **params}


def test_links_are_asked_for_as_https_unless_the_job_says_otherwise() -> None:
    plain = P060Search(endpoint="P060", filters=P060Filters(is_https=0))
    assert (P060Search(endpoint="P060").params["is_https"], plain.params["is_https"]) == (1, 0)
    assert P060Search(endpoint="P060").filters.asked() == {}  # an older run directory asked for the same


def test_the_codes_and_the_query_of_today_are_taken() -> None:
    filters = P060Filters(legal_status=[12, 17, 18, 19, 20, 25, 1], query_text="TACD: chair")  # type: ignore[arg-type]
    assert filters.asked() == {"legal_status": "12,17,18,19,20,25,1", "query_text": "TACD: chair"}


def test_beta_takes_the_same_parameters_at_a_path_of_its_own() -> None:
    filters = P060Filters(country=["US"])
    plain = P060Search(endpoint="P060", filters=filters).request("https://a.example/1.jpg")
    beta = P060BetaSearch(endpoint="P060-beta", filters=filters).request("https://a.example/1.jpg")
    assert (beta.path, beta.body) == ("/search/patent/image-single/beta", plain.body)
    assert beta.path == f"{plain.path}/beta"


@pytest.mark.parametrize(
    ("filters", "warned"),
    [
        (P060Filters(country=["US", "CA"], loc="06-01"), True),
        (P060Filters(country=["US"], loc="06-01"), False),
        (P060Filters(country=["CA"]), False),
        (P060Filters(loc="06-01"), False),
    ],
)
def test_classes_of_canada_are_remarked_on(filters: P060Filters, warned: bool) -> None:
    said = P060Search(endpoint="P060", filters=filters).warnings(task_country=None)
    assert bool(said) is warned
