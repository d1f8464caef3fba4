"""Owner and status beside each hit, designs that are the same, and what is said where there are no details."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.endpoints.details import PENDING, PatentDetail
from pipeline.results.late_details import LateLine
from pipeline.results.page.entries import Hit, entry_of
from pipeline.results.page.owners import Owner, about_details, owner_of
from pipeline.results.reading import RecordView, read_line
from tests.support.markup import EVIL, Elements
from tests.support.report_records import hit, page, record

AS_OF = "2026-11-21T12:00:00.000Z"
LAMP = PatentDetail(
    as_of=AS_OF, owner="E Ltd", status="active", country="CN", expiry_estimate="2038-01-02", family="simple:1"
)


def shown(**details: Any) -> RecordView:
    hits = [hit(0.9 - n / 10, patent_id=f"p{n}", patent_pn=f"US{n}S1") for n in range(3)]
    return read_line(json.dumps(record(hits=hits, **details)).encode())


def owners(*details: PatentDetail | None) -> list[Owner]:
    hits = [Hit(0.9, f"US{n}S1", "Lamp", "", detail) for n, detail in enumerate(details)]
    return [owner_of(one, hits) for one in hits]


def test_a_hit_has_its_owner_its_status_and_how_old_that_is() -> None:
    assert owners(LAMP) == [Owner("E Ltd", "Active in CN, expected end 2038-01-02, as of 2026-11-21")]


@pytest.mark.parametrize(
    ("detail", "name", "status"),
    [
        (PatentDetail(original_owner="F Ltd", status="inactive"), "F Ltd (first owner)", "Inactive"),
        (PatentDetail(owner="F Ltd", status="未确认", country="CN"), "F Ltd", "“未确认” in CN"),
        (PatentDetail(), "owner not said", "status not said"),
    ],
)
def test_what_the_vendor_did_not_say_is_not_made_up(detail: PatentDetail, name: str, status: str) -> None:
    assert owners(detail) == [Owner(name, status)]


def test_one_design_in_several_countries_is_told_from_another() -> None:
    japan = PatentDetail(owner="E Ltd", status="active", country="JP", family="simple:1")
    other = PatentDetail(owner="E Ltd", status="active", country="US", family="simple:2")
    unknown = PatentDetail(owner="E Ltd")
    assert [one.same_design for one in owners(LAMP, other, japan, unknown, unknown)] == ["", "", "US0S1", "", ""]


@pytest.mark.parametrize("missing", ["not_found", "over_budget", "failed", "pending", "not_allowed"])
def test_a_hit_without_details_says_why(missing: str) -> None:
    (owner,) = owners(PatentDetail(missing=missing))
    assert owner.missing
    assert not owner.name


def test_an_item_says_why_it_has_no_details_at_all() -> None:
    assert about_details(shown(details="not_allowed")) == "Details of the hits: this account may not ask for details."
    assert about_details(shown()) == about_details(shown(details={})) == ""


def test_an_item_says_how_many_different_designs_its_hits_are() -> None:
    details = {f"p{n}": {"owner": "E Ltd", "family": f"simple:{n // 2}"} for n in range(3)}
    assert about_details(shown(details=details, designs=2)) == "The 3 hits with details are 2 different designs."
    assert about_details(shown(details=details, designs=3)) == ""


def test_a_page_shows_them_and_one_without_details_shows_nothing_of_the_kind(tmp_path: Path) -> None:
    details = {"p-1": {"owner": "E Ltd", "status": "active", "status_sent": "有效", "as_of": AS_OF}}
    assert 'class="owner"' not in page(tmp_path, record())
    text = page(tmp_path, record(details=details))
    assert "E Ltd" in text
    assert "Active, as of 2026-11-21" in text


def test_details_that_came_late_are_joined(tmp_path: Path) -> None:
    late = {"SKU-1": LateLine(item="SKU-1", at=AS_OF, details={"p0": LAMP}, designs=1)}
    joined = shown(details=PENDING).with_late(late)
    assert (joined.details, joined.designs, joined.details_state) == ({"p0": LAMP}, 1, "")
    assert [one.detail for one in entry_of(joined).hits] == [LAMP, None, None]
    twin = read_line(json.dumps(record("SKU-2", same_as="SKU-1", details=PENDING)).encode())
    assert twin.with_late(late).details == {"p0": LAMP}
    known = shown(details={"p0": {"owner": "F Ltd"}})
    assert known.with_late(late).details == {"p0": LAMP}  # what a job asked for later is newer than the record
    word = {"SKU-1": LateLine(item="SKU-1", at=AS_OF, details="failed")}
    assert known.with_late(word) is known


def test_no_detail_becomes_markup(tmp_path: Path) -> None:
    texts = ("owner", "original_owner", "status", "country", "expiry_estimate", "family", "missing", "as_of")
    evil = [
        record("A", details={"p-1": {key: EVIL for key in texts if key != "missing"}}),
        record("B", details={"p-1": {"missing": EVIL}}),
        record("C", details=EVIL),
    ]
    elements = Elements(page(tmp_path, *evil))
    assert not elements.of("script")
    assert not [attributes for _, attributes in elements.found if any(name.startswith("on") for name in attributes)]
