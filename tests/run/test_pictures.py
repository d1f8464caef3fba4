"""Pictures for an export: those that were kept beside the run first, else the files that are still there."""

from pathlib import Path

from pipeline.results.pictures.store import PictureStore, key_of_link, key_of_product
from pipeline.run.pictures import pictures_of, small_pictures_of
from tests.support.fakes import job
from tests.support.report_records import png

LINK = "https://cdn.example/1.png?X-Amz-Signature=%s"


def test_a_kept_picture_stands_for_a_link_that_is_dead_and_a_file_that_is_gone(tmp_path: Path) -> None:
    spec = job(tmp_path)
    PictureStore(tmp_path).put(key_of_link(LINK % "a"), b"fetched", [(160, b"small"), (480, b"large")])
    PictureStore(tmp_path).put(key_of_product("ab" * 32), b"product", [(160, b"of the product")])
    small = small_pictures_of(spec, tmp_path)
    assert small(LINK % "b", None) == b"small"
    assert small("gone.jpg", "ab" * 32) == b"of the product"
    assert small("https://cdn.example/2.png", None) is None


def test_a_file_that_was_not_kept_is_read_unless_it_changed(tmp_path: Path) -> None:
    spec = job(tmp_path).with_folder(tmp_path)
    (tmp_path / "a.png").write_bytes(png())
    small = small_pictures_of(spec, tmp_path)
    assert small("a.png", None) == png()
    assert small("a.png", "cd" * 32) is None
    assert pictures_of(spec, tmp_path)("a.png", "cd" * 32) is None
