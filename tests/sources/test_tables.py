"""Rows of a manifest: streamed, each usable or with its line and its fault."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.checks import MANIFEST_ENDINGS
from pipeline.job.images import Columns, ImageEntry
from pipeline.sources.tables import MAX_DEPTH, MAX_LINE, READERS, Row, read_rows

Read = Callable[..., list[Row]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a manifest from its bytes."""

    def read(raw: bytes | str, name: str = "p.csv", **entry: object) -> list[Row]:
        (tmp_path / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
        return list(read_rows(tmp_path / name, ImageEntry.model_validate({"manifest": name, **entry})))

    return read


@pytest.fixture
def refusal(read: Read, tmp_path: Path) -> Callable[..., str]:
    """Return the text of the SpecError that a manifest causes, without its folder."""

    def refusal(*args: object, **entry: object) -> str:
        with pytest.raises(SpecError) as error:
            read(*args, **entry)
        [line] = error.value.lines
        return line.removeprefix(f"{tmp_path}/")

    return refusal


def test_columns_named_id_url_path_are_known_and_the_rest_are_labels(read: Read) -> None:
    assert read("url,client,id,market\nhttps://h/1.jpg,acme,S1,US\nhttps://h/2.jpg,,S2,EU\n") == [
        Row(2, id="S1", url="https://h/1.jpg", labels={"client": "acme", "market": "US"}),
        Row(3, id="S2", url="https://h/2.jpg", labels={"market": "EU"}),
    ]


def test_columns_can_have_other_names_and_labels_be_chosen(read: Read) -> None:
    columns = Columns(id="SKU", url="Main picture", labels=["market"])
    text = "SKU,Main picture,client,market\nS1,https://h/1.jpg,acme,US\n"
    assert read(text, columns=columns) == [Row(2, id="S1", url="https://h/1.jpg", labels={"market": "US"})]


def test_no_labels_are_taken_when_none_are_asked_for(read: Read) -> None:
    assert read("url,client\nhttps://h/1.jpg,acme\n", columns=Columns(labels=[]))[0].labels == {}


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        pytest.param("id,url,名\nS1,https://h/1.jpg,商标\n".encode(), "utf-8", id="utf-8"),
        pytest.param("id,url,名\nS1,https://h/1.jpg,商标\n".encode("utf-8-sig"), "utf-8", id="utf-8 with a BOM"),
        pytest.param("id,url,名\nS1,https://h/1.jpg,商标\n".encode("gb18030"), "gb18030", id="gb18030"),
        pytest.param("id,url,名\nS1,https://h/1.jpg,商标\n".encode("utf-16"), "utf-16", id="utf-16"),
        pytest.param("id,url,名\r\nS1,https://h/1.jpg,商标\r\n".encode(), "utf-8", id="CRLF"),
        pytest.param("id,url,名\rS1,https://h/1.jpg,商标\r".encode(), "utf-8", id="CR"),
        pytest.param(
            '"id","url", 名 \nS1, https://h/1.jpg ,商标'.encode(), "utf-8", id="spaces and no last line break"
        ),
    ],
)
def test_texts_of_all_common_makes_are_read_alike(read: Read, raw: bytes, encoding: str) -> None:
    assert read(raw, encoding=encoding) == [Row(2, id="S1", url="https://h/1.jpg", labels={"名": "商标"})]


def test_quotes_hold_commas_line_breaks_and_quotes_and_the_line_is_where_the_row_ends(read: Read) -> None:
    found = read('url,note\nhttps://h/1.jpg,"a, ""b""\nc"\nhttps://h/2.jpg,x\n')
    assert [(row.line, row.labels) for row in found] == [(3, {"note": 'a, "b"\nc'}), (4, {"note": "x"})]


def test_empty_lines_and_rows_of_nothing_are_passed_over(read: Read) -> None:
    assert [row.line for row in read("id,url\n\n1,https://h/1.jpg\n,\n\n2,https://h/2.jpg\n")] == [3, 6]


def test_a_manifest_without_rows_has_none(read: Read) -> None:
    assert read("id,url\n") == []
    assert read("", name="p.jsonl") == []


def test_a_row_with_too_many_cells_is_told_and_the_next_one_read(read: Read) -> None:
    found = read("id,url\n2,https://h/2.jpg,x\n3,https://h/3.jpg\n")
    assert [(row.line, row.fault.split(";")[0]) for row in found] == [
        (2, "3 cells where the header has 2: one too many is 'x'"),
        (3, ""),
    ]


def test_cells_that_are_too_many_are_counted_with_the_empty_ones_before_them(read: Read) -> None:
    [row] = read("id;url\nA;https://h/2.jpg;x;;y\n")
    assert row.fault == (
        "5 cells where the header has 2: one too many is 'x'; put quotes around a cell that holds the separator"
    )


