"""Lists that come in on stdin: URLs, one a line, or a table."""

from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.items import read_items
from pipeline.sources.remarks import SourceRemarks
from pipeline.sources.row import Row
from pipeline.sources.tables import read_rows
from tests.support.fixtures import Job

ENTRY = ImageEntry(manifest="-")
URLS = ["https://h.example/1.jpg", "http://h.example/2.jpg?a=1,2"]


def read(folder: Path, text: str) -> list[Row]:
    (folder / "list").write_bytes(text.encode())
    return list(read_rows(folder / "list", ENTRY))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_urls_one_a_line(tmp_path: Path, end: str) -> None:
    found = read(tmp_path, f"\ufeff{end}  {URLS[0]}{end}{end}{URLS[1]} {end}not a url")
    assert [(row.line, row.url) for row in found] == [(2, URLS[0]), (4, URLS[1]), (5, "not a url")]


def test_a_list_may_be_a_table_or_jsonl(tmp_path: Path) -> None:
    expected = [Row(2, id="A", url=URLS[0], labels={"client": "acme"})]
    assert read(tmp_path, f"id;url;client\nA;{URLS[0]};acme\n") == expected
    [row] = read(tmp_path, f'\n{{"id": "A", "url": "{URLS[0]}"}}\n')
    assert (row.line, row.id, row.url) == (2, "A", URLS[0])


def test_a_url_in_quotes_is_the_url(tmp_path: Path) -> None:
    """A program that takes URLs out of JSON writes them so."""
    assert [(row.url, row.fault) for row in read(tmp_path, f'"{URLS[0]}"\n"{URLS[1]}"\n')] == [
        (url, "") for url in URLS
    ]


@pytest.mark.parametrize("more", [",", ",Desk lamp", ";", "|x", "\tlamp"])
def test_a_row_of_a_table_without_header_is_no_url_that_is_paid_for(tmp_path: Path, more: str) -> None:
    first, second = read(tmp_path, f"{URLS[0]}\n{URLS[0]}{more}\n")
    assert (first.url, first.fault, second.url) == (URLS[0], "", "")
    assert "a table begins with a header line" in second.fault


def test_commas_inside_a_url_are_its_own(tmp_path: Path) -> None:
    url = "https://h.example/w_100,h_80/a.jpg?x-process=image/resize,w_200"
    assert [(row.url, row.fault) for row in read(tmp_path, f"{url}\n")] == [(url, "")]


@pytest.mark.parametrize("text", ["a.jpg\nb.jpg\n", "# my list\nhttps://h.example/1.jpg\n"])
def test_a_list_of_something_else_says_what_to_write_and_that_it_is_stdin(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith(f"stdin:1: the list begins with {text.splitlines()[0]!r}, which is no URL")
    assert "listed with `path:`" in str(error.value)


@pytest.mark.parametrize("text", ["", "\n \n", "id;name\n", '"a"b\n'])
def test_no_fault_of_a_list_names_the_file_that_it_is_kept_in(tmp_path: Path, text: str) -> None:
    with pytest.raises(SpecError) as error:
        read(tmp_path, text)
    assert str(error.value).startswith("stdin:")
    assert str(tmp_path) not in str(error.value)


def test_an_endless_line_is_one_bad_row(tmp_path: Path) -> None:
    found = read(tmp_path, f"{URLS[0]}\nhttps://{'x' * 3_000_000}\n{URLS[1]}\n")
    assert [row.url for row in found] == [URLS[0], "", URLS[1]]
    assert "a row has at most 1 MiB" in found[1].fault


def test_the_lines_become_items_of_stdin(tmp_path: Path, job: Job) -> None:
    (tmp_path / "list").write_text("\n".join([*URLS, "nothing"]))
    spec = job('manifest: "-"').with_listed(tmp_path / "list")
    remarks = SourceRemarks(spec)
    items = list(read_items(spec, note=remarks.note))
    assert [(item.source, item.origin) for item in items[:2]] == [(URLS[0], "stdin:1"), (URLS[1], "stdin:2")]
    assert items[2].problem is not None
    assert items[2].problem.message == "stdin:3: a URL starts with https:// or http://"
    assert "3 URLs without an id: ids are made from a hash" in remarks.texts()[0]


def test_stdin_is_listed_once(job: Job) -> None:
    with pytest.raises(SpecError, match="stdin can be read once"):
        job('manifest: "-"', 'manifest: "-"')
