"""JSONL as people have it: what is no object on one line is one bad row that says why and where."""

import re
from pathlib import Path

import pytest

from pipeline.job.images import ImageEntry
from pipeline.sources.row import Row
from pipeline.sources.tables import read_rows


def read(folder: Path, text: str) -> list[Row]:
    (folder / "p.jsonl").write_text(text)
    return list(read_rows(folder / "p.jsonl", ImageEntry(manifest="p.jsonl")))


def test_a_key_without_a_name_is_no_picture(tmp_path: Path) -> None:
    [row] = read(tmp_path, '{"":"note","id":"A","url":"https://h/1.jpg"}\n')
    assert (row.id, row.url, row.path, row.fault) == ("A", "https://h/1.jpg", "", "")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param(
            '{"id":"A","url":"https://h/1.jpg",}', "column 34: .* a comma before a closing bracket", id="comma"
        ),
        pytest.param('[{"id":"A","url":"https://h/1.jpg"}]', "this is a list", id="array"),
        pytest.param('{"url":"https://h/1.jpg"}{"url":"https://h/2.jpg"}', "column 26: .*one object a line", id="two"),
        pytest.param('{"url":"https://h/1.jpg","n":NaN}', "NaN is no JSON value", id="nan"),
        pytest.param('{"url":"https://h/1.jpg","url":"https://h/2.jpg"}', "the key 'url' is there twice", id="twice"),
        pytest.param('{"sku":"A","image_url":"https://h/1.jpg"}', "the keys are 'sku', 'image_url'", id="no key"),
        pytest.param("{'url': 'https://h/1.jpg'}", "column 2: this is not JSON", id="quotes"),
        pytest.param('{"url": "https://h/1.jpg"', "an object that never ends", id="half"),
    ],
)
def test_line_that_is_no_row_says_where_and_why(line: str, fault: str, tmp_path: Path) -> None:
    found = read(tmp_path, f'{{"url":"https://h/0.jpg"}}\n{line}\n{{"url":"https://h/9.jpg"}}\n')
    assert [row.url for row in found] == ["https://h/0.jpg", "", "https://h/9.jpg"]
    assert re.search(fault, found[1].fault), found[1].fault
    assert found[1].line == 2


def test_object_over_many_lines_is_one_bad_row(tmp_path: Path) -> None:
    pretty = '{\n  "id": "A",\n  "url": "https://h/1.jpg",\n  "note": "} ]"\n}\n'
    found = read(tmp_path, pretty + '{"url":"https://h/2.jpg"}\n' + pretty)
    assert [(row.line, row.url, row.fault) for row in found] == [
        (1, "", "an object over lines 1 to 5; write one object a line"),
        (6, "https://h/2.jpg", ""),
        (7, "", "an object over lines 7 to 11; write one object a line"),
    ]


def test_list_over_many_lines_is_one_bad_row(tmp_path: Path) -> None:
    [row] = read(tmp_path, '[\n  {"id": "A", "url": "https://h/1.jpg"},\n  {"id": "B", "url": "https://h/2.jpg"},\n]\n')
    assert (row.line, row.fault) == (1, "a list over lines 1 to 4; write one object a line")


def test_labels_that_are_no_object_are_one_label(tmp_path: Path) -> None:
    [row] = read(tmp_path, '{"url": "https://h/1.jpg", "labels": ["a", "b"]}\n')
    assert row.labels == {"labels": '["a", "b"]'}


def test_keys_are_found_whatever_their_case(tmp_path: Path) -> None:
    assert read(tmp_path, '{"ID": "A", "Url": "https://h/1.jpg"}\n') == [
        Row(1, id="A", url="https://h/1.jpg", labels={})
    ]
