"""The search of the gallery: filters, order, pages, and the index that is kept."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.endpoints.locarno import LocarnoError
from pipeline.sandbox.features import NotAPicture, describe
from pipeline.sandbox.gallery import Gallery, Hit, Wanted
from pipeline.sandbox.patents import Patent

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def query() -> np.ndarray:
    return describe((SAMPLES / "products" / "kettle-0.jpg").read_bytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of three drawings."""
    folder = tmp_path / "drawings"
    folder.mkdir()
    for file in ("chair-0-1.png", "kettle-0-1.png", "sofa-0-1.png"):
        shutil.copyfile(SAMPLES / "gallery" / file, folder / file)
    return folder


@pytest.mark.proofs
def test_every_drawing_is_one_patent(gallery: Gallery, query: np.ndarray) -> None:
    total, hits = gallery.search(query, wanted=Wanted(limit=1000))
    assert total == len(hits) == len({hit.patent.patent_id for hit in hits}) == 432


def test_the_most_similar_come_first(gallery: Gallery, query: np.ndarray) -> None:
    hits = gallery.search(query, wanted=Wanted())[1]
    assert [hit.file for hit in hits[:3]] == ["kettle-0-2.png", "kettle-0-3.png", "kettle-0-1.png"]
    assert len(hits) == 100
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.file))


def test_scores_are_between_0_and_1_with_four_decimals(gallery: Gallery, query: np.ndarray) -> None:
    for hit in gallery.search(query, wanted=Wanted(limit=1000))[1]:
        assert type(hit.score) is float
        assert 0 <= hit.score <= 1
        assert hit.score == round(hit.score, 4)


def test_a_drawing_finds_itself_with_score_1(gallery: Gallery) -> None:
    best = gallery.search(describe((SAMPLES / "gallery" / "mug-3-2.png").read_bytes()), wanted=Wanted(limit=1))[1][0]
    assert (best.file, best.score) == ("mug-3-2.png", 1.0)


def test_a_mirrored_picture_finds_the_same(gallery: Gallery, query: np.ndarray) -> None:
    assert gallery.search(query[::-1], wanted=Wanted()) == gallery.search(query, wanted=Wanted())


def test_a_picture_that_shows_nothing_is_like_nothing(gallery: Gallery) -> None:
    assert gallery.search(np.zeros((2, 512), np.float32), wanted=Wanted(limit=5)) == (0, [])


@pytest.mark.parametrize(
    ("wanted", "admitted"),
    [
        (Wanted(loc="06-01 OR 14-03"), lambda p: p.loc in ("06-01", "14-03")),
        (Wanted(loc="06 NOT 06-03"), lambda p: p.loc == "06-01"),
        (Wanted(country=("US", "CN")), lambda p: p.country in ("US", "CN")),
        (Wanted(assignees=("fjordlys",)), lambda p: "Fjordlys AS" in (p.current_assignee, p.original_assignee)),
        (Wanted(legal_status=("16", "30")), lambda p: p.legal_status in ("16", "30")),
        (Wanted(simple_legal_status=("2",)), lambda p: p.simple_legal_status == "2"),
        (Wanted(apply_start_time=20150101), lambda p: p.apdt >= 20150101),
        (Wanted(apply_end_time=20141231), lambda p: p.apdt <= 20141231),
        (
            Wanted(public_start_time=20120101, public_end_time=20121231),
            lambda p: 20120101 <= p.pbdt <= 20121231,
        ),
        (Wanted(country=("EU",), loc="NOT 06"), lambda p: p.country == "EU" and p.loc[:2] != "06"),
        (Wanted(patent_type="D"), lambda p: True),
    ],
    ids=lambda value: repr(value)[:60] if isinstance(value, Wanted) else "",
)
def test_a_filter_lets_through_what_it_says(
    wanted: Wanted, admitted: Callable[[Patent], bool], gallery: Gallery, query: np.ndarray
) -> None:
    everything = gallery.search(query, wanted=Wanted(limit=1000))[1]
    total, hits = gallery.search(query, wanted=wanted)
    expected = [hit for hit in everything if admitted(hit.patent)]
    assert 0 < total == len(expected)
    assert hits == expected[:100]


def test_the_ends_of_a_window_belong_to_it(gallery: Gallery, query: np.ndarray) -> None:
    day = gallery.search(query, wanted=Wanted(limit=1))[1][0].patent.apdt
    assert gallery.search(query, wanted=Wanted(apply_start_time=day, apply_end_time=day))[0] >= 1


@pytest.mark.parametrize("wanted", [Wanted(patent_type="U"), Wanted(country=("BR",)), Wanted(loc="32")])
def test_a_filter_that_fits_nothing_finds_nothing(wanted: Wanted, gallery: Gallery, query: np.ndarray) -> None:
    assert gallery.search(query, wanted=wanted) == (0, [])


