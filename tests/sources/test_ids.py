"""Ids of pictures that a job lists without one: the file's name, the same in whatever order things are listed."""

import itertools
from pathlib import Path

import pytest

from pipeline.sources.ids import make_id
from pipeline.sources.items import read_items
from tests.support.fixtures import Job


def ids(job: Job, *images: str) -> dict[str, str]:
    return {item.source: item.id for item in read_items(job(*images))}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a/mug.jpg", "b/mug.jpg", "b/mug.png", "b/lamp 2.jpg", "b/x.y.jpg", "c/cafe\u0301.jpg", "c/tab\t.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_picture_without_an_id_is_called_as_its_file(job: Job, photos: Path) -> None:
    (photos / "p.csv").write_text("path\nb/x.y.jpg\n")
    assert ids(job, "{path: 'b/l*.jpg'}", "{path: a/mug.jpg}", "{manifest: p.csv}") == {
        "b/lamp 2.jpg": "lamp 2",
        "a/mug.jpg": "mug",
        "b/x.y.jpg": "x.y",
    }


def test_name_that_several_pictures_claim_is_made_unique_in_each_whatever_the_order(job: Job, photos: Path) -> None:
    entries = ["{path: a/mug.jpg}", "{path: 'b/*.jpg'}", "{manifest: p.csv}", "{id: x.y, url: 'https://h.example/1'}"]
    (photos / "p.csv").write_text("path\nb/mug.png\n./b/mug.jpg\n")
    found = [ids(job, *order) for order in itertools.permutations(entries)]
    assert all(named == found[0] for named in found)
    assert found[0]["a/mug.jpg"] == f"mug-{make_id('a/mug.jpg')[:8]}"
    assert found[0]["b/mug.jpg"] == found[0]["./b/mug.jpg"] == f"mug-{make_id('b/mug.jpg')[:8]}"
    assert found[0]["b/mug.png"] == f"mug-{make_id('b/mug.png')[:8]}"
    assert found[0]["b/x.y.jpg"] == f"x.y-{make_id('b/x.y.jpg')[:8]}"  # an id that the job writes out stays as it is
    assert found[0]["b/lamp 2.jpg"] == "lamp 2"


def test_name_that_is_no_id_gives_way_to_a_hash(job: Job, photos: Path) -> None:
    (photos / ("x" * 130 + ".jpg")).touch()
    found = ids(job, "{path: 'c/*'}", "{path: 'x*.jpg'}")
    assert found["c/cafe\u0301.jpg"] == "caf\u00e9"  # in the one form that ids have
    assert found["c/tab\t.jpg"] == make_id("c/tab\t.jpg")
    assert found["x" * 130 + ".jpg"] == make_id("x" * 130 + ".jpg")


def test_earlier_versions_rule_names_every_picture_by_a_hash(job: Job, photos: Path) -> None:
    assert [item.id for item in read_items(job("{path: 'a/*'}"), hashed=True)] == [make_id("a/mug.jpg")]
