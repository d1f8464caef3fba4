"""Small JPEGs: upright, white behind, of every kind of file that is kept, and without a word of the file's own."""

import io

import pytest
from PIL import Image

from pipeline.results.pictures.shrink import SMALL, small_jpeg
from tests.support.report_records import png


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_each_kind_of_picture_becomes_a_small_jpeg(format_: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (640, 320), "red").save(data, format_)
    small = opened(small_jpeg(data.getvalue()))
    assert (small.format, small.size) == ("JPEG", (SMALL, SMALL // 2))


def test_a_turned_picture_is_upright_and_says_nothing_of_its_owner() -> None:
    data, exif = io.BytesIO(), Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Globex Ltd"
    Image.new("RGB", (300, 100), "red").save(data, "JPEG", exif=exif, comment=b"Globex", icc_profile=b"Globex" * 20)
    small = small_jpeg(data.getvalue())
    assert opened(small).size == (53, SMALL)
    assert small is not None
    assert b"Globex" in data.getvalue()
    assert b"Globex" not in small


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
def test_every_mode_is_shown_on_white(mode: str) -> None:
    if mode == "CMYK":
        data = io.BytesIO()
        Image.new(mode, (20, 20)).save(data, "JPEG")
        assert opened(small_jpeg(data.getvalue())).mode == "RGB"
        return
    small = opened(small_jpeg(png(mode=mode, size=(20, 20), color=0 if mode not in ("RGBA", "LA") else None)))
    assert small.size == (20, 20)
    if mode in ("RGBA", "LA"):
        assert small.convert("L").getpixel((5, 5)) >= 250  # type: ignore[operator]


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff", png()[:100]])
def test_what_is_no_picture_is_left_out(data: bytes) -> None:
    assert small_jpeg(data) is None
