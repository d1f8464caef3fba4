"""Uploads say nothing of where a picture was taken and by whom, and show the very same pixels."""

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from pipeline.errors import ItemRefused
from pipeline.sources.metadata import orientation_of, without_metadata
from pipeline.sources.pictures import read_picture

SECRET = b"Jane Doe, 48.8584 N 2.2945 E"


def exif(orientation: int, *, order: str = "MM") -> bytes:
    made = Image.Exif()
    made.endian = "<" if order == "II" else ">"
    made[0x0112] = orientation
    made[0x013B] = SECRET.decode()  # Artist
    made.get_ifd(0x8825)[1] = "N"  # GPS
    return made.tobytes()


def picture(size: tuple[int, int] = (48, 32), mode: str = "RGB") -> Image.Image:
    return Image.effect_noise(size, 90).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_everything(jpg: bytes) -> bytes:
    """Put into a JPG what cameras, phones and editors put there."""
    more = [
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04" + SECRET),
        segment(0xEB, b"JP" + SECRET),
        segment(0xFE, SECRET),
    ]
    return jpg[:2] + b"".join(more) + jpg[2:] + b"MotionPhoto" + SECRET


def pixels(data: bytes) -> tuple[str, bytes]:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return image.mode, image.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["II", "MM"])
def test_a_jpg_keeps_its_pixels_its_colours_and_its_direction_alone(orientation: int, order: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpg = saved(picture(), "JPEG", exif=exif(orientation, order=order), icc_profile=profile, comment=SECRET)
    whole = with_everything(jpg)
    stripped = without_metadata(whole)
    assert SECRET not in stripped
    assert b"MotionPhoto" not in stripped
    assert pixels(stripped) == pixels(whole)
    image = Image.open(io.BytesIO(stripped))
    assert image.info["icc_profile"] == profile
    assert dict(image.getexif()) == ({0x0112: orientation} if orientation != 1 else {})
    assert orientation_of(stripped) == orientation
    assert without_metadata(stripped) is stripped


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_direction_that_is_written_as_a_long_number_stays(order: str) -> None:
    mark = b"II" if order == "<" else b"MM"
    tiff = struct.pack(f"{order}2sHIHHHIII", mark, 42, 8, 1, 0x0112, 4, 1, 6, 0)
    jpg = saved(picture(), "JPEG", exif=b"Exif\0\0" + tiff, comment=SECRET)
    stripped = without_metadata(jpg)
    assert orientation_of(stripped) == 6
    assert pixels(stripped) == pixels(jpg)


@pytest.mark.parametrize(
    ("mode", "options"),
    [("L", {}), ("CMYK", {}), ("RGB", {"progressive": True}), ("RGB", {"optimize": True, "subsampling": 2})],
)
def test_every_kind_of_jpg_is_understood(mode: str, options: dict[str, object]) -> None:
    jpg = with_everything(saved(picture(mode=mode), "JPEG", **options))
    stripped = without_metadata(jpg)
    assert SECRET not in stripped
    assert pixels(stripped) == pixels(jpg)


def test_a_second_picture_in_the_file_goes_with_its_own_metadata(tmp_path: Path) -> None:
    first, second = picture(), picture()
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second], exif=exif(6))
    stripped = without_metadata(buffer.getvalue())
    assert SECRET not in stripped
    assert Image.open(io.BytesIO(stripped)).format == "JPEG"
    assert pixels(stripped) == pixels(buffer.getvalue())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "1"])
def test_a_png_keeps_its_pixels_and_its_direction_alone(mode: str) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET.decode())
    texts.add_text("Comment", SECRET.decode(), zip=True)
    texts.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    png = saved(picture(mode=mode), "PNG", pnginfo=texts, exif=exif(6), dpi=(72, 72)) + SECRET
    stripped = without_metadata(png)
    assert SECRET not in stripped
    assert not {b"tEXt", b"zTXt", b"iTXt", b"tIME"} & chunks(stripped)
    assert pixels(stripped) == pixels(png)
    assert dict(Image.open(io.BytesIO(stripped)).getexif()) == {0x0112: 6}
    assert orientation_of(stripped) == 6
    assert b"pHYs" in chunks(stripped)
    assert without_metadata(stripped) is stripped


def chunks(png: bytes) -> set[bytes]:
    found, at = set(), 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        body = png[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(png[at + 8 + length : at + 12 + length], "big")
        found.add(body[:4])
        at += 12 + length
    return found


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_without_metadata_stays_byte_for_byte(kind: str) -> None:
    data = saved(picture(), kind)
    assert without_metadata(data) is data


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_without_its_end_that_is_sent_all_the_same_loses_its_metadata(kind: str, tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", SECRET.decode())
    more = {"pnginfo": texts} if kind == "PNG" else {"comment": SECRET}
    whole = saved(picture(), kind, exif=exif(3), **more)
    uploaded = 0
    for odd in [whole[:-2] + b"\0" * 64, *(whole[:length] for length in range(len(whole) - 30, len(whole)))]:
        (tmp_path / "a").write_bytes(odd)
        try:
            read = read_picture(tmp_path, "a")
        except ItemRefused:
            continue
        uploaded += 1
        assert SECRET not in read.data
        assert pixels(read.data) == pixels(whole)
    assert uploaded


@pytest.mark.parametrize("between", [b"\0", b"\0\0\0", b"\xff\0", b"\xff\xff\xff", b"\xff\xd0", b"text"])
@pytest.mark.parametrize("before", [b"\xff\xe0", b"\xff\xdb", b"\xff\xda"])
def test_bytes_between_the_segments_of_a_jpg_keep_no_metadata_in_it(before: bytes, between: bytes) -> None:
    jpg = with_everything(saved(picture(), "JPEG", exif=exif(6)))
    at = jpg.index(before)
    odd = jpg[:at] + between + jpg[at:]
    stripped = without_metadata(odd)
    assert SECRET not in stripped
    assert pixels(stripped) == pixels(jpg)


def test_a_camera_that_writes_its_owner_where_the_density_stands_is_not_believed() -> None:
    jpg = saved(picture(), "JPEG")
    owned = jpg[:2] + segment(0xE0, b"II\x1a\0\0\0HEAPJPGM" + SECRET) + jpg[2:] + segment(0xEE, SECRET)
    stripped = without_metadata(owned)
    assert SECRET not in stripped
    assert pixels(stripped) == pixels(jpg)


@given(st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]), st.binary(max_size=200))
def test_any_bytes_are_taken(begin: bytes, more: bytes) -> None:
    assert isinstance(without_metadata(begin + more), bytes)
    assert 1 <= orientation_of(begin + more) <= 8


def test_the_digest_is_of_the_file_and_the_upload_without_its_metadata(tmp_path: Path) -> None:
    import hashlib

    data = with_everything(saved(picture(), "JPEG", exif=exif(6)))
    (tmp_path / "a.jpg").write_bytes(data)
    read = read_picture(tmp_path, "a.jpg")
    assert read.sha256 == hashlib.sha256(data).hexdigest()
    assert SECRET not in read.data
    assert (tmp_path / "a.jpg").read_bytes() == data
