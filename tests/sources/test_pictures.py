"""Local pictures are checked before anything is paid for them, and every refusal says what to do."""

import hashlib
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import ItemRefused
from pipeline.sources.pictures import MAX_BYTES, read_picture


def drawn(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def claims(width: int, height: int) -> bytes:
    """Make a PNG whose header claims a size that its data do not have."""
    png = bytearray(drawn("PNG"))
    png[16:24] = struct.pack(">II", width, height)
    png[29:33] = struct.pack(">I", zlib.crc32(bytes(png[12:29])))
    return bytes(png)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return (tmp_path / "root").resolve()


def refusal(root: Path, source: str) -> str:
    with pytest.raises(ItemRefused) as error:
        read_picture(root, source)
    assert (error.value.code, error.value.sent) == ("picture", False)
    assert str(error.value).startswith("the picture ")
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "data", "file_type"),
    [
        pytest.param("a.jpg", drawn("JPEG"), "jpeg", id="jpg"),
        pytest.param("a.png", drawn("PNG"), "png", id="png"),
        pytest.param("a.png", drawn("JPEG"), "jpeg", id="a jpg called png"),
        pytest.param("a.txt", drawn("PNG"), "png", id="a png called txt"),
        pytest.param("a", drawn("JPEG", mode="L"), "jpeg", id="grey"),
        pytest.param("a", drawn("JPEG", mode="CMYK"), "jpeg", id="cmyk"),
        pytest.param("a", drawn("PNG", mode="RGBA"), "png", id="with transparency"),
        pytest.param("a", drawn("PNG", (16, 16)), "png", id="as small as may be"),
    ],
)
def test_a_picture_is_told_by_its_content_not_by_its_name(root: Path, name: str, data: bytes, file_type: str) -> None:
    (root / name).write_bytes(data)
    picture = read_picture(root, name)
    assert (picture.data, picture.file_type) == (data, file_type)
    assert picture.sha256 == hashlib.sha256(data).hexdigest()


def test_a_cameras_jpg_with_a_preview_inside_is_a_jpg(root: Path) -> None:
    """Pillow calls it MPO although only JPEG and PNG were allowed; the vendor knows no such type."""
    image = Image.new("RGB", (64, 64))
    image.save(root / "a.jpg", format="MPO", save_all=True, append_images=[image])
    assert read_picture(root, "a.jpg").file_type == "jpeg"


@pytest.mark.proofs
def test_4096_kb_are_read_and_one_byte_more_is_not(root: Path) -> None:
    png = drawn("PNG")
    (root / "a.png").write_bytes(png + b"\0" * (4096 * 1024 - len(png)))
    assert read_picture(root, "a.png").data == png
    assert MAX_BYTES == 4_194_304
    with (root / "a.png").open("ab") as file:
        file.write(b"\0")
    assert "is 4,096.1 KB; at most 4,096 KB: write `upload: {public: true, fit: true}` to send it smaller" in refusal(
        root, "a.png"
    )
    with (root / "a.png").open("ab") as file:
        file.truncate(1 << 40)  # 1 TiB that nobody must read
    assert "1,073,741,824.0 KB" in refusal(root, "a.png")