def test_empty_cells_at_the_end_of_a_row_may_be_left_out_or_be_too_many(read: Read) -> None:
    found = read("id,url,client,note\n1,https://h/1.jpg\n2,https://h/2.jpg,acme,,,\n , ,\n,,,,,,\n")
    assert found == [
        Row(2, id="1", url="https://h/1.jpg", labels={}),
        Row(3, id="2", url="https://h/2.jpg", labels={"client": "acme"}),
    ]


def test_a_quote_that_never_ends_tells_the_lines_it_swallowed(read: Read) -> None:
    found = read('id,url\n1,https://h/1.jpg\n"2,https://h/2.jpg\n3,https://h/3.jpg\n4,https://h/4.jpg\n')
    assert [row.id for row in found] == ["1", ""]
    assert found[1].line == 5
    assert "lines 3 to 5 are lost with it; check the quotes" in found[1].fault


def test_a_stray_quote_costs_its_own_row_alone(read: Read) -> None:
    found = read('id,url\n"1"x,https://h/1.jpg\n2,https://h/2.jpg\n')
    assert "this is not CSV" in found[0].fault
    assert (found[1].line, found[1].id) == (3, "2")


@pytest.mark.parametrize(
    ("bad", "encoding"),
    [
        pytest.param(b"\xff\xfe", "utf-8", id="no utf-8"),
        pytest.param("商标".encode("gb18030"), "utf-8", id="gb18030 taken for utf-8"),
        pytest.param(b"\x81\x20", "gb18030", id="no gb18030"),
        pytest.param(b"\x81", "shift_jis", id="half a character"),
    ],
)
def test_bytes_in_another_encoding_cost_their_own_row_alone(read: Read, bad: bytes, encoding: str) -> None:
    found = read(b"id,url\n1,https://h/1.jpg\n" + bad + b",https://h/2.jpg\n3,https://h/3.jpg\n", encoding=encoding)
    assert [row.id for row in found] == ["1", "", "3"]
    assert found[1] == Row(
        3, fault=f"not {encoding} text; save the file as UTF-8 or set `encoding:` (for example gb18030)"
    )


@pytest.mark.parametrize(
    ("raw", "entry", "words"),
    [
        pytest.param(b"", {}, "p.csv:1:1: there is no table: nothing is written here", id="empty"),
        pytest.param(b"id,link\n", {}, "the columns are 'id', 'link'. Say which is which with `columns:", id="no url"),
        pytest.param(b"url,a,a\n", {}, "p.csv:1:1: the column 'a' is there twice; rename one", id="a column twice"),
        pytest.param("编号,url\n".encode("gb18030"), {}, "p.csv:1:1: not utf-8 text; save", id="header in gb18030"),
        pytest.param(b'"a"b,url\n', {}, "p.csv:1:1: the header is not CSV", id="a broken header"),
        pytest.param(
            b"id,url\n",
            {"columns": Columns(id="SKU", path="File", labels=["client", "market"])},
            "p.csv:1:1: no column named 'SKU' or 'File' or 'client' or 'market'; the columns are 'id', 'url'",
            id="all missing columns at once",
        ),
        pytest.param(
            b"id,path\n1,a.jpg\n", {"columns": Columns(url="Picture")}, "no column named 'Picture'", id="the url column"
        ),
    ],
)
def test_a_manifest_that_cannot_be_meant_is_a_spec_error(
    refusal: Callable[..., str], raw: bytes, entry: dict[str, object], words: str
) -> None:
    assert words in refusal(raw, **entry)


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
def test_an_endless_line_is_one_bad_row(read: Read, name: str) -> None:
    """It ended the job once, after most of it was paid."""
    row = '{"url": "https://h/%d.jpg"}\n' if name == "p.jsonl" else "https://h/%d.jpg\n"
    head = "" if name == "p.jsonl" else "url\n"
    found = read(head + row % 1 + "x" * (3 * MAX_LINE) + "\n" + row % 3, name)
    assert [(row.url, row.fault[:25]) for row in found] == [
        ("https://h/1.jpg", ""),
        ("", "a line of 3.0 MiB; a row "),
        ("https://h/3.jpg", ""),
    ]


def test_a_cell_too_long_for_csv_costs_its_own_row_alone(read: Read) -> None:
    found = read("url,note\nhttps://h/1.jpg," + "x" * 200_000 + "\nhttps://h/2.jpg,y\n")
    assert "field larger" in found[0].fault
    assert found[1].url == "https://h/2.jpg"


def test_a_manifest_that_is_not_there_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the manifest: No such file"):
        next(read_rows(tmp_path / "p.csv", ImageEntry(manifest="p.csv")))