def test_a_bad_loc_expression_is_refused_before_the_search() -> None:
    with pytest.raises(LocarnoError):
        Wanted(loc="06 AND")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("SCORE", lambda hit: hit.score),
        ("APD", lambda hit: hit.patent.apdt),
        ("PBD", lambda hit: hit.patent.pbdt),
        ("ISD", lambda hit: hit.patent.pbdt),
    ],
    ids=["SCORE", "APD", "PBD", "ISD"],
)
def test_hits_are_sorted_by_field_and_order(
    field: str, value: Callable[[Hit], float], gallery: Gallery, query: np.ndarray
) -> None:
    newest = gallery.search(query, wanted=Wanted(field=field, limit=1000))[1]  # type: ignore[arg-type]
    oldest = gallery.search(query, wanted=Wanted(field=field, order="asc", limit=1000))[1]  # type: ignore[arg-type]
    assert newest == sorted(newest, key=lambda hit: (-value(hit), hit.file))
    assert oldest == sorted(newest, key=lambda hit: (value(hit), hit.file))


def test_pages_put_together_are_the_whole(gallery: Gallery, query: np.ndarray) -> None:
    pages = [gallery.search(query, wanted=Wanted(limit=100, offset=offset)) for offset in range(0, 600, 100)]
    assert {total for total, _ in pages} == {432}
    assert [hit for _, hits in pages for hit in hits] == gallery.search(query, wanted=Wanted(limit=1000))[1]


def test_a_kept_index_answers_as_a_new_one(folder: Path, tmp_path: Path, query: np.ndarray) -> None:
    cache_dir = tmp_path / "cache" / "below"
    built = Gallery.load(folder, cache_dir)
    (kept,) = cache_dir.iterdir()
    written = kept.stat().st_mtime_ns
    read = Gallery.load(folder, cache_dir)
    assert read.search(query, wanted=Wanted()) == built.search(query, wanted=Wanted())
    assert kept.stat().st_mtime_ns == written


def test_a_changed_drawing_is_indexed_anew(folder: Path, tmp_path: Path) -> None:
    Gallery.load(folder, tmp_path / "cache")
    shutil.copyfile(SAMPLES / "gallery" / "mug-0-1.png", folder / "sofa-0-1.png")
    mug = describe((folder / "sofa-0-1.png").read_bytes())
    best = Gallery.load(folder, tmp_path / "cache").search(mug, wanted=Wanted())[1][0]
    assert (best.file, best.score) == ("sofa-0-1.png", 1.0)


@pytest.mark.parametrize("broken", [b"", b"not an index", b"\x93NUMPY"], ids=["empty", "text", "cut"])
def test_a_broken_kept_index_is_built_anew(broken: bytes, folder: Path, tmp_path: Path, query: np.ndarray) -> None:
    expected = Gallery.load(folder, tmp_path / "cache").search(query, wanted=Wanted())
    (kept,) = (tmp_path / "cache").iterdir()
    intact = kept.read_bytes()
    kept.write_bytes(broken)
    assert Gallery.load(folder, tmp_path / "cache").search(query, wanted=Wanted()) == expected
    assert kept.read_bytes() == intact


def test_an_index_of_another_shape_is_built_anew(folder: Path, tmp_path: Path) -> None:
    Gallery.load(folder, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    np.save(kept, np.zeros((3, 7), np.float32))
    Gallery.load(folder, tmp_path / "cache")
    assert np.load(kept).shape == (3, 512)


def test_a_cache_that_cannot_be_written_is_no_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    assert len(Gallery.load(folder, tmp_path / "cache").files) == 3


def test_a_failed_write_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    Gallery.load(folder, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.unlink()
    kept.mkdir()  # os.replace cannot put a file here
    (kept / "inside").touch()
    Gallery.load(folder, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == [kept]


def test_a_folder_without_drawings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing drawn", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="no drawings"):
        Gallery.load(tmp_path, None)


def test_a_broken_drawing_is_named(folder: Path) -> None:
    (folder / "chair-0-1.png").write_bytes(b"torn")
    with pytest.raises(NotAPicture, match=r"chair-0-1\.png"):
        Gallery.load(folder, None)


def test_making_the_index_says_how_far_it_is_and_a_kept_one_says_nothing(small_gallery: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        Gallery.load(small_gallery, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(done, 12) for done in range(12)]


def test_the_shipped_gallery_brings_its_index_so_that_nobody_waits_for_it(tmp_path: Path) -> None:
    """An index is of its drawings and of `describe` as they are: after a change `samples/draw.py --index` writes it."""
    told: list[tuple[int, int]] = []
    Gallery.load(SAMPLES / "gallery", tmp_path, lambda done, total: told.append((done, total)))
    assert told == []
    assert not list(tmp_path.iterdir())
    [kept] = (SAMPLES / "gallery-index").iterdir()
    index = np.load(kept)
    drawings = sorted((SAMPLES / "gallery").glob("*.png"))
    for row in range(0, len(drawings), 31):
        assert np.allclose(index[row], describe(drawings[row].read_bytes())[0], atol=1e-4)
