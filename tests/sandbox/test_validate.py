"""Parameters: what the contract allows passes, all else is refused by name."""

from typing import Any

import msgspec
import pytest

from pipeline.sandbox.envelope import Refused
from pipeline.sandbox.validate import Creation, SearchP009, SearchP009V2, SearchP060, read_body, read_query
from tests.support.sandbox_calls import PRODUCT, creation, message


def refusal_of_query(kind: type = SearchP009, /, **params: str) -> Refused:
    with pytest.raises(Refused) as refusal:
        read_query({"url": PRODUCT, **params}.items(), kind)
    return refusal.value


def refusal_of_body(kind: type, fields: dict[str, Any]) -> Refused:
    with pytest.raises(Refused) as refusal:
        read_body(msgspec.json.encode(fields), kind)
    return refusal.value


def p060(**fields: Any) -> dict[str, Any]:
    return {"url": PRODUCT, "model": 1, "patent_type": "D", **fields}


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


P009_RIGHT = {
    "loc": "(01-01 OR 01-02) AND NOT 03",
    "assignees": "Acme",
    "legal_status": "3,16,222",
    "apply_start_time": "20200229",
    "apply_end_time": "20201231",
    "public_start_time": "20200101",
    "public_end_time": "20200101",
    "limit": "100",
    "offset": "1000",
    "field": "ISD",
    "order": "asc",
    "apikey": "anything",
}


def test_p009_takes_every_parameter_of_the_contract() -> None:
    search = read_query({"url": PRODUCT, **P009_RIGHT}.items(), SearchP009)
    assert (search.limit, search.offset, search.field, search.order) == (100, 1000, "ISD", "asc")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "1.5"),
        ("limit", "1e1"),
        ("limit", "+5"),
        ("limit", "\uff15"),
        ("limit", "null"),
        ("offset", "null"),
        ("field", "null"),
        ("loc", "null"),
        ("loc", "01-01 or 01-02"),
        ("legal_status", "12"),
        ("legal_status", "null"),
        ("offset", "-1"),
        ("offset", "1001"),
        ("loc", "chairs"),
        ("loc", "(01-01"),
        ("loc", ""),
        ("assignees", ""),
        ("legal_status", "4"),
        ("legal_status", "3;16"),
        ("legal_status", ""),
        ("apply_start_time", "2020-01-01"),
        ("apply_end_time", "20200230"),
        ("public_start_time", "2020"),
        ("public_end_time", ""),
        ("field", "SCORE"),
        ("order", "DESC"),
        ("limt", "5"),
        ("model", "1"),
        ("country", "US"),
        ("url", ""),
        ("url", "ftp://sandbox.invalid/products/bag-0.jpg"),
        ("url", "bag-0.jpg"),
    ],
)
def test_p009_refuses_what_the_contract_does_not_have_and_names_it(name: str, value: str) -> None:
    refusal = refusal_of_query(**{name: value})
    assert refusal.code == 68300004
    assert name in refusal.detail


def test_v2_of_p009_takes_what_p009_takes_and_three_parameters_of_p060_as_text() -> None:
    more = {"country": "US,EU", "simple_legal_status": "1,2", "main_field": "kettle"}
    search = read_query({"url": PRODUCT, **P009_RIGHT, **more}.items(), SearchP009V2)
    assert {name: getattr(search, name) for name in more} == more


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("country", "us"),
        ("country", "US;EU"),
        ("country", "US,"),
        ("country", '["US"]'),
        ("simple_legal_status", "3"),
        ("legal_status", "12"),
        ("query_text", "TACD: chair"),
        ("model", "1"),
        ("limit", "0"),
        ("field", "SCORE"),
    ],
)
def test_v2_of_p009_refuses_what_the_contract_does_not_have_and_names_it(name: str, value: str) -> None:
    assert name in refusal_of_query(SearchP009V2, **{"limit": "5", name: value}).detail


def test_v2_of_p009_needs_a_limit() -> None:
    assert "limit" in refusal_of_query(SearchP009V2).detail


def test_p009_needs_a_url() -> None:
    with pytest.raises(Refused, match="url"):
        read_query([("limit", "5")], SearchP009)


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(Refused, match="limit is given twice"):
        read_query([("url", PRODUCT), ("limit", "5"), ("limit", "6")], SearchP009)


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    refusal = refusal_of_query(apply_start_time="20210101", apply_end_time="20200101")
    assert "apply_start_time is after apply_end_time" in refusal.detail


