"""The PDF, read back by pypdf: every product beside its designs, whatever its texts hold."""

from pathlib import Path
from typing import Any

import pypdf
import pytest

from pipeline.errors import SpecError
from pipeline.results.decisions import Decision
from pipeline.results.exports import pdf
from tests.support.exported import NASTY, written
from tests.support.report_records import hit, record

pytestmark = pytest.mark.proofs  # fonts are looked for anew each time


def text_of(path: Path) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def test_every_product_is_there_with_its_designs_and_each_page_says_what_it_is_not(tmp_path: Path) -> None:
    records = [record(f"P-{n}", hits=[hit(0.89999, patent_pn=f"US{n}S")] * 7) for n in range(14)]
    known = Decision(item="P-3", patent_pn="US3S", decision="escalate", note="ask Ann", at="2026-11-02")
    path = written("pdf", tmp_path, *records, record("Q", status="failed"), decided=(known,), vendor="sandbox")
    reader = pypdf.PdfReader(path)
    assert len(reader.pages) == 3
    for number, page in enumerate(reader.pages, start=1):
        said = page.extract_text()
        assert f"page {number} of 3" in said
        assert "Not legal advice" in said
        assert "Sandbox: drawn designs" in said
    text = text_of(path)
    assert all(text.count(f"P-{n}\n") == 1 for n in range(14))
    assert text.count("US5S") == 5
    for words in (
        "0.8999",
        "escalate",
        "ask Ann",
        "Open: the vendor does not accept",
        "utility models",
        "As of 2026-11-21",
    ):
        assert words in text
    assert "0.9000" not in text
    pictures = {image.data for page in reader.pages for image in page.images}
    assert len(pictures) == 2  # of all products, and of all designs


@pytest.mark.parametrize("name", NASTY)
def test_no_text_is_taken_for_markup(tmp_path: Path, name: str) -> None:
    text = NASTY[name]
    markup = f"{text} #panic() ]] $x$ *b* @ref <l> \\"
    nasty = record(
        f'{text[:20]} #read("/etc/passwd")',
        hits=[hit(title=markup, patent_pn=markup, current_assignee=markup)],
        image={"source": markup, "labels": {"client": markup, markup[:40]: "#x"}},
    )
    path = written("pdf", tmp_path, nasty, title=markup, not_looked_at=[markup], state=markup)
    said = text_of(path)
    assert "#panic()" in said or name == "long"
    assert "root:" not in said


def test_a_missing_font_is_asked_for_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "_CJK", ("no such font",))
    with pytest.raises(SpecError) as told:
        written("pdf", tmp_path, record("A", hits=[hit(current_assignee="深圳市优品科技有限公司")]))
    [line] = told.value.lines
    fault: Any = line
    assert fault.fix == "apt-get install fonts-noto-cjk"
    written("pdf", tmp_path, record("A", hits=[hit(current_assignee="Ünïcode Ltd")]))


def test_more_products_than_a_document_holds_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MOST", 3)
    said = text_of(written("pdf", tmp_path, *(record(f"P-{n}") for n in range(5))))
    assert "The first 3 products, the most alike, are in it, 2 more are not" in " ".join(said.split())


def test_nothing_to_show_is_a_document_too(tmp_path: Path) -> None:
    assert "utility models" in text_of(written("pdf", tmp_path))
