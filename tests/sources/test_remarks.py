"""What a job's sources leave out, or make up, is said with a count and what to write."""

from pathlib import Path

import pytest

from pipeline.cli.main import run
from pipeline.job.schema import JobSpec
from pipeline.sources.items import read_items
from pipeline.sources.remarks import SourceRemarks, left_out
from tests.support.fixtures import Job


def of_rows(spec: JobSpec) -> list[str]:
    remarks = SourceRemarks(spec)
    for _ in range(2):  # a plan may read a list twice
        for _ in read_items(spec, note=remarks.note):
            pass
    return remarks.texts()


def test_pictures_of_other_endings_beside_a_pattern_are_named_with_what_to_write(job: Job, tmp_path: Path) -> None:
    for name in ("a.jpg", "B.JPG", "c.jpeg", "D.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert left_out(job("{path: '*.jpg'}")) == [
        "images[0].path: *.jpg leaves out 3 pictures of other endings: B.JPG, D.png, c.jpeg; "
        "to take them, list too: `- path: *.JPG`, `- path: *.png`, `- path: *.jpeg`"
    ]


def test_nothing_is_said_where_nothing_is_left_out(job: Job, tmp_path: Path) -> None:
    for name in ("a.jpg", "B.JPG"):
        (tmp_path / name).touch()
    assert left_out(job("{path: '*.jpg'}", "{path: B.JPG}", "{url: 'https://h.example/1.jpg'}")) == []
    assert left_out(job("{path: 'B*.JPG'}")) == []  # a.jpg has another beginning, and that is no oversight
    assert left_out(job("{path: '*'}")) == []
    assert left_out(job("{path: '/**/*.jpg'}", "{path: '../*.jpg'}")) == []


def test_ids_made_from_a_hash_are_said_with_the_columns_that_could_be_meant(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("SKU,url\nA-1,https://h.example/1.jpg\nA-2,https://h.example/2.jpg\n")
    [remark] = of_rows(job("{manifest: p.csv}"))
    assert remark.startswith("images[0].manifest: 2 rows of p.csv without an id in the column 'id'")
    assert "(of 'SKU', say) with `columns: {id: ...}`" in remark


def test_ids_that_a_spreadsheet_has_rounded_are_named(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "id,url\n1.01E+12,https://h.example/1.jpg\n1E10X,https://h.example/2.jpg\n2E+15,https://h.example/3.jpg\n"
    )
    [remark] = of_rows(job("{manifest: p.csv}"))
    assert "p.csv:2: the id '1.01E+12' is a number that a spreadsheet has rounded (2 rows)" in remark


SLIPS = {
    "is a page of Google Drive": "https://drive.google.com/file/d/1x/view",
    "is a page of Dropbox": "https://www.dropbox.com/s/1x/a.jpg?dl=0",
    "is a page of OneDrive": "https://1drv.ms/u/s!A1",
    "is a page of Baidu pan": "https://pan.baidu.com/s/1x",
    "is a page of WeTransfer": "https://we.tl/t-1x",
    "ends in .webp": "https://h.example/a.WEBP?x=1",
    "ends in .avif": "https://h.example/a.avif",
    "ends in .svg": "https://h.example/a.svg",
    "ends in .pdf": "https://h.example/a.pdf",
    "ends in .html": "https://h.example/a.html",
    "has `&amp;`": "https://h.example/a.jpg?b=1&amp;c=2",
    "begins twice with https://": "https://https://h.example/a.jpg",
    "is two URLs in one cell": "https://h.example/a.jpg;https://h.example/b.jpg",
    "has a backslash": "https://h.example/a\\b.jpg",
}


@pytest.mark.parametrize(("remark", "url"), SLIPS.items())
def test_url_with_probably_no_picture_is_named_with_its_count_and_first_place(
    job: Job, tmp_path: Path, remark: str, url: str
) -> None:
    (tmp_path / "p.csv").write_text(f"id,url\nA,https://h.example/1.jpg\nB,{url}\nC,{url}\n")
    [text] = of_rows(job("{manifest: p.csv}"))
    assert text.startswith(f"p.csv:3: {url!r} {remark}")
    assert text.endswith("(2 URLs like this)")
    if not url.startswith("https://https"):
        [text] = of_rows(job(f"{{id: A, url: '{url}'}}"))
        assert text.startswith(f"images[0].url: {url!r} {remark}")


@pytest.mark.parametrize(
    "url",
    [
        "https://h.example/a.jpg?w=1&h=2",
        "https://h.example/resize/https://cdn.example/a.png",
        "https://h.example/a.jpg?from=https://cdn.example/b",
        "https://www.dropbox.com/s/1x/a.jpg?raw=1",
        "https://drive.google.com/uc?export=download&id=1x",
        "https://notdropbox.com/a.jpg",
        "https://h.example/a.webp/b.jpg",
        "https://h.example/a",
    ],
)
def test_nothing_is_said_of_an_ordinary_url(job: Job, url: str) -> None:
    assert of_rows(job(f"{{id: A, url: '{url}'}}")) == []


def test_the_password_of_a_url_is_not_said(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,url\nA,https://alice:s3cretpw@www.dropbox.com/s/x/a.html\n")
    remarks = "\n".join(of_rows(job("{manifest: p.csv}")))
    assert "is a page of Dropbox" in remarks
    assert "s3cretpw" not in remarks


def test_sandboxs_own_url_is_named_where_another_vendor_is_asked(job: Job) -> None:
    own = "{id: A, url: 'https://sandbox.invalid/gallery/a.jpg'}"
    [remark] = of_rows(job(own, more=""))
    assert "is the sandbox's own" in remark
    assert of_rows(job(own, more="api: {base_url: 'http://127.0.0.1:1'}")) == []


def test_check_and_plan_say_the_remarks(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job("{url: 'https://we.tl/t-1x'}", more="")
    for command in ("check", "plan"):
        assert run([command, str(tmp_path / "job.yaml")]) == 0
        assert "'https://we.tl/t-1x' is a page of WeTransfer" in capsys.readouterr().out


def test_id_made_from_a_hash_is_said_of_entries_too_and_not_of_pictures_called_as_their_files(
    job: Job, tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "p.csv").write_text("path\na.jpg\n")
    assert of_rows(job("{path: a.jpg}", "{manifest: p.csv}", "{url: 'https://h.example/1.jpg'}")) == [
        "images[2].url: listed without an id (1 entry): ids are made from a hash of the URL; write `id:` beside `url:`"
    ]
