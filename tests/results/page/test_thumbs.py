import io
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.results.page.thumbs import KEPT, MadePictures, StoredPictures, thumbnails
from pipeline.results.pictures.shrink import LARGE, SMALL
from pipeline.results.pictures.store import PictureStore, key_of_link, key_of_product
from tests.support.report_records import hit, page, png, record

# The head of a PNG that claims 60,000 x 60,000 pixels.
_HUGE = png()[:16] + (60_000).to_bytes(4, "big") * 2 + png()[24:]


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


def color(data: bytes | None) -> tuple[int, ...]:
    pixel = opened(data).convert("RGB").getpixel((2, 2))
    assert isinstance(pixel, tuple)
    return pixel


def small(data: bytes) -> bytes | None:
    made = thumbnails(data)
    return None if made is None else made.small


@pytest.mark.parametrize(("size", "shown"), [((400, 300), (160, 120)), ((20, 10), (20, 10)), ((4000, 2), (160, 1))])
def test_sides_keep_their_ratio_and_nothing_grows(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert opened(small(png(size=size))).size == shown


def test_transparent_parts_are_white() -> None:
    assert color(small(png(mode="RGBA", color=(255, 0, 0, 0)))) == (255, 255, 255)
    assert color(small(png(mode="LA", color=(0, 0)))) == (255, 255, 255)


def test_sixteen_bit_gray_is_scaled() -> None:
    assert color(small(png(mode="I;16", color=32_768)))[0] in range(120, 136)


def test_a_picture_taken_sideways_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    Image.new("RGB", (400, 200), "blue").save(data, "JPEG", exif=exif)
    assert opened(small(data.getvalue())).size == (80, 160)


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", png()[:60], _HUGE, b"GIF89a" + bytes(40), b"\xff\xd8\xff\xe0" + bytes(99)]
)
def test_what_cannot_be_decoded_is_none(data: bytes) -> None:
    assert small(data) is None


@pytest.mark.parametrize(("size", "small"), [((600, 300), (160, 80)), ((20, 10), (20, 10))])
def test_a_page_gets_both_sizes_as_webp(size: tuple[int, int], small: tuple[int, int]) -> None:
    made = thumbnails(png(size=size))
    assert made is not None
    assert (opened(made.small).size, opened(made.small).format) == (small, "WEBP")
    assert opened(made.large).size == ((LARGE, LARGE // 2) if size[0] > LARGE else size)


def test_corrupt_pictures_do_not_break_the_page(tmp_path: Path) -> None:
    records = [
        record(source, image={"source": source, "labels": {}}, hits=[hit(url="https://x.example/c")])
        for source in ("a.jpg", "b.jpg")
    ]
    shown = page(tmp_path, *records, pictures={"a.jpg": png()[:50], "b.jpg": png(), "https://x.example/c": b"?"})
    assert (len(shown.small), shown.index["missing"]) == (1, 1)


@pytest.mark.parametrize("error", [OSError("gone"), PipelineError("refused"), ValueError("no path")])
def test_a_picture_that_cannot_be_had_is_none(error: Exception) -> None:
    def picture(*_: object) -> bytes | None:
        raise error

    assert MadePictures(picture).of("a.jpg") is None


def test_a_repeated_picture_is_made_once_and_few_are_kept() -> None:
    asked: list[str] = []

    def picture(source: str, _: str | None) -> bytes | None:
        asked.append(source)
        return png() if source == "gallery" else None

    pictures = MadePictures(picture)
    assert pictures.of("gallery") == pictures.of("gallery")
    assert asked == ["gallery"]
    for number in range(KEPT + 10):
        pictures.of(str(number))
    assert pictures.of.cache_info().currsize == KEPT


def test_no_more_pictures_are_made_than_a_page_may_wait_for() -> None:
    pictures = MadePictures(lambda *_: png(), most=2)
    assert [pictures.of(source) is None for source in "abca"] == [False, False, True, False]


def test_kept_pictures_come_before_those_that_are_made(tmp_path: Path) -> None:
    store = PictureStore(tmp_path)
    for key, small, large in (
        (key_of_link("https://h.example/1.png?sig=1"), b"1", b"L"),
        (key_of_product("ab"), b"2", b"M"),
    ):
        store.put(key, small, [(SMALL, small), (LARGE, large)])
    made = MadePictures(lambda source, _: png() if source == "new.png" else None)
    pictures = StoredPictures(made, PictureStore(tmp_path / "none"), PictureStore(tmp_path))
    assert pictures.of("http://h.example/1.png?sig=2") == (b"1", b"L")
    assert pictures.of("photos/a.jpg", "ab") == (b"2", b"M")
    assert pictures.of("photos/a.jpg", "cd") is None
    assert pictures.of("new.png") is not None
