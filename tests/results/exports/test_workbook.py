"""The workbook, read back by openpyxl and by calamine: pictures, decisions to choose, and no formula anywhere."""

import re
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pytest
import python_calamine

from pipeline.results.cells import LONGEST, visible
from pipeline.results.decisions import Decision
from pipeline.results.exports.export import FLOAT, NO_PICTURES
from pipeline.results.exports.selection import Wanted
from pipeline.results.exports.texts import ADVICE
from tests.support.exported import NASTY, written
from tests.support.report_records import hit, record


def table(path: Path, sheet: str) -> list[dict[str, Any]]:
    found = openpyxl.load_workbook(path)[sheet]
    header, *rows = ([cell.value for cell in row] for row in found.iter_rows())
    return [dict(zip(header, row, strict=True)) for row in rows]


def text_of(path: Path, sheet: str) -> str:
    return "\n".join(str(cell) for row in openpyxl.load_workbook(path)[sheet].values for cell in row if cell)


def test_the_sheets_are_there_with_filter_frozen_header_and_decisions_to_choose(tmp_path: Path) -> None:
    known = Decision(item="A", patent_pn="P1", decision="watch", note="soon", by="ann", at="2026-11-02T10:00:00.000Z")
    hits = [hit(0.9137, patent_pn="P1"), hit(0.5, patent_pn="P2")]
    path = written("xlsx", tmp_path, record("A", hits=hits), record("B", status="failed"), decided=(known,))
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Products", "Hits", "Not looked at", "About"]
    sheet = book["Products"]
    header = [cell.value for cell in sheet[1]]
    assert sheet.freeze_panes == "B2"
    assert sheet.auto_filter.ref.startswith("A1:")
    [choice] = sheet.data_validations.dataValidation
    letter = openpyxl.utils.get_column_letter(header.index("Decision") + 1)
    assert (str(choice.sqref), choice.formula1) == (f"{letter}2:{letter}3", '"watch,escalate,dismiss"')
    hidden = [header.index(name) + 1 for name in ("decision_was", "note_was")]
    assert all(sheet.column_dimensions[openpyxl.utils.get_column_letter(at)].hidden for at in hidden[:1])
    first, second = table(path, "Products")
    assert (first["Item"], first["Score"], first["Patent number"]) == ("A", 0.9137, "P1")
    assert (first["Decision"], first["Note"], first["decision_was"]) == ("watch", "soon", "watch")
    assert (second["Item"], second["Status"], second["Code"]) == ("B", "failed", "68300010")
    assert [row["Patent number"] for row in table(path, "Hits")] == ["P1", "P2"]


def test_product_and_design_are_pictures_in_their_cells_as_jpeg(tmp_path: Path) -> None:
    records = [record(f"P{n}", hits=[hit(url=f"https://pictures.example/{n * 'x'}.png")]) for n in range(3)]
    missing = record("Q", hits=[hit(0.1)], image={"source": "missing.jpg", "labels": {}})
    with zipfile.ZipFile(written("xlsx", tmp_path, *records, missing)) as archive:
        media = [name for name in archive.namelist() if name.startswith("xl/media/")]
        assert len(media) == 4  # the product's, which all share, and one a design
        assert all(archive.read(name).startswith(b"\xff\xd8\xff") for name in media)
        cells = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml")).iter()
        pictured = [cell.get("r") for cell in cells if cell.tag.endswith("}c") and cell.get("vm")]
        assert "xl/richData/richValueRel.xml" in archive.namelist()
    assert len(pictured) == 2 * 3 + 1


def test_pictures_may_float_or_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = openpyxl.load_workbook(written("xlsx", tmp_path, record("A"), record("B"), pictures=FLOAT))
    drawn = book["Products"]._images
    assert [(one.anchor._from.row, one.anchor._from.col) for one in drawn][::2] == [(1, 1), (2, 1)]
    monkeypatch.setattr("pipeline.results.exports.workbook._FLOATING", 1)
    book = openpyxl.load_workbook(written("xlsx", tmp_path, record("A"), record("B"), pictures=FLOAT))
    assert len(book["Products"]._images) == 2
    path = written("xlsx", tmp_path, record("A"), pictures=NO_PICTURES)
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if "media" in name or "drawing" in name]
    assert "Picture" not in [cell.value for cell in openpyxl.load_workbook(path)["Products"][1]][:6]


