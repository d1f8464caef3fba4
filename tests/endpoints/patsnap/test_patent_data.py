"""D301 and P014: many patents in one call, and what is read of each."""

import pytest

from pipeline.endpoints.details import PatentDetail, askable
from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.d301 import PatentDetails
from pipeline.endpoints.patsnap.p014 import PatentFamilies
from pipeline.models import Kind
from pipeline.sandbox.patents import invent_patent
from pipeline.system.clock import iso
from tests.support.answers import AT, answer, sample

DETAILS, FAMILIES = PatentDetails(), PatentFamilies()
AS_OF = iso(AT)
LAMPS = [invent_patent(f"lamp-{design}-{number}.png") for design in (0, 1) for number in (1, 2, 3)]


@pytest.mark.parametrize(("endpoint", "path"), [(DETAILS, "patent-detail-aggregation"), (FAMILIES, "patent-family")])
def test_many_patents_are_asked_for_in_one_query(endpoint: PatentDetails | PatentFamilies, path: str) -> None:
    request = endpoint.request(("p1", "p2", "p3"))
    assert (request.kind, request.method, request.path) == (Kind.DETAILS, "GET", f"/basic-patent-data/{path}")
    assert request.query == (("patent_id", "p1,p2,p3"),)
    assert request.body is None


def test_the_example_of_the_contract_is_read_whole() -> None:
    assert DETAILS.read(sample("d301_contract")) == {
        "p1": PatentDetail(
            as_of=AS_OF,
            number="CN309000001S",
            title="台灯",
            title_cn="台灯",
            owner="E Ltd",
            status="active",
            status_sent="有效",
            patent_type="design",
            country="CN",
            application_date="2023-01-02",
            publication_date="2023-09-01",
            grant_date="2023-09-01",
            expiry_estimate="2038-01-02",
            loc=("26-05",),
            drawings=1,
        )
    }


def test_no_signed_link_is_kept() -> None:
    assert "sign=" not in str(DETAILS.read(sample("d301_ok")))


def test_the_order_of_an_answer_says_nothing_and_the_missing_are_missing() -> None:
    found = DETAILS.read(sample("d301_ok"))
    for lamp in LAMPS:
        if lamp.patent_id in found:
            assert found[lamp.patent_id].number == lamp.patent_pn
    assert 0 < len(found) < 12  # one of the twelve that were asked for is not there


def test_words_that_are_not_known_are_kept_as_sent_and_known_ones_are_translated() -> None:
    odd = DETAILS.read(sample("d301_odd"))
    assert (odd["p1"].status, odd["p1"].status_sent) == ("未确认", "未确认")
    assert (odd["p2"].status, odd["p2"].status_sent, odd["p2"].patent_type) == ("pending", "Pending", "design")


def test_what_cannot_be_read_of_one_patent_takes_nothing_from_the_others() -> None:
    odd = DETAILS.read(sample("d301_odd"))
    assert set(odd) == {"p1", "p2"}
    assert odd["p1"] == PatentDetail(
        as_of=AS_OF, owner="A Ltd; B Ltd", status="未确认", status_sent="未确认", loc=("06-01",)
    )
    assert odd["p2"].owner == "C ? Ltd"


@pytest.mark.parametrize("given", [sample("d301_none"), sample("no_hits_data_empty")])
def test_none_found_is_no_fault(given: Answer) -> None:
    assert DETAILS.read(given) == FAMILIES.read(given) == {}


@pytest.mark.parametrize("data", [None, "p1", 7, True, {"patent_id": "p1"}])
def test_a_success_without_a_list_is_no_answer(data: object) -> None:
    with pytest.raises(Refusal) as refused:
        DETAILS.read(answer({"data": data, "status": True, "error_code": 0}))
    assert refused.value.condition == "no_data"


def test_one_design_has_one_family_in_every_country() -> None:
    families = FAMILIES.read(sample("p014_ok"))
    of_design = [
        {families[lamp.patent_id] for lamp in LAMPS[at : at + 3] if lamp.patent_id in families} for at in (0, 3)
    ]
    assert [len(found) for found in of_design] == [1, 1]
    assert of_design[0] != of_design[1]
    assert all(family.startswith("simple:") for family in families.values())


def test_a_wider_family_stands_for_a_simple_one_that_is_not_named() -> None:
    assert FAMILIES.read(sample("p014_none_named")) == {"p1": "inpadoc:459115956", "p2": ""}


@pytest.mark.parametrize("id_", ["", "a,b", " a", "a\n", "x" * 129, None, 7, ["a"]])
def test_an_id_that_would_spoil_the_others_is_not_asked_for(id_: object) -> None:
    assert not askable(id_)
    assert askable("0b1c5c9e-1fb9-547e-bcb9-319e16514ad7")
