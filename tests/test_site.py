"""The documents hang together: commands, links and references are those of the program, and each has its place."""

import re
from pathlib import Path

import pytest

from tests.support.command_reference import reference as of_commands
from tests.support.documents import DOCUMENTS, NAMES, ROOT, commands, mentions, refusal, unknown
from tests.support.record_reference import comments, kinds
from tests.support.record_reference import reference as of_records


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_command_that_a_document_shows_is_one_of_the_program(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert {" ".join(words): said for words in commands(text) if (said := refusal(words))} == {}
    assert {" ".join(words): missing for words in mentions(text) if (missing := unknown(words))} == {}


def test_a_command_that_is_none_is_found() -> None:
    assert "no command frob" in refusal(["frob"])
    assert "--frob" in refusal(["run", "job.yaml", "--frob"])
    assert unknown(["frob", "job.yaml"]) == ["frob"]
    assert unknown(["run", "SPEC", "--frob", "--yes"]) == ["--frob"]


_LINK = re.compile(r"(?<!`)\]\(([^()\s]+)\)")


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as code hosts and the site name them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"`|\]\([^)]*\)|\[", "", title)).strip().lower().replace(" ", "-")
        for title in titles
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    astray = []
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            astray.append(target)
    assert astray == []


def test_every_document_has_a_place_in_the_site() -> None:
    listed = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:")[1]))
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert there - listed == set(), "name it under `nav` in mkdocs.yml"
    assert {one for one in listed - there if not (ROOT / one.replace("readme", "README")).exists()} == set()


def test_the_reference_of_commands_is_that_of_the_program() -> None:
    told = "run python -m tests.support.command_reference > docs/commands.md"
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == of_commands(), told


def test_the_reference_of_records_is_that_of_their_types() -> None:
    told = "run python -m tests.support.record_reference > docs/records.md"
    assert (ROOT / "docs" / "records.md").read_text(encoding="utf-8") == of_records(), told
    assert all(comments(kind).keys() == kind.__annotations__.keys() for kind in kinds())