def bmff(brand: bytes) -> bytes:
    return b"\0\0\0\x1cftyp" + brand + b"\0" * 100


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "is empty (0 bytes); copy or download it again", id="empty"),
        pytest.param(b"\0" * 5000, "holds 5,000 zero bytes; copy", id="zeros"),
        pytest.param(b"hello", "is no readable JPG or PNG; open it in a picture program", id="text"),
        pytest.param(
            drawn("GIF", mode="P"),
            "is a GIF, which the vendor does not take; write `upload: {public: true, fit: true}` to send it as a JPG "
            "or PNG, or save",
            id="gif",
        ),
        pytest.param(drawn("WEBP"), "is WebP, which the vendor does not take; write `upload: {public", id="webp"),
        pytest.param(bmff(b"heic"), "is HEIC, which the vendor does not take; write `upload: {public", id="heic"),
        pytest.param(bmff(b"avif"), "is AVIF, which the vendor does not take; write `upload: {public", id="avif"),
        pytest.param(drawn("BMP"), "is a BMP, which the vendor does not take;", id="bmp"),
        pytest.param(drawn("TIFF"), "is a TIFF, which the vendor does not take;", id="tiff"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing;", id="svg"),
        pytest.param(b"%PDF-1.4", "is a PDF; export its page", id="pdf"),
        pytest.param(b"\n<!DOCTYPE html><title>403 Forbidden", "is a web page, as a download saves it", id="html"),
        pytest.param(b"\0\x05\x16\x07\0\2", "what macOS puts beside a picture", id="._name"),
        pytest.param(b"\0\0\0\x01Bud1", "a .DS_Store", id=".DS_Store"),
        pytest.param(drawn("JPEG")[: len(drawn("JPEG")) // 2], "is a JPG that is cut off or damaged", id="half a jpg"),
        pytest.param(drawn("JPEG", (800, 600))[:-2000], "a JPG that is cut off", id="a jpg without its end"),
        pytest.param(drawn("PNG")[: len(drawn("PNG")) // 2], "is a PNG that is cut off or damaged", id="half a png"),
        pytest.param(drawn("PNG")[:8], "is a PNG that is cut off or damaged (8 bytes)", id="the first bytes of a png"),
        pytest.param(b"\xff\xd8\xff\xe0" + b"\0" * 100, "is a JPG that is cut off", id="the first bytes of a jpg"),
        pytest.param(claims(2000, 2000), "is a PNG that is cut off", id="a png that claims more than it has"),
    ],
)
def test_what_is_no_whole_jpg_or_png_is_called_what_it_is(root: Path, data: bytes, words: str) -> None:
    (root / "a.jpg").write_bytes(data)
    assert words in refusal(root, "a.jpg")


@pytest.mark.parametrize("kind", [b"zTXt", b"tEXt", b"iTXt", b"iCCP"])
def test_png_with_a_long_text_in_it_is_sound_and_sent_without_it(root: Path, kind: bytes) -> None:
    text = b"note\0" + (b"\0\0\0\0" if kind == b"iTXt" else b"\0" if kind != b"tEXt" else b"")
    text += b"x" * 3_000_000 if kind in (b"tEXt", b"iTXt") else zlib.compress(b"x" * 3_000_000)
    chunk = struct.pack(">I", len(text)) + kind + text + struct.pack(">I", zlib.crc32(kind + text))
    png = drawn("PNG")
    data = png[:33] + chunk + png[33:]
    (root / "a.png").write_bytes(data)
    assert read_picture(root, "a.png").data == (data if kind == b"iCCP" else png)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(drawn("PNG", (15, 64)), "15 x 64 pixels", id="narrow"),
        pytest.param(drawn("JPEG", (64, 15)), "64 x 15 pixels", id="low"),
        pytest.param(drawn("PNG", (1, 1)), "1 x 1 pixels", id="a dot"),
        pytest.param(claims(10_001, 10_000), "10001 x 10000 pixels", id="just above 100 million"),
        pytest.param(claims(60_000, 60_000), "more than 100 million pixels", id="a bomb"),
    ],
)
def test_tiny_and_enormous_pictures_are_refused_before_they_are_decoded(root: Path, data: bytes, words: str) -> None:
    (root / "a.png").write_bytes(data)
    assert words in refusal(root, "a.png")


def test_a_link_inside_the_root_is_followed_and_one_that_leaves_it_is_not(root: Path) -> None:
    (root / "a.jpg").write_bytes(drawn("JPEG"))
    (root.parent / "out.jpg").write_bytes(drawn("JPEG"))
    (root / "inside.jpg").symlink_to("a.jpg")
    (root / "outside.jpg").symlink_to("../out.jpg")
    (root / "folder").symlink_to("..")
    assert read_picture(root, "inside.jpg").file_type == "jpeg"
    assert "a link that leaves the job's root" in refusal(root, "outside.jpg")
    assert "a link that leaves the job's root" in refusal(root, "folder/out.jpg")
    assert "leaves the job's root" in refusal(root, "../out.jpg")


def test_a_pipe_is_refused_and_nobody_waits_for_its_other_end(root: Path) -> None:
    os.mkfifo(root / "a.jpg")
    assert "no regular file" in refusal(root, "a.jpg")


@pytest.mark.parametrize("source", ["none.jpg", "none/a.jpg", "folder", "loop.jpg", "dangling.jpg", "a\0b", "x" * 300])
def test_what_cannot_be_opened_is_refused_with_what_to_check(root: Path, source: str) -> None:
    (root / "folder").mkdir()
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "dangling.jpg").symlink_to("none.jpg")
    assert "cannot be read" in refusal(root, source)
    assert "check the path" in refusal(root, source)
