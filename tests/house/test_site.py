"""The documents hang together: the commands that they show are those of the program, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.support.documents import DOCUMENTS, NAMES, commands, mentions, refusal, unknown


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
