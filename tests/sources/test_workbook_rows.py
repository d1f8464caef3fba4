"""Workbooks as people have them: ids as shown, dates, titles, merged cells, hidden sheets, and stray cells far off."""

import zipfile
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.items import read_items
from pipeline.sources.row import Row
from pipeline.sources.tables import read_rows
from pipeline.sources.workbook_remarks import workbook_remarks
from tests.support.fixtures import Job
from tests.support.workbooks import cell, ods_cell, rows_of, write_ods, write_xlsx

URL = "https://h.example/1.jpg"
HEAD: list[object] = ["id", "url"]


def read(file: Path, **entry: object) -> list[Row]:
    return list(read_rows(file, ImageEntry.model_validate({"manifest": file.name, **entry})))


def refusal(file: Path, **entry: object) -> SpecError:
    with pytest.raises(SpecError) as error:
        read(file, **entry)
    return error.value


@pytest.mark.parametrize(
    ("value", "style", "shown"),
    [
        pytest.param(42, 0, "42", id="never 42.0"),
        pytest.param(42, 1, "00042", id="zeros in front"),
        pytest.param(1234567, 1, "1234567", id="more digits than the format"),
        pytest.param(0, 1, "00000", id="zero"),
        pytest.param(7, 2, "SKU-007", id="text in the format"),
        pytest.param(12.5, 3, "12.50", id="zeros at the end"),
        pytest.param(12.345, 3, "12.345", id="nothing of the number is lost"),
        pytest.param(123456, 6, "123-456", id="a sign between digits"),
        pytest.param(0.5, 5, "0.5", id="a format that is not followed"),
        pytest.param(0.1 + 0.2, 0, "0.3", id="15 digits"),
        pytest.param(4006381333931, 0, "4006381333931", id="an EAN"),
        pytest.param(46082, 4, "2026-03-01", id="a date"),
        pytest.param(46082.75, 4, "2026-03-01T18:00:00", id="a date with a time"),
        pytest.param("00042", 0, "00042", id="text"),
        pytest.param(-0.0, 1, "00000", id="zero below zero"),
        pytest.param(1e300, 1, "1E+300", id="more digits than a number has"),
        pytest.param(1e400, 0, "INF", id="no number that a spreadsheet shows"),
        pytest.param(1e400, 3, "INF", id="no number, in a format"),
        pytest.param(float("nan"), 1, "NAN", id="not a number"),
    ],
)
def test_a_cell_is_read_as_it_is_shown(value: object, style: int, shown: str, tmp_path: Path) -> None:
    rows = rows_of([HEAD]) + f'<row r="2">{cell("A2", value, style)}{cell("B2", URL)}</row>'
    assert read(write_xlsx(tmp_path / "p.xlsx", ("Sheet1", rows))) == [
        Row(2, id=shown, url=URL, labels={}, sheet="Sheet1")
    ]


def test_a_long_number_is_written_as_the_rounded_one_that_it_is(tmp_path: Path, job: Job) -> None:
    rows = rows_of([HEAD, [1234567890123456, URL]])
    [row] = read(write_xlsx(tmp_path / "p.xlsx", ("Sheet1", rows)))
    assert row.id == "1.23456789012346E+15"


def test_titles_empty_rows_and_columns_around_the_table_are_passed_over(tmp_path: Path) -> None:
    rows = rows_of([[None, "Portfolio 2026"], [None], [None, "SKU", "Picture", None, "note"]]) + rows_of(
        [[None, "A", URL, "x"], [None], [None, None, URL, None, "b", "beside"]], first=5
    )
    found = read(write_xlsx(tmp_path / "p.xlsx", ("S", rows)), columns={"id": "SKU", "url": "picture"})
    assert [(row.place, row.id, row.url, row.labels, row.fault) for row in found] == [
        ("S!5", "A", URL, {}, ""),
        ("S!7", "", URL, {"note": "b"}, ""),
    ]


def test_no_row_is_lost_of_a_long_table(tmp_path: Path) -> None:
    rows = rows_of([["Portfolio"], HEAD, *([number, URL] for number in range(100))])
    found = read(write_xlsx(tmp_path / "p.xlsx", ("S", rows)))
    assert [(row.line, row.id) for row in found] == [(number + 3, str(number)) for number in range(100)]


def test_a_merged_cell_holds_for_each_row_that_it_reaches_over(tmp_path: Path) -> None:
    rows = rows_of([["client", "url"], ["acme", URL], [None, URL], [None, URL]])
    merged = '<mergeCells count="1"><mergeCell ref="A2:A3"/></mergeCells>'
    found = read(write_xlsx(tmp_path / "p.xlsx", ("S", rows), more=merged))
    assert [row.labels for row in found] == [{"client": "acme"}, {"client": "acme"}, {}]


