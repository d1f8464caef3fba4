"""Columns by what they are for, of lists as people have them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.offline.starting.columns import Choose, Roles, roles_of, take_first
from pipeline.offline.starting.facts import files_below
from pipeline.offline.starting.table import find_table

URL = "https://cdn.example.com/{}.jpg"


def roles(folder: Path, text: str, *, picture: str = "", id_: str = "", choose: Choose = take_first) -> Roles:
    """The parts of the columns of a list."""
    (folder / "p.csv").write_text(text)
    table = find_table(folder / "p.csv", files_below(folder), wanted=tuple(filter(None, (picture, id_))))
    return roles_of(table, id_column=id_, picture_column=picture, choose=choose)


def table(header: str, row: str, rows: int = 30) -> str:
    """A list of so many rows; `{n}` is the number of each, `{few}` one of three words."""
    lines = (row.replace("{n}", str(n)).replace("{few}", "abc"[n % 3]) for n in range(rows))
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize(
    ("header", "row", "id_", "picture", "labels"),
    [
        pytest.param(
            "name,sku,url,client", "Vase {n},S{n},https://h/{n}.jpg,{few}", "sku", "url", ["client"], id="sku"
        ),
        pytest.param("Nr,Artikel-Nr.,Bild", "{n},X-{n},https://h/{n}.jpg", "Artikel-Nr.", "Bild", [], id="number"),
        pytest.param("#,EAN,Foto", "{n},40{n},https://h/{n}.jpg", "EAN", "Foto", [], id="a code of others"),
        pytest.param("Key,Pic", "k-{n},https://h/{n}.jpg", "Key", "Pic", [], id="an unknown name"),
        pytest.param("No,Key,Pic", "{n},k-{n},https://h/{n}.jpg", "Key", "Pic", [], id="before numbers of rows"),
        pytest.param("Product,EAN,Pic", "Vase {n} blue,40{n},https://h/{n}.jpg", "EAN", "Pic", [], id="before titles"),
        pytest.param("Title,Pic", "A long vase {n},https://h/{n}.jpg", None, "Pic", [], id="titles are no ids"),
        pytest.param("货号,主图,品牌", "货{n},https://h/{n}.jpg,{few}", "货号", "主图", ["品牌"], id="Chinese"),
        pytest.param("sku,link,image", "S{n},https://s/p/{n},https://h/{n}.jpg", "sku", "image", [], id="pages beside"),
        pytest.param("sku,link,image", "S{n},https://s/p/{n},https://h/i?n={n}", "sku", "image", [], id="by its name"),
        pytest.param(
            "sku,Image 2,Main image", "S{n},https://h/{n}.jpg,https://h/b{n}.jpg", "sku", "Main image", [], id="main"
        ),
        pytest.param("sku,path", "S{n},img\\{n}.jpg", "sku", "path", [], id="files with backslashes"),
    ],
)
def test_id_picture_and_labels_are_found(
    header: str, row: str, id_: str | None, picture: str, labels: list[str], tmp_path: Path
) -> None:
    found = roles(tmp_path, table(header, row))
    assert (found.id.name if found.id else None) == id_
    assert [facts.name for facts in found.pictures] == [picture]
    assert [facts.name for facts in found.labels] == labels


@pytest.mark.parametrize(
    "names", ["Image 1,Image 2,Image 3", "view_1,view_2,view_3", "Front,Back,Left side", "图片1,图片2,图片3"]
)
def test_numbered_pictures_and_sides_are_views_of_one_product(names: str, tmp_path: Path) -> None:
    found = roles(tmp_path, table(f"sku,{names}", "S{n},https://h/{n}.jpg,https://h/b{n}.jpg,"))
    assert found.have_views
    assert [facts.name for facts in found.pictures] == names.split(",")[:2]  # the third column is empty


def test_fifth_view_is_left_out_and_said(tmp_path: Path) -> None:
    names = [f"Image {n}" for n in range(1, 6)]
    row = ",".join(["S{n}", *(f"https://h/{n}-{{n}}.jpg" for n in range(5))])
    found = roles(tmp_path, table(",".join(["sku", *names]), row))
    assert [facts.name for facts in found.pictures] == names[:4]
    assert found.notes == ["a product has at most 4 views: 'Image 5' left out"]


def test_where_two_columns_fit_alike_a_person_decides_and_else_the_first_is_taken_and_said(tmp_path: Path) -> None:
    asked: list[tuple[str, list[str]]] = []

    def second(question: str, answers: Sequence[str]) -> int:
        asked.append((question, list(answers)))
        return 1

    text = table("sku,id,Photo,Packshot", "S{n},I{n},https://h/{n}.jpg,https://h/p{n}.jpg")
    found = roles(tmp_path, text, choose=second)
    assert (found.id.name if found.id else "", found.pictures[0].name) == ("id", "Packshot")
    assert [answers for _, answers in asked] == [
        ["'Photo', for example 'https://h/0.jpg'", "'Packshot', for example 'https://h/p0.jpg'"],
        ["'sku', for example 'S0'", "'id', for example 'I0'"],
    ]
    found = roles(tmp_path, text)
    assert (found.id.name if found.id else "", found.pictures[0].name) == ("sku", "Photo")
    assert [note.partition(";")[0] for note in found.notes] == [
        "'Photo' is taken as the picture",
        "'sku' is taken as the id",
    ]


def test_columns_that_are_named_are_taken_without_a_question(tmp_path: Path) -> None:
    def never(question: str, answers: Sequence[str]) -> int:
        raise AssertionError(question)

    text = table("sku,id,Photo,Packshot", "S{n},I{n},https://h/{n}.jpg,https://h/p{n}.jpg")
    found = roles(tmp_path, text, picture="PACKSHOT", id_="Id", choose=never)
    assert (found.id.name if found.id else "", found.pictures[0].name) == ("id", "Packshot")
    with pytest.raises(SpecError, match=r"no row has 'nope'; the first row has 'sku', 'id'"):
        roles(tmp_path, text, picture="nope")


def test_number_that_repeats_is_a_label_and_no_id(tmp_path: Path) -> None:
    rows = "".join(f"S{n // 2},https://h/{n}.jpg\n" for n in range(30))
    found = roles(tmp_path, f"sku,url\n{rows}")
    assert found.id is None
    assert [facts.name for facts in found.labels] == ["sku"]
    assert found.notes == ["'sku' is not taken as the id: 15 rows repeat its value"]


def test_column_called_id_is_the_id_even_where_it_repeats(tmp_path: Path) -> None:
    """A job reads it as ids whatever is said of it."""
    found = roles(tmp_path, "id,url\n1.01E+12,https://h/1.jpg\n1.01E+12,https://h/2.jpg\n")
    assert found.id is not None
    assert (found.id.name, found.notes) == ("id", [])


def test_name_of_a_column_may_be_that_of_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "sku").write_text("x")
    found = roles(tmp_path, table("sku,url", "S{n},https://h/{n}.jpg"))
    assert found.id is not None


def test_texts_that_differ_in_most_rows_are_no_labels(tmp_path: Path) -> None:
    found = roles(tmp_path, table("sku,url,Title,Price,Colour", "S{n},https://h/{n}.jpg,Vase {n},{n}.99,{few}"))
    assert [facts.name for facts in found.labels] == ["Colour"]
    assert [facts.name for facts in found.left_out] == ["Title", "Price"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "there is no table in it", id="empty"),
        pytest.param("\n,\n", "there is no table in it", id="nothing but commas"),
        pytest.param("sku,url\n", "no column holds pictures", id="a header alone"),
        pytest.param("sku,name\nA,vase\n", "no column holds pictures: no cell is a URL", id="no picture"),
        pytest.param("A,https://h/1.jpg\n", "the first row is a product already", id="no header"),
    ],
)
def test_list_that_cannot_be_begun_from_says_why(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        roles(tmp_path, text)
    assert said in str(error.value)