@pytest.mark.parametrize("name", NASTY)
def test_no_text_becomes_a_formula_or_breaks_the_file(tmp_path: Path, name: str) -> None:
    text = NASTY[name]
    decided = Decision(item=text[:128], patent_pn=text, decision="watch", note=text, by=text, at="2026-11-02")
    compared = [{"patent_id": "p-1", "risk_level": text, "similar": text}]
    nasty = record(
        text[:128],
        hits=[hit(title=text, patent_pn=text)],
        image={"source": text, "labels": {"client": text, text[:40]: text}},
        comparisons=compared,
    )
    path = written("xlsx", tmp_path, nasty, decided=(decided,), title=text, not_looked_at=[text])
    book = openpyxl.load_workbook(path)
    for sheet in book:
        for row in sheet.iter_rows():
            assert [cell.coordinate for cell in row if cell.data_type == "f"] == []
            assert all(len(str(cell.value)) <= 32_767 for cell in row)
    sheets = python_calamine.CalamineWorkbook.from_path(path)
    for sheet in ("Hits", "Products"):
        header, row = sheets.get_sheet_by_name(sheet).to_python()
        assert str(row[header.index("Title")]).strip() == visible(text, LONGEST - 2)
    with zipfile.ZipFile(path) as archive:
        for part in archive.namelist():
            if part.endswith(".xml"):
                ElementTree.fromstring(archive.read(part))


def test_ids_keep_their_zeros_and_scores_are_not_rounded_up(tmp_path: Path) -> None:
    path = written("xlsx", tmp_path, record("00042", hits=[hit(0.89999)]))
    cell = openpyxl.load_workbook(path)["Products"]["A2"]
    assert (cell.value, cell.data_type) == ("00042", "s")
    [row] = table(path, "Products")
    assert row["Score"] == 0.89999
    formats = {cell.number_format for row in openpyxl.load_workbook(path)["Products"].iter_rows() for cell in row}
    assert "0.0000##" in formats


def test_what_the_vendor_writes_is_in_quotation_marks(tmp_path: Path) -> None:
    compared = [{"patent_id": "p-1", "risk_level": "High", "similar": "same shade"}]
    path = written("xlsx", tmp_path, record("A", status="reported", comparisons=compared))
    [row] = table(path, "Hits")
    assert (row["The vendor writes: level"], row["The vendor writes: similar"]) == ("“High”", "“same shade”")
    assert table(path, "Products")[0]["The vendor writes: level"] == "“High”"


def test_days_and_times_are_days_and_times(tmp_path: Path) -> None:
    path = written("xlsx", tmp_path, record("A", hits=[hit(apdt=20230102, pbdt=18500101)]))
    [row] = table(path, "Hits")
    assert (row["Applied"].isoformat(), row["Published"]) == ("2023-01-02T00:00:00", "1850-01-01")


def test_what_was_not_looked_at_and_what_it_is_are_said(tmp_path: Path) -> None:
    wanted = Wanted(least=0.5, statuses=frozenset({"tasked"}))
    path = written("xlsx", tmp_path, record("A"), wanted=wanted, unfinished=3, vendor="sandbox", rehearsal=True)
    said = text_of(path, "Not looked at")
    assert "utility models" in said
    assert "3 products have none yet" in said
    assert "a score below 0.5" in said
    assert "not tasked" in said
    about = text_of(path, "About")
    for words in (
        ADVICE,
        "drawn gallery",
        "A rehearsal",
        "before Excel 365/2023",
        "2026-11-21 18:00 UTC",
        "Patent number",
    ):
        assert words in about
    assert "Sandbox: drawn designs" in openpyxl.load_workbook(path)["Products"].oddHeader.right.text


def test_no_word_reassures(tmp_path: Path) -> None:
    path = written("xlsx", tmp_path, record("A"), record("B", status="failed"))
    said = " ".join(text_of(path, sheet) for sheet in ("About", "Not looked at", "Products", "Hits")).lower()
    assert re.findall(r"\b(safe|clear|risk|infring\w*)\b", said.replace("infringement-pipeline", "")) == []


def test_rows_beyond_those_of_a_sheet_go_on_in_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.results.exports.sheet.MOST_ROWS", 4)
    path = written("xlsx", tmp_path, *(record(f"P{n}", hits=[hit(n / 10)]) for n in range(9)), per="hit")
    assert openpyxl.load_workbook(path).sheetnames == ["Hits", "Hits 2", "Hits 3", "Not looked at", "About"]
    found = [row["Item"] for sheet in ("Hits", "Hits 2", "Hits 3") for row in table(path, sheet)]
    assert found == [f"P{n}" for n in reversed(range(9))]


def test_beyond_so_many_products_there_are_no_pictures_and_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.results.exports.workbook.PICTURED", 2)
    path = written("xlsx", tmp_path, *(record(f"P{n}") for n in range(5)))
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count(' vm="') == 4
    assert "The first 2 products of 5, the most alike, have pictures" in text_of(path, "About")


@pytest.mark.proofs
def test_the_sheet_of_hits_has_the_most_alike_of_each(tmp_path: Path) -> None:
    many = record("A", hits=[hit(n / 100, patent_pn=f"P{n}") for n in range(20)])
    assert [row["Place"] for row in table(written("xlsx", tmp_path, many), "Hits")] == [1, 2, 3, 4, 5]
    assert "--top 100" in text_of(written("xlsx", tmp_path, many), "About")
    assert len(table(written("xlsx", tmp_path, many, wanted=Wanted(top=100)), "Hits")) == 20
