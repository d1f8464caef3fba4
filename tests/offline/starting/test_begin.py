"""A new job: its text, the doubts about its list, where its pictures lie, and that it says what it would do anyway."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.offline.starting.begin import Begun, begin_job, write_files
from pipeline.offline.starting.draft import Options
from pipeline.offline.starting.names import slug
from pipeline.sandbox.resources import resource
from tests.support.workbooks import rows_of, write_xlsx

URL = "https://h.example.com/{}.jpg"


def begin(folder: Path, name: str | None = None, **wishes: str) -> Begun:
    """Begin the job of what lies in a folder, or of one file in it."""
    return begin_job(folder / name if name else None, folder / "job.yaml", Options(**wishes), samples="samples")


def written(folder: Path, name: str | None = None, **wishes: str) -> JobSpec:
    """Begin a job, write it, and load what was written."""
    write_files(begin(folder, name, **wishes))
    return load_job(folder / "job.yaml")


def listed(folder: Path, *lines: str) -> None:
    (folder / "p.csv").write_text("".join(f"{line}\n" for line in lines))


def test_values_that_a_new_job_shows_are_the_defaults(tmp_path: Path) -> None:
    """All but the name of its run directory, a month each, and that the run reads what it pays for."""
    listed(tmp_path, "id,url", "A,https://h.example.com/1.jpg")
    spec = written(tmp_path)
    shown = spec.model_dump(mode="json")
    bare = JobSpec.model_validate({"version": 1, "name": "p", "images": shown["images"]}).model_dump(mode="json")
    assert shown["output"].pop("run") == "{name}-{month}"
    assert bare["output"].pop("run") == "{name}"
    assert (shown["task"].pop("report"), bare["task"].pop("report")) == ("wait", "off")
    assert shown == bare


def test_client_is_a_label_of_every_product(tmp_path: Path) -> None:
    listed(tmp_path, "id,url", "A,https://h.example.com/1.jpg")
    assert written(tmp_path, client="Größe & Söhne").images[0].labels == {"client": "Größe & Söhne"}


@pytest.mark.parametrize(
    ("header", "wishes", "client", "groups"),
    [
        pytest.param("sku,url,Markt,Kunde", {}, "Kunde", ["Kunde", "Markt"], id="by their names"),
        pytest.param("sku,url,Brand,Line", {}, "client", ["Brand", "Line"], id="others"),
        pytest.param("sku,url,市场,客户", {}, "客户", ["客户", "市场"], id="Chinese"),
        pytest.param(
            "sku,url,Kunde,Land", {"client": "Acme"}, "client", ["client", "Land"], id="a client who is named"
        ),
        pytest.param(f"sku,url,Kunde {'x' * 40},x2", {}, "client", ["x2"], id="a name that is too long for the page"),
        pytest.param("sku,url,x1,x2", {}, "client", ["x1", "x2"], id="the first two"),
    ],
)
def test_page_is_grouped_by_clients_and_markets_whatever_they_are_called(
    header: str, wishes: dict[str, str], client: str, groups: list[str], tmp_path: Path
) -> None:
    listed(tmp_path, header, *(f"S-{n},{URL.format(n)},{'ab'[n % 2]},{'cd'[n % 2]}" for n in range(8)))
    report = written(tmp_path, **wishes).report
    assert (report.client_label, report.group_by) == (client, groups)


def test_list_and_its_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    away, here = tmp_path / "lists", tmp_path / "work"
    (away / "photos").mkdir(parents=True)
    here.mkdir()
    shutil.copy(resource("products") / "mug-0.jpg", away / "photos/a.jpg")
    (away / "p.csv").write_text("id,file\nA,a.jpg\n")
    begun = begin_job(away / "p.csv", here / "job.yaml", Options(), samples="")
    write_files(begun)
    spec = load_job(here / "job.yaml")
    assert spec.root_path == away / "photos"
    assert spec.place(spec.images[0].manifest or "") == away / "p.csv"
    assert begun.look.faults == []
    begun = begin_job(away / "photos", here / "other.yaml", Options(), samples="")
    assert (begun.spec.root_path, begun.look.items, begun.look.faults) == (away / "photos", 1, [])


@pytest.mark.parametrize("name", ["photos [2026]", "fotos für Größe", "*"])
def test_folder_of_any_name_is_taken(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    shutil.copy(resource("products") / "mug-0.jpg", tmp_path / name / "a.jpg")
    begun = begin(tmp_path, name)
    assert ([item.id for item in begun.look.first], begun.look.faults, begun.look.items) == (["a"], [], 1)


def test_folder_whose_name_is_a_pattern_is_taken_from_where_it_lies(tmp_path: Path) -> None:
    for folder in ("shots [1]", "front"):
        (tmp_path / folder).mkdir()
        shutil.copy(resource("products") / "mug-0.jpg", tmp_path / folder / f"{folder[:5]}.jpg")
    begun = begin(tmp_path)
    assert ({item.id for item in begun.look.first}, begun.look.faults) == ({"shots", "front"}, [])


def test_pictures_of_a_folder_are_taken_and_nothing_else_that_lies_there(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPG", "front/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(resource("products") / "mug-0.jpg", tmp_path / name)
    (tmp_path / "notes.docx").write_text("x")
    begun = begin(tmp_path)
    assert {entry.path for entry in begun.spec.images} == {"*.JPG", "*.jpg", "front"}
    assert (begun.look.items, begun.doubts) == (3, [])


def test_fit_is_written_where_pictures_need_it_by_name_or_by_content(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "pics").mkdir()
    Image.open(resource("products") / "mug-0.jpg").save(tmp_path / "pics/a.jpg", "WEBP")
    assert written(tmp_path).upload.fit
    (tmp_path / "job.yaml").unlink()
    shutil.copy(resource("products") / "mug-0.jpg", tmp_path / "pics/a.jpg")
    assert not written(tmp_path).upload.fit


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            ["sku,url", "1.01E+12,https://h.example.com/1.jpg", "2.02E+12,https://h.example.com/2.jpg"],
            "p.csv:2: the id '1.01E+12' is a number that a spreadsheet has rounded (2 rows)",
            id="rounded ids",
        ),
        pytest.param(
            ["sku,url", ",https://h.example.com/1.jpg", "B,https://h.example.com/2.jpg"],
            "1 row of p.csv without an id in the column 'sku'",
            id="an empty id",
        ),
        pytest.param(
            ["sku,path", "A,a.jpg", ",b.jpg", "C,c.jpg"],
            "1 row has no 'sku' (first: row 3); its id is made from the file's name",
            id="an empty id of a file",
        ),
        pytest.param(
            ["sku,url", *(f"{n},{URL.format(n)}" for n in (*range(10**7, 10**8, 10**7), 47110815, 4711))],
            "1 id is shorter than the others of 8 digits ('4711' in row 12, say): a spreadsheet drops zeros in front, "
            "and it may have been '00004711'",
            id="lost zeros",
        ),
        pytest.param(
            ["sku,url", "A,https://h.example.com/1.jpg", "B,https://h.example.com/1.jpg"],
            "1 row shows the picture of another row (row 3 that of row 2, say)",
            id="a picture twice",
        ),
        pytest.param(
            ["sku,url", "A,cdn.example.com/1.jpg", "B,//cdn.example.com/2.jpg", "C,www.example.com/3.jpg"],
            "3 values look like a URL without https:// ('cdn.example.com/1.jpg' in row 2, say)",
            id="URLs without a scheme",
        ),
        pytest.param(["sku,path", "A,pics\\a.jpg"], "1 path has backslashes (first: row 2)", id="backslashes"),
        pytest.param(
            ["No,url", *(f"{n},{URL.format(n)}" for n in (1, 2, 3))], "'No' only counts the rows", id="numbers of rows"
        ),
        pytest.param(["sku,url", f"A,{URL.format(1)}", "B,"], "1 row has no 'url' (first: row 3)", id="no picture"),
        pytest.param(
            ["sku,file,url", "A,a.jpg,https://shop.example.com/a", "B,b.jpg,https://shop.example.com/b"],
            "a job reads the column 'url' as pictures too",
            id="a second column of pictures by its name",
        ),
    ],
)
def test_what_looks_wrong_in_a_list_is_said(lines: list[str], said: str, tmp_path: Path) -> None:
    listed(tmp_path, *lines)
    assert [text for text in begin(tmp_path).doubts if said in text], begin(tmp_path).doubts


@pytest.mark.parametrize(
    "ids",
    [
        pytest.param([str(n) for n in range(9990, 10_040)], id="numbers in order"),
        pytest.param(["7", "130", "245", "390", "511", "702"], id="short numbers"),
        pytest.param([f"{n:05}" for n in range(1, 99_999, 9_999)], id="zeros that are there"),
        pytest.param(["A1", "B22", "C333"], id="no numbers"),
    ],
)
def test_ids_that_lost_nothing_raise_no_doubt(ids: list[str], tmp_path: Path) -> None:
    listed(tmp_path, "sku,url", *(f"{one},https://h.example.com/{one}.jpg" for one in ids))
    assert begin(tmp_path).doubts == []


def test_second_view_that_a_product_lacks_raises_no_doubt(tmp_path: Path) -> None:
    listed(tmp_path, "sku,Image 1,Image 2", f"A,{URL.format(1)},{URL.format(2)}", f"B,{URL.format(3)},")
    assert begin(tmp_path).doubts == []


def test_missing_files_are_told_once_with_their_number(tmp_path: Path) -> None:
    listed(tmp_path, "sku,path", *(f"S{n},pics/{n}.jpg" for n in range(5)))
    [fault] = begin(tmp_path).look.faults
    assert fault.startswith("p.csv:2: pics/0.jpg: the picture cannot be read: No such file")
    assert fault.endswith("(5 like this)")


def test_sheet_with_the_pictures_is_taken_of_a_workbook(tmp_path: Path) -> None:
    table: list[list[object]] = [["sku", "image"], ["A", "https://h.example.com/1.jpg"]]
    write_xlsx(tmp_path / "p.xlsx", ("Intro", rows_of([["Hello"]])), ("Data", rows_of(table)), ("Old", rows_of(table)))
    assert written(tmp_path).images[0].sheet == "Data"


def test_pictures_over_the_cells_of_a_workbook_are_named_where_no_column_has_any(tmp_path: Path) -> None:
    table: list[list[object]] = [["sku", "image"], ["A", None]]
    write_xlsx(
        tmp_path / "p.xlsx", ("Data", rows_of(table)), files={"xl/media/image1.png": b"", "xl/media/image2.png": b""}
    )
    with pytest.raises(SpecError, match="The 2 pictures in or over its cells cannot be taken from it"):
        begin(tmp_path)


def test_names_of_columns_and_files_are_texts_whatever_is_in_them(tmp_path: Path) -> None:
    """Line breaks in the cells of a header, as Excel has them, and words that YAML would read as something else."""
    header = '"Item\nno","Main\npicture: #1","Long\ntitle","Sorted by\nclient"'
    rows = [f"S-{n},{URL.format(n)},Vase number {n},{'Acme' if n % 2 else 'off'}" for n in range(30)]
    (tmp_path / "1e5.csv").write_text("\n".join(["A title,,,", header, *rows]) + "\n")
    spec = written(tmp_path)
    assert spec.name == "1e5"
    columns = spec.images[0].columns
    assert (columns.id, columns.url, columns.labels) == ("Item\nno", "Main\npicture: #1", ["Sorted by\nclient"])
    assert begin_job(tmp_path / "1e5.csv", tmp_path / "b.yaml", Options(), samples="").look.first[1].labels == {
        "Sorted by\nclient": "Acme"
    }


def test_name_of_a_client_that_is_too_long_is_refused_in_words(tmp_path: Path) -> None:
    listed(tmp_path, "id,url", f"A,{URL.format(1)}")
    with pytest.raises(SpecError, match="at most 1000 characters"):
        begin(tmp_path, client="x" * 1001)


def test_file_that_cannot_be_written_whole_is_not_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(tmp_path, "id,url", f"A,{URL.format(1)}")
    begun = begin(tmp_path)
    monkeypatch.setattr("pipeline.offline.starting.begin._IGNORED", "half \udcff")
    with pytest.raises(UnicodeEncodeError):
        write_files(begun)
    assert not (tmp_path / ".gitignore").exists()
    assert not (tmp_path / "job.yaml").exists()
    monkeypatch.undo()
    assert write_files(begun)[0] == ["job.yaml", ".gitignore"]


def test_name_of_a_job_is_made_of_any_name_of_a_list() -> None:
    assert slug("Portfolio 2026 (Größe)") == "portfolio-2026-grosse"
    assert slug("商品清单") == ""
    assert re.fullmatch(r"[a-z0-9-]{1,64}", slug("x" * 200))


def test_list_that_is_longer_than_what_its_columns_are_judged_by_is_counted_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.sketches.MOST_ROWS", 10)
    listed(tmp_path, "id,url", *(f"S-{n},{URL.format(n)}" for n in range(30)), ",,")
    begun = begin(tmp_path)
    assert begun.look.items == 30
    assert "This list needs about 30 of each." in begun.text
    assert begun.doubts == ["the columns were judged by the first 10 rows"]


def test_job_that_is_there_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").symlink_to(tmp_path / "nowhere.yaml")
    with pytest.raises(SpecError, match="never overwritten"):
        begin(tmp_path)