P060_RIGHT = {
    "country": ["US", "EU"],
    "loc": "06-01",
    "assignees": "Acme",
    "main_field": "chair",
    "query_text": "TACD: chair",
    "legal_status": "3,12,17,18,19,20,25",
    "simple_legal_status": "0,1,2,220,221,999",
    "apply_start_time": "20200101",
    "apply_end_time": "20210101",
    "public_start_time": "20200101",
    "public_end_time": "20210101",
    "limit": 100,
    "offset": 1000,
    "field": "SCORE",
    "order": "asc",
    "lang": "cn",
    "stemming": 1,
    "pre_filter": 0,
    "is_https": 1,
    "include_machine_translation": True,
    "return_img_id": False,
}


def test_p060_takes_every_field_of_the_contract() -> None:
    assert read_body(msgspec.json.encode(p060(**P060_RIGHT)), SearchP060).limit == 100


def test_p060_answers_ten_hits_unless_told() -> None:
    assert read_body(msgspec.json.encode(p060()), SearchP060).limit == 10


@pytest.mark.parametrize(
    ("model", "patent_type", "pairs"),
    [(1, "D", True), (2, "D", True), (3, "U", True), (4, "U", True), (3, "D", False), (1, "U", False)],
)
def test_models_pair_with_their_patent_type(model: int, patent_type: str, pairs: bool) -> None:
    fields = p060(model=model, patent_type=patent_type)
    if pairs:
        assert read_body(msgspec.json.encode(fields), SearchP060).model == model
    else:
        assert "model" in refusal_of_body(SearchP060, fields).detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", 0),
        ("model", 5),
        ("model", "1"),
        ("model", True),
        ("patent_type", "d"),
        ("country", "US"),
        ("country", []),
        ("country", ["usa"]),
        ("simple_legal_status", "3"),
        ("legal_status", 3),
        ("limit", "10"),
        ("limit", 0),
        ("limit", 10.5),
        ("offset", 1001),
        ("field", "score"),
        ("lang", "de"),
        ("stemming", 2),
        ("pre_filter", True),
        ("is_https", "1"),
        ("include_machine_translation", 1),
        ("apply_start_time", 20200101),
        ("url", PRODUCT + "?" + "x" * 1000),
        ("legal_status", "4"),
        ("loc", "06 or 14"),
        ("score_expansion", True),
        ("urls", [PRODUCT]),
        ("url", [PRODUCT]),
    ],
)
def test_p060_refuses_what_the_contract_does_not_have_and_names_it(name: str, value: Any) -> None:
    refusal = refusal_of_body(SearchP060, p060(**{name: value}))
    assert refusal.code == 68300004
    assert name in refusal.detail


@pytest.mark.parametrize("name", ["url", "model", "patent_type"])
def test_p060_needs_its_required_fields(name: str) -> None:
    assert name in refusal_of_body(SearchP060, without(p060(), name)).detail


def test_a_creation_takes_every_field_of_the_contract_and_unknown_ones_of_a_hit() -> None:
    hit = message(apno="US1", apdt=20200101, pbdt=20210101, inventor="A|B", current_assignee="C", loc_match=1, new=[1])
    request = read_body(msgspec.json.encode(creation(patent_messages=[hit] * 100, country=["US", "CN"])), Creation)
    assert len(request.patent_messages) == 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("urls", []),
        ("urls", PRODUCT),
        ("urls", ["bag.jpg"]),
        ("patent_messages", []),
        ("patent_messages", [message()] * 101),
        ("patent_messages", [without(message(), "patent_id")]),
        ("patent_messages", [without(message(), "patent_pn")]),
        ("patent_messages", [without(message(), "title")]),
        ("patent_messages", [message(), without(message(), "url")]),
        ("patent_messages", [message(score="0.9")]),
        ("patent_messages", [message(apdt="20200101")]),
        ("patent_messages", [message(pbdt=2020)]),
        ("patent_messages", [message(loc_match=2)]),
        ("patent_messages", ["US1"]),
        ("report_lang", "de"),
        ("report_lang", None),
        ("country", ["us"]),
        ("country", "US"),
        ("lang", "en"),
    ],
)
def test_a_creation_refuses_what_the_contract_does_not_have_and_names_it(name: str, value: Any) -> None:
    refusal = refusal_of_body(Creation, creation(**{name: value}))
    assert refusal.code == 68300004
    assert name in refusal.detail


@pytest.mark.parametrize("name", ["urls", "patent_messages", "report_lang"])
def test_a_creation_needs_its_required_fields(name: str) -> None:
    assert name in refusal_of_body(Creation, without(creation(), name)).detail


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"urls": "\xff"}', b"[" * 100_000], ids=["empty", "cut", "bytes", "utf8", "deep"]
)
def test_a_body_that_is_no_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        read_body(body, Creation)
    assert refusal.value.code in (68300007, 68300004)
