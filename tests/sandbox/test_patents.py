"""Patents behind the drawings: always the same, plausible, and no help for guessing."""

import json
import re
import uuid
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.sandbox.patents import Patent, invent_patent

TRUTH = json.loads((Path(__file__).parents[2] / "samples" / "truth.json").read_text(encoding="utf-8"))
FILES = sorted(TRUTH["gallery"])


@pytest.fixture(scope="module")
def patents() -> dict[str, Patent]:
    return {file: invent_patent(file) for file in FILES}


def test_a_patent_never_changes() -> None:
    """Pinned: recorded answers and the demo's output depend on it."""
    patent = invent_patent("bag-0-1.png")
    assert patent == invent_patent("bag-0-1.png")
    assert (patent.patent_id, patent.patent_pn) == ("a5358535-43ca-5ee8-b30d-61e179e0cd75", "EU004544500-0001")
    assert (patent.title, patent.loc, patent.apdt, patent.pbdt) == ("Tote bag", "03-01", 20160131, 20170304)


@pytest.mark.parametrize("name", ["patent_id", "patent_pn", "apno"])
def test_numbers_are_unique(name: str, patents: dict[str, Patent]) -> None:
    assert len({getattr(patent, name) for patent in patents.values()}) == len(FILES)


def test_patent_ids_are_uuids(patents: dict[str, Patent]) -> None:
    assert all(uuid.UUID(patent.patent_id).version == 5 for patent in patents.values())


def test_numbers_have_the_form_of_their_authority(patents: dict[str, Patent]) -> None:
    forms = {
        "US": r"USD0\d{6}S1",
        "EU": r"EU\d{9}-\d{4}",
        "CN": r"CN30\d{7}S",
        "JP": r"JPD\d{7}S",
        "KR": r"KR30\d{7}S1",
    }
    assert {patent.country for patent in patents.values()} == set(forms)
    for patent in patents.values():
        assert re.fullmatch(forms[patent.country], patent.patent_pn)
        assert patent.apno.startswith(patent.country)


def test_publication_follows_application(patents: dict[str, Patent]) -> None:
    for patent in patents.values():
        applied, published = (datetime.strptime(str(day), "%Y%m%d") for day in (patent.apdt, patent.pbdt))
        assert applied < published


def test_a_family_is_one_design_filed_by_one_owner_in_several_countries(patents: dict[str, Patent]) -> None:
    families: dict[str, list[Patent]] = {}
    for file, patent in patents.items():
        families.setdefault(TRUTH["gallery"][file]["family"], []).append(patent)
    for members in families.values():
        assert len({patent.country for patent in members}) == len(members) == 3
        assert len({patent.apdt for patent in members}) > 1
        assert len({(p.title, p.loc, p.inventor, p.current_assignee, p.original_assignee) for p in members}) == 1


def test_no_field_gives_the_answer_away(patents: dict[str, Patent]) -> None:
    """The family's name would tell which drawings belong to a product."""
    for file, patent in patents.items():
        assert TRUTH["gallery"][file]["family"] not in repr(patent)


def test_every_kind_has_its_own_titles_and_a_loc_code(patents: dict[str, Patent]) -> None:
    titles: dict[str, str] = {}
    for file, patent in patents.items():
        kind = TRUTH["gallery"][file]["kind"]
        assert titles.setdefault(patent.title, kind) == kind
        assert re.fullmatch(r"\d\d-\d\d", patent.loc)
        assert patent.loc != "99-00"


def test_simple_status_agrees_with_the_legal_status(patents: dict[str, Patent]) -> None:
    pairs = {(patent.legal_status, patent.simple_legal_status) for patent in patents.values()}
    assert pairs == {("3", "1"), ("1", "2"), ("16", "0"), ("15", "0"), ("22", "0"), ("30", "0")}


@pytest.mark.parametrize("name", ["drawing.png", "my chair.PNG", "spoon-0-1.png", "chair-0-0.png", "椅子.png", ".png"])
def test_a_drawing_of_another_name_has_a_patent_too(name: str) -> None:
    patent = invent_patent(name)
    assert patent.title == "Article of manufacture"
    assert patent.loc == "99-00"