def test_jsonl_rows_are_read_with_nested_or_flat_labels(read: Read) -> None:
    lines = [
        {"id": "S1", "url": "https://h/1.jpg", "client": "商", "year": 2026, "none": None, "empty": ""},
        {"path": "a.jpg", "labels": {"market": "US", "tags": ["x"]}},
        {"id": None, "url": "https://h/3.jpg", "path": None},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert read(text, "p.jsonl") == [
        Row(1, id="S1", url="https://h/1.jpg", labels={"client": "商", "year": "2026"}),
        Row(2, path="a.jpg", labels={"market": "US", "tags": '["x"]'}),
        Row(3, url="https://h/3.jpg", labels={}),
    ]


def test_jsonl_columns_can_have_other_names(read: Read) -> None:
    columns = Columns(id="sku", url="pic", labels=["m"])
    text = '{"sku": "1", "pic": "https://h/1.jpg", "m": "US", "x": "y", "labels": {"z": "z"}}\n'
    assert read(text, "p.jsonl", columns=columns) == [Row(1, id="1", url="https://h/1.jpg", labels={"m": "US"})]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param(b"{", "this is not JSON", id="half an object"),
        pytest.param(b"[" * 100_000, "nested deeper than 100 levels", id="deep nesting that never ends"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "nested deeper than 100 levels", id="deep nesting"),
        pytest.param(
            b'{"url": "https://h/1.jpg", "l": ' + b'{"l": [' * 50 + b"]}" * 50 + b"}",
            "nested deeper than 100 levels",
            id="a label nested too deep",
        ),
        pytest.param(b'{"id": ' + b"1" * 5000 + b"}", "this is not JSON", id="an endless number"),
        pytest.param(b'["https://h/1.jpg"]', "a row is a JSON object: {...}", id="a list"),
        pytest.param(b'"https://h/1.jpg"', "a row is a JSON object: {...}", id="text"),
        pytest.param(b'{"id": 7, "url": "https://h/1.jpg"}', "id must be text in quotes", id="a number for an id"),
        pytest.param(b'{"url": ["https://h/1.jpg"]}', "url must be text in quotes", id="a list for a url"),
        pytest.param(b'{"url": "\xff"}', "not utf-8 text", id="bytes"),
        pytest.param(b'{"url": "https://h/1.jpg", "l": "\\ud800"}', "half a character", id="half a character, escaped"),
        pytest.param(b'{"url": "https://h/1.jpg", "\\udfff": "l"}', "half a character", id="half a character in a key"),
    ],
)
def test_a_bad_line_of_jsonl_is_told_and_the_next_one_read(read: Read, line: bytes, fault: str) -> None:
    found = read(b'{"url": "https://h/0.jpg"}\n' + line + b'\n{"url": "https://h/2.jpg"}\n', "p.jsonl")
    assert [row.url for row in found] == ["https://h/0.jpg", "", "https://h/2.jpg"]
    assert found[1].line == 2
    assert fault in found[1].fault


def test_as_many_levels_as_allowed_are_read_and_brackets_in_text_are_none(read: Read) -> None:
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    text = '\\"' + "[{" * 1000
    [row] = read(f'{{"url": "https://h/1.jpg", "deep": {deep}, "text": "{text}"}}\n', "p.jsonl")
    assert row == Row(1, url="https://h/1.jpg", labels={"deep": deep, "text": '"' + "[{" * 1000})


def test_every_ending_that_a_job_may_name_has_its_reader() -> None:
    assert set(READERS) == set(MANIFEST_ENDINGS)


def test_a_file_is_read_by_its_ending_in_any_case(read: Read) -> None:
    assert read("url\nhttps://h/1.jpg\n", "P.CSV") == [Row(2, url="https://h/1.jpg", labels={})]
    assert read("url\nhttps://h/1.jpg\n", ".csv") == [Row(2, url="https://h/1.jpg", labels={})]


def test_a_whole_character_may_be_written_as_an_escaped_pair(read: Read) -> None:
    assert read(b'{"url": "https://h/1.jpg", "l": "\\ud83d\\ude00"}', "p.jsonl")[0].labels == {"l": "\U0001f600"}


def test_rows_are_read_as_they_are_asked_for_and_the_file_is_closed_with_the_reader(tmp_path: Path) -> None:
    """Far more rows than any buffer holds: after the first one little of the file has been read."""
    (tmp_path / "p.csv").write_text("url\n" + "https://h/a-picture-with-a-rather-long-name.jpg\n" * 200_000)
    reader = read_rows(tmp_path / "p.csv", ImageEntry(manifest="p.csv"))
    assert next(reader).line == 2
    [at] = offsets_of(tmp_path / "p.csv")
    assert 0 < at < 100_000
    reader.close()
    assert offsets_of(tmp_path / "p.csv") == []


def offsets_of(file: Path) -> list[int]:
    """Return how far this process has read in `file`, once for each time that it is open."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(link) == str(file.resolve()):
                info = Path("/proc/self/fdinfo", link.name).read_text()
                found.append(int(info.split("pos:")[1].split()[0]))
        except FileNotFoundError:  # the descriptor that listed the folder
            continue
    return found
