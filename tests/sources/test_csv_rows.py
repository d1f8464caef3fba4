"""Tables as people have them: every separator, encoding and leftover of the programs that wrote them."""

from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.row import Row
from pipeline.sources.tables import read_rows

ROW = Row(2, id="A-1", url="https://h/1.jpg", labels={"client": "acme"})


def read(folder: Path, raw: bytes | str, **entry: object) -> list[Row]:
    (folder / "p.csv").write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return list(read_rows(folder / "p.csv", ImageEntry.model_validate({"manifest": "p.csv", **entry})))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found_from_the_header(separator: str, tmp_path: Path) -> None:
    text = f"id,url,client\nA-1,https://h/1.jpg,acme\nA-2,https://h/2.jpg?a=1{'%2C'}2,acme\n".replace(",", separator)
    assert read(tmp_path, text)[0] == ROW
    assert len(read(tmp_path, text)) == 2


def test_separator_that_stands_in_the_names_of_columns_too_is_not_taken(tmp_path: Path) -> None:
    text = 'id;"url";"client, agent; or owner"\nA-1;https://h/1.jpg;"x; y"\n'
    assert read(tmp_path, text) == [Row(2, id="A-1", url="https://h/1.jpg", labels={"client, agent; or owner": "x; y"})]


@pytest.mark.parametrize("columns", [{}, {"columns": {"url": "url"}}, {"columns": {"id": "id", "path": "picture"}}])
def test_a_column_without_a_name_is_passed_over(tmp_path: Path, columns: dict[str, object]) -> None:
    """As programs write them that number the rows."""
    used = "picture" if "path" in str(columns) else "url"
    [row] = read(tmp_path, f",id,{used},,client\n0,A-1,1.jpg,note,acme\n", **columns)
    assert (row.id, row.url or row.path, row.labels) == ("A-1", "1.jpg", {"client": "acme"})
    assert "" in (row.url, row.path)


def test_separator_is_what_excel_says_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, "sep=;\r\nid;url;client\r\nA-1;https://h/1.jpg;acme\r\n") == [
        Row(3, id="A-1", url="https://h/1.jpg", labels={"client": "acme"})
    ]


TEXT = "id,url,客户\nA-1,https://h/1.jpg,商标\n"


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        pytest.param(TEXT.encode("utf-8-sig"), "gb18030", id="utf-8 with a mark"),
        pytest.param(b"\xef\xbb\xbf" + TEXT.encode("utf-8-sig"), "utf-8", id="two marks"),
        pytest.param(TEXT.encode("utf-16"), "utf-8", id="unicode text of excel"),
        pytest.param(b"\xfe\xff" + TEXT.encode("utf-16-be"), "latin-1", id="utf-16, high bytes first"),
        pytest.param(TEXT.encode("utf-16-le"), "utf-16", id="utf-16 without a mark"),
        pytest.param(TEXT.encode("utf-16-be"), "utf-16", id="utf-16 without a mark, high bytes first"),
        pytest.param(TEXT.encode("gbk"), "gb18030", id="gbk under gb18030"),
        pytest.param(TEXT.encode("gb18030"), "gbk", id="gb18030 under gbk"),
    ],
)
def test_byte_order_mark_wins_and_a_superset_reads_its_subset(raw: bytes, named: str, tmp_path: Path) -> None:
    assert read(tmp_path, raw, encoding=named) == [Row(2, id="A-1", url="https://h/1.jpg", labels={"客户": "商标"})]


@pytest.mark.parametrize(
    ("cell", "written", "named"),
    [
        pytest.param("①髙", "cp932", "shift_jis", id="cp932"),
        pytest.param("碁銹", "cp950", "big5", id="cp950"),
        pytest.param("镕€", "gb18030", "gbk", id="gbk"),
        pytest.param("“Käse”", "cp1252", "windows-1252", id="cp1252"),
        pytest.param("Škoda", "cp1250", "windows-1250", id="cp1250"),
        pytest.param("Ёлка", "cp1251", "cp1251", id="cp1251"),
        pytest.param("똠방각하", "cp949", "euc-kr", id="cp949"),
    ],
)
def test_windows_own_encodings_are_read_by_the_name_that_people_use(
    cell: str, written: str, named: str, tmp_path: Path
) -> None:
    found = read(tmp_path, f"url,c\nhttps://h/1.jpg,a{cell}b\n".encode(written), encoding=named)
    assert found == [Row(2, url="https://h/1.jpg", labels={"c": f"a{cell}b"})]