def test_a_formula_has_the_value_that_was_saved(tmp_path: Path, job: Job) -> None:
    rows = rows_of([HEAD]) + (
        f'<row r="2"><c r="A2" t="str"><f>B1&amp;1</f><v>url1</v></c>{cell("B2", URL)}</row>'
        f'<row r="3" hidden="1"><c r="A3"><f>1+1</f></c>{cell("B3", URL)}</row>'
        f'<row r="4"><c r="A4"><f>1+1</f><v></v></c>{cell("B4", URL)}</row>'  # as openpyxl writes it
    )
    found = read(write_xlsx(tmp_path / "p.xlsx", ("S", rows)))
    assert [row.id for row in found] == ["url1", "", ""]
    [hidden, formulas] = workbook_remarks(job("manifest: p.xlsx"))
    assert "1 row is not shown" in hidden
    assert "has 2 formulas without a value: open it" in formulas


def test_the_first_sheet_that_is_shown_is_read_and_the_others_named(tmp_path: Path, job: Job) -> None:
    def sheet(name: str) -> tuple[str, str]:
        return name, rows_of([HEAD, [name, URL]])

    media = {"xl/media/image1.png": b"", "xl/media/image2.jpeg": b""}
    file = write_xlsx(tmp_path / "p.xlsx", sheet("Old"), sheet("客户"), sheet("Q3"), hidden=("Old",), files=media)
    assert [(row.place, row.id) for row in read(file)] == [("客户!2", "客户")]
    assert [row.id for row in read(file, sheet="Old")] == ["Old"]
    error = refusal(file, sheet="Q4")
    assert "no sheet named 'Q4'; the sheets are 'Old', '客户', 'Q3'" in str(error)
    sheets, pictures = workbook_remarks(job("manifest: p.xlsx"))
    assert "3 sheets (1 of them is hidden); '客户' is read" in sheets
    assert 'write `sheet: "Old"`' in sheets
    assert "has 2 pictures in or over its cells (image1.png, image2.jpeg), which cannot be taken" in pictures


def test_an_ods_is_read_as_it_shows_its_cells(tmp_path: Path, job: Job) -> None:
    def row(*cells: str, more: str = "") -> str:
        return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"

    empty = '<table:table-cell table:number-columns-repeated="16000"/>'
    rows = (
        row(ods_cell("id"), ods_cell("url"), ods_cell("client"), empty)
        + row(ods_cell("00042", 42), ods_cell(URL), ods_cell("acme", more='table:number-rows-spanned="2"'))
        + row(ods_cell("7", 7), ods_cell(URL), "<table:covered-table-cell/>", more='table:visibility="collapse"')
        + row(ods_cell("1.50", 1.5), ods_cell(URL))
        + row(empty, more='table:number-rows-repeated="1048000"')
    )
    found = read(write_ods(tmp_path / "p.ods", ("Blatt 1", rows)))
    assert [(row.place, row.id, row.labels) for row in found] == [
        ("Blatt 1!2", "00042", {"client": "acme"}),
        ("Blatt 1!3", "7", {"client": "acme"}),
        ("Blatt 1!4", "1.50", {}),
    ]
    assert "1 row is not shown" in workbook_remarks(job("manifest: p.ods"))[0]


def test_an_xls_is_read_and_says_that_it_cannot_tell_how_ids_are_shown(tmp_path: Path, job: Job) -> None:
    recorded = Path(__file__).parent / "recorded" / "portfolio.xls"
    (tmp_path / "p.xls").write_bytes(recorded.read_bytes())
    found = read(tmp_path / "p.xls", columns={"id": "SKU", "url": "Picture"})
    assert [(row.place, row.id, row.labels) for row in found] == [
        ("Produkte!2", "42", {"since": "2026-03-01", "count": "7"}),
        ("Produkte!4", "A-2", {}),
    ]
    remarks = workbook_remarks(job("{manifest: p.xls, columns: {id: SKU, url: Picture}}"))
    assert "an id 00042 that is a number is read as 42" in remarks[-1]


def test_a_workbook_is_known_by_its_content_whatever_its_ending(tmp_path: Path) -> None:
    file = write_xlsx(tmp_path / "p.xls", ("S", rows_of([HEAD, ["A", URL]])))
    assert [row.id for row in read(file)] == ["A"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"id,url\nA,https://h/1.jpg\n", "no workbook; a table in a text file is called .csv", id="csv"),
        pytest.param(b"<html><table>", "a web page", id="html"),
        pytest.param(b"<html><table>", "save it as .xlsx", id="a table that a program exports so"),
        pytest.param(b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>', "saved as XML", id="xml"),
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(b"PK\x03\x04" + b"\0" * 500, "no whole workbook", id="half a zip"),
        pytest.param(b"\xd0\xcf\x11\xe0" + b"\0" * 5000, "no whole workbook", id="half an xls"),
    ],
)
def test_what_is_no_workbook_is_called_what_it_is(raw: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "p.xlsx").write_bytes(raw)
    assert words in str(refusal(tmp_path / "p.xlsx"))


def test_a_sheet_without_the_columns_says_which_it_has(tmp_path: Path) -> None:
    error = refusal(write_xlsx(tmp_path / "p.xlsx", ("S", rows_of([["SKU", "Picture link"], ["A", URL]]))))
    assert f"{tmp_path}/p.xlsx:S!1: no column named 'url' or 'path'; the columns are 'SKU', 'Picture link'" in str(
        error
    )


