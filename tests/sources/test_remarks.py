"""What a job's sources leave out, or make up, is said with a count and what to write."""

from pathlib import Path

from pipeline.sources.remarks import left_out, made_up
from tests.support.fixtures import Job


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
    assert left_out(job("{path: '*.jpg'}", "{path: B.JPG}", "{url: 'https://h/1.jpg'}")) == []
    assert left_out(job("{path: '*'}")) == []
    assert left_out(job("{path: '/**/*.jpg'}", "{path: '../*.jpg'}")) == []


def test_ids_made_from_a_hash_are_said_with_the_columns_that_could_be_meant(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("SKU,url\nA-1,https://h/1.jpg\nA-2,https://h/2.jpg\n")
    [remark] = made_up(job("{manifest: p.csv}"))
    assert remark.startswith("images[0].manifest: 2 rows of p.csv without an id in the column 'id'")
    assert "(of 'SKU', say) with `columns: {id: ...}`" in remark


def test_ids_that_a_spreadsheet_has_rounded_are_named(job: Job, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("id,url\n1.01E+12,https://h/1.jpg\n1E10X,https://h/2.jpg\n2E+15,https://h/3.jpg\n")
    [remark] = made_up(job("{manifest: p.csv}"))
    assert "p.csv:2: the id '1.01E+12' is a number that a spreadsheet has rounded (2 rows)" in remark
