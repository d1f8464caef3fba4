"""Small copies of pictures, and the process that makes them."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pipeline.results.pictures import worker
from pipeline.results.pictures.shrink import LARGE, MAX_PIXELS, SMALL, shrunk
from pipeline.results.pictures.worker import LENGTH, serve

SIDES = (LARGE, SMALL)


def picture(size: tuple[int, int] = (800, 600), *, mode: str = "RGB", kind: str = "PNG", **save: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "red" if mode in ("RGB", "P") else 0).save(out, kind, **save)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


def test_copies_are_webp_with_their_longer_side_as_asked() -> None:
    large, small = shrunk(picture(), SIDES) or []
    assert (opened(large).size, opened(small).size) == ((480, 360), (160, 120))


def test_a_small_picture_is_not_enlarged() -> None:
    large, small = shrunk(picture((50, 20)), SIDES) or []
    assert (opened(large).size, opened(small).size) == ((50, 20), (50, 20))


KINDS = ["L PNG", "P PNG", "RGBA PNG", "CMYK JPEG", "I;16 PNG", "1 PNG", "RGB WEBP", "P GIF"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_that_vendors_send_is_shrunk(kind: str) -> None:
    mode, _, kind = kind.partition(" ")
    assert shrunk(picture(mode=mode, kind=kind), SIDES) is not None


def test_what_is_transparent_is_white() -> None:
    (small,) = shrunk(picture(mode="RGBA"), (SMALL,)) or []
    assert opened(small).convert("RGB").getpixel((5, 5)) == (255, 255, 255)


def test_a_turned_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (small,) = shrunk(picture((400, 200), kind="JPEG", exif=exif), (SMALL,)) or []
    assert opened(small).size == (80, 160)


@pytest.mark.parametrize("data", [b"", b"no picture", picture()[:200], b"%PDF-1.4", b"<svg/>"])
def test_what_is_no_picture_makes_no_copy(data: bytes) -> None:
    assert shrunk(data, SIDES) is None


def test_a_picture_of_more_pixels_than_memory_allows_makes_no_copy() -> None:
    side = int(MAX_PIXELS**0.5) + 10
    assert shrunk(picture((side, side), mode="1"), SIDES) is None


def answers(data: bytes) -> list[list[bytes]]:
    stream, found = io.BytesIO(data), []
    while number := stream.read(1):
        found.append([stream.read(*LENGTH.unpack(stream.read(LENGTH.size))) for _ in range(number[0])])
    return found


def asked(*pictures: bytes) -> bytes:
    return b"".join(LENGTH.pack(len(data)) + data for data in pictures)


def test_the_worker_answers_each_picture_in_order_and_goes_on_after_a_broken_one() -> None:
    out = io.BytesIO()
    serve(io.BytesIO(asked(picture(), b"broken", picture((10, 10)))), out, SIDES)
    assert [len(copies) for copies in answers(out.getvalue())] == [2, 0, 2]


@pytest.mark.proofs
def test_the_worker_ends_when_the_run_that_asks_it_is_gone() -> None:
    """Its stdin ends then, also after kill -9; half a picture is nobody's any more."""
    done = subprocess.run(
        [sys.executable, "-m", worker.__name__, *map(str, SIDES)],
        input=asked(picture()) + LENGTH.pack(1_000_000) + b"half",
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert [len(copies) for copies in answers(done.stdout)] == [2, 0]


@pytest.mark.proofs
def test_the_worker_says_nothing_when_nobody_reads_its_answer(tmp_path: Path) -> None:
    """The terminal of a run that was killed shows no complaint of a process that nobody knows of."""
    (tmp_path / "asked").write_bytes(asked(*[picture()] * 50))
    reads, writes = os.pipe()
    os.close(reads)
    with (tmp_path / "asked").open("rb") as pictures:
        command = [sys.executable, "-m", worker.__name__, *map(str, SIDES)]
        done = subprocess.run(command, stdin=pictures, stdout=writes, stderr=subprocess.PIPE, timeout=60)
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, b"")