def test_a_stray_cell_in_the_last_corner_fills_no_memory(tmp_path: Path) -> None:
    rows = rows_of([HEAD, ["A", URL]]) + f'<row r="1048576">{cell("XFD1048576", " ")}</row>'
    error = refusal(write_xlsx(tmp_path / "p.xlsx", ("S", rows)))
    assert "the sheet reaches to row 1,048,576 and column 16,384; delete what stands far outside" in str(error)
    ods = ods_cell("x", more='table:number-columns-repeated="16000"')
    rows = f'<table:table-row table:number-rows-repeated="100000">{ods}</table:table-row>'
    assert "reaches to row 100,000" in str(refusal(write_ods(tmp_path / "p.ods", ("S", rows))))


def test_a_cell_that_names_another_row_than_its_own_fills_no_memory(tmp_path: Path) -> None:
    rows = rows_of([HEAD, ["A", URL]]) + f'<row r="3">{cell("XFD1048576", " ")}</row>'
    assert "reaches to row 1,048,576" in str(refusal(write_xlsx(tmp_path / "p.xlsx", ("S", rows))))


def test_a_date_that_the_reader_stumbles_over_is_a_refusal_in_words(tmp_path: Path) -> None:
    rows = rows_of([HEAD, ["A", URL]]) + f'<row r="3">{cell("A3", -1e14, 4)}</row>'
    assert "no whole workbook" in str(refusal(write_xlsx(tmp_path / "p.xlsx", ("S", rows))))


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#NAME?", "#DIV/0!", "#VALUE!"])
def test_a_formula_that_found_no_value_is_a_row_with_its_fault_and_never_an_id(error: str, tmp_path: Path) -> None:
    failed = f'<c r="A3" t="e"><f>VLOOKUP(#REF!,B1,2)</f><v>{error}</v></c>'
    noted = f'<c r="C4" t="e"><v>{error}</v></c>'
    rows = rows_of([[*HEAD, "note"], ["A", URL, "x"]])
    rows += f'<row r="3">{failed}{cell("B3", URL)}</row><row r="4">{cell("A4", "B")}{cell("B4", URL)}{noted}</row>'
    csv = tmp_path / "p.csv"
    csv.write_text(f"id,url,note\nA,{URL},x\n{error},{URL}\nB,{URL},{error}\n")
    for file in (write_xlsx(tmp_path / "p.xlsx", ("S", rows)), csv):
        first, second, third = read(file)
        assert (first.id, third.id, third.labels, third.fault) == ("A", "B", {"note": error}, "")
        assert second.fault == f"{error} in the column 'id': a formula found no value there; mend the cell"


def test_a_sheet_without_a_cell_is_called_empty(tmp_path: Path) -> None:
    assert "nothing is written here" in str(refusal(write_xlsx(tmp_path / "p.xlsx", ("S", ""))))


def test_a_part_that_unpacks_without_end_is_refused_whatever_size_it_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.workbook_xlsx._MOST_BYTES", 100_000)
    file = write_xlsx(tmp_path / "p.xlsx", ("S", rows_of([HEAD, ["A", URL]]) + " " * 200_000))
    assert "unpacks to" in str(refusal(file))
    raw = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    (tmp_path / "lie.xlsx").write_bytes(raw.replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert "unpacks to more than" in str(refusal(tmp_path / "lie.xlsx"))


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    file = write_xlsx(tmp_path / "p.xlsx", ("S", rows_of([HEAD, ["A", URL]])))
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    bomb = b'<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, bomb + data if "sheet1" in name else data)
    assert "no whole workbook" in str(refusal(file))


def test_a_workbook_cut_or_changed_anywhere_is_read_or_refused_in_words(tmp_path: Path) -> None:
    raw = write_xlsx(tmp_path / "p.xlsx", ("S", rows_of([HEAD, [42, URL]], styles={0: 1}))).read_bytes()
    said: list[str] = []
    for at in range(0, len(raw), 41):
        for broken in (raw[:at], raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]):
            (tmp_path / "b.xlsx").write_bytes(broken)
            try:
                read(tmp_path / "b.xlsx")
            except SpecError as error:
                said.append(str(error))
    assert said
    assert all("b.xlsx" in words and "Error" not in words for words in said), set(said)


def test_the_rows_of_a_workbook_become_items_with_their_sheet(tmp_path: Path, job: Job) -> None:
    write_xlsx(tmp_path / "p.xlsx", ("Sheet 1", rows_of([HEAD, [42, URL], [43, "no url"]], styles={0: 1})))
    good, bad = read_items(job("{manifest: p.xlsx, labels: {client: acme}}"))
    assert (good.id, good.origin, good.labels) == ("00042", "p.xlsx:Sheet 1!2", {"client": "acme"})
    assert bad.problem is not None
    assert bad.problem.message.startswith("p.xlsx:Sheet 1!3: ")