def test_utf_16_without_a_mark_is_found(tmp_path: Path) -> None:
    text = "id,url,client\nA-1,https://h/1.jpg,acme\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        assert read(tmp_path, text.encode(encoding)) == [ROW]


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\r\n\0\0\0\0", "\n , ,\n,,\n\u00a0,\u3000,\n", "\0" * 600])
def test_what_programs_leave_behind_the_last_row_is_no_row(end: str, tmp_path: Path) -> None:
    assert read(tmp_path, f"id,url,client\nA-1,https://h/1.jpg,acme{end}") == [ROW]


@pytest.mark.parametrize("begin", ["\n", "\r\n\r\n", ",,\n", " \n;;\n"])
def test_blank_first_lines_are_passed_over(begin: str, tmp_path: Path) -> None:
    [row] = read(tmp_path, f"{begin}id,url,client\nA-1,https://h/1.jpg,acme\n")
    assert (row.id, row.url, row.labels, row.fault) == ("A-1", "https://h/1.jpg", {"client": "acme"}, "")


@pytest.mark.parametrize("header", ["ID,URL", "Id,Url", "id ,url ", "ＩＤ,ＵＲＬ"])
def test_columns_are_found_whatever_their_case(header: str, tmp_path: Path) -> None:
    assert read(tmp_path, f"{header}\nA-1,https://h/1.jpg\n") == [Row(2, id="A-1", url="https://h/1.jpg", labels={})]


def test_named_columns_are_found_however_they_are_spelled(tmp_path: Path) -> None:
    text = "Artikelnummer gru\u0308n,Main  Picture,Client_Name\nA-1,https://h/1.jpg,acme\n"
    columns = {"id": "Artikelnummer gr\u00fcn", "url": "Main picture", "labels": ["client name"]}
    [row] = read(tmp_path, text, columns=columns)
    assert (row.id, row.url, row.labels) == ("A-1", "https://h/1.jpg", {"Client_Name": "acme"})


def test_two_columns_that_could_both_be_meant_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the columns are 'Url', 'URL'"):
        read(tmp_path, "Url,URL\nhttps://h/1.jpg,https://h/2.jpg\n")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"PK\x03\x04" + b"\0" * 100, "Excel workbook (.xlsx)", id="xlsx"),
        pytest.param(b"\xd0\xcf\x11\xe0" + b"\0" * 100, "old Excel workbook", id="xls"),
        pytest.param(b"%PDF-1.7\n", "a PDF", id="pdf"),
        pytest.param(b"\n<!DOCTYPE html><html><title>403 Forbidden", "a web page, not a table", id="html"),
        pytest.param(b"\xff\xd8\xff\xe0", "a JPG picture", id="jpg"),
        pytest.param(b"\x1f\x8b\x08", "a gzip file", id="gzip"),
    ],
)
def test_file_that_is_no_table_is_called_what_it_is(raw: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refusal:
        read(tmp_path, raw)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "top",
    [
        pytest.param("Product list 2026\n", id="a title"),
        pytest.param("Product list 2026,,\n,,\nas of 26 November,,\n", id="titles and an empty row"),
        pytest.param('"A title, with a comma",,\n', id="a title in quotes"),
        pytest.param("sep=,\nProduct list,,\n", id="below what Excel says of the separator"),
    ],
)
def test_header_may_stand_below_titles(top: str, tmp_path: Path) -> None:
    at = top.count("\n") + 2
    [row] = read(tmp_path, f"{top}id,url,client\nA-1,https://h/1.jpg,acme\n")
    assert row == Row(at, id="A-1", url="https://h/1.jpg", labels={"client": "acme"})


def test_header_below_titles_is_found_by_the_columns_that_the_job_names(tmp_path: Path) -> None:
    text = "Liste;;\nSKU;Bild;Kunde\nA-1;https://h/1.jpg;acme\n"
    columns = {"id": "SKU", "url": "Bild", "labels": ["Kunde"]}
    [row] = read(tmp_path, text, columns=columns)
    assert row == Row(3, id="A-1", url="https://h/1.jpg", labels={"Kunde": "acme"})


def test_first_line_is_the_header_where_no_line_has_the_columns(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        read(tmp_path, "Product list\nsku,picture\nA-1,https://h/1.jpg\n")
    assert "p.csv:1:1: no column named 'url' or 'path'; the columns are 'Product list'" in str(error.value)


def test_header_whose_cells_go_on_in_the_next_line_is_no_title(tmp_path: Path) -> None:
    text = 'SKU,"Main\npicture",url\nA-1,x,https://h/1.jpg\n'
    [row] = read(tmp_path, text, columns={"id": "SKU"})
    assert (row.id, row.url, row.labels) == ("A-1", "https://h/1.jpg", {"Main\npicture": "x"})
