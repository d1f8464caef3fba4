"""The one table of kinds of pictures, held against Pillow."""

import io

import pytest
from PIL import Image

from pipeline.picture_formats import ENDINGS, FORMATS, SENT, SENT_ENDINGS, PictureFormat, named_by_pillow, recognized
from pipeline.sources.decoding import has_heif


@pytest.mark.parametrize("kind", [one for one in FORMATS if one.name != "HEIC"], ids=lambda kind: kind.name)
def test_each_kind_is_told_by_its_first_bytes_and_by_the_name_that_pillow_gives_it(kind: PictureFormat) -> None:
    Image.init()
    if kind.pillow[0] not in Image.SAVE:
        pytest.skip("this Pillow cannot write it")
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "teal").save(buffer, kind.pillow[0])
    assert recognized(buffer.getvalue()) is kind
    assert named_by_pillow(Image.open(io.BytesIO(buffer.getvalue())).format) is kind


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_pillow_reads_each_kind_by_its_endings(kind: PictureFormat) -> None:
    if kind.name == "HEIC":
        if not has_heif():
            pytest.skip("this Pillow has no library for HEIC")
        __import__("pillow_heif").register_heif_opener()
    Image.init()
    if kind.pillow[0] not in Image.OPEN:
        pytest.skip("this Pillow cannot read it")
    assert {Image.registered_extensions()[ending] for ending in kind.endings} == {kind.pillow[0]}


def test_what_the_vendor_takes_is_jpg_and_png() -> None:
    assert [kind.sent_as for kind in SENT] == ["jpeg", "png"]
    assert set(SENT_ENDINGS) < set(ENDINGS)
    assert len(set(ENDINGS)) == len(ENDINGS)


def test_no_picture_is_none_of_them() -> None:
    for data in (b"", b"\0" * 40, b"<html>", b"PK\x03\x04", b"RIFF....WAVE", b"....ftypisom"):
        assert recognized(data) is None
