"""Files with the same pixels are known as one picture, whatever bytes they have; others never are."""

import io
import os
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from pipeline.job.schema import JobSpec
from pipeline.models import CONTENT, PIXELS, Item
from pipeline.run.load import load_spec
from pipeline.sources import decoding
from pipeline.sources.decoding import PictureRefused
from pipeline.sources.items import read_items
from pipeline.sources.looks import Looks
from pipeline.sources.pixels import Firsts, pixels_of

SIDES = (64, 40)
ORIENTATION = 0x0112
TURNED = {6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180, 2: Image.Transpose.FLIP_LEFT_RIGHT}


def drawn(mode: str = "RGB") -> Image.Image:
    return Image.radial_gradient("L").resize(SIDES).convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    """Store a picture turned, so that it is shown as it is."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image.transpose(TURNED[orientation]), exif=exif)


@pytest.mark.parametrize("fit", [False, True], ids=["as it is", "made fit"])
def test_another_compression_other_texts_and_another_kind_of_file_change_nothing(fit: bool) -> None:
    plain = pixels_of(saved(drawn()), fit=fit)
    exif = Image.Exif()
    exif[0x010E] = "a comment"
    assert pixels_of(saved(drawn(), compress_level=1), fit=fit) == plain
    assert pixels_of(saved(drawn(), exif=exif), fit=fit) == plain
    jpg = saved(drawn(), "JPEG")
    with Image.open(io.BytesIO(jpg)) as image:
        assert pixels_of(saved(image.convert("RGB")), fit=fit) == pixels_of(jpg, fit=fit)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: saved(drawn().resize((40, 64))), id="other sides"),
        pytest.param(lambda: saved(drawn("L")), id="grey"),
        pytest.param(lambda: saved(drawn(), icc_profile=_PROFILE), id="a colour profile"),
        pytest.param(lambda: saved(_but_one(drawn())), id="one pixel"),
        pytest.param(lambda: saved(drawn().transpose(Image.Transpose.ROTATE_180)), id="turned pixels"),
    ],
)
def test_whatever_shows_something_else_has_another_digest(other: "object") -> None:
    assert callable(other)
    assert pixels_of(other(), fit=True) != pixels_of(saved(drawn()), fit=True)


_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_picture_that_lacks_memory_is_not_called_damaged_and_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacks(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", lacks)
    with (
        pytest.raises(PictureRefused, match="more memory than this machine has left") as refused,
        decoding.opened(saved(drawn()), decoding.SENT),
    ):
        pass
    assert not refused.value.lasts


def _but_one(image: Image.Image) -> Image.Image:
    image.putpixel((63, 39), (1, 2, 3))
    return image


@pytest.mark.parametrize("orientation", TURNED)
def test_a_picture_counts_as_it_is_shown_and_as_it_is_sent(orientation: int) -> None:
    """Without `upload.fit` it is sent as it is stored, and nobody knows whether the vendor turns it."""
    stored = turned(drawn(), orientation)
    assert pixels_of(stored, fit=True) == pixels_of(saved(drawn()), fit=True)
    assert pixels_of(stored, fit=False) != pixels_of(saved(drawn()), fit=False)


def test_what_lies_under_transparent_parts_is_not_compared() -> None:
    clear = [Image.new("RGBA", SIDES, (red, 0, 0, 0)) for red in (0, 255)]
    white = Image.new("RGB", SIDES, "white")
    assert len({pixels_of(saved(image), fit=True) for image in (*clear, white)}) == 1


def test_pictures_of_more_than_eight_bits_are_compared_by_all_of_them() -> None:
    """They are shown stretched to what they hold: two may look alike and be sent with other values."""
    dark = Image.new("I;16", SIDES)
    dark.putpixel((0, 0), 10)
    darker = dark.point(lambda value: value * 0.5)
    assert pixels_of(saved(dark), fit=True) != pixels_of(saved(darker), fit=True)


@pytest.mark.parametrize("data", [b"no picture", saved(drawn())[:-40], saved(Image.new("RGB", (8, 8)))])
def test_what_cannot_be_decoded_has_no_pixels(data: bytes) -> None:
    with pytest.raises(PictureRefused):
        pixels_of(data, fit=True)


def test_a_picture_beyond_the_bounds_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", SIDES[0] * SIDES[1] - 1)
    with pytest.raises(PictureRefused):
        pixels_of(saved(drawn()), fit=True)


@pytest.fixture
def by_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobSpec:
    """Make a job of many machines of four files: one picture as two PNGs, another one, and one that is broken."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {"a": saved(drawn()), "b": saved(drawn(), compress_level=1), "c": saved(drawn("L")), "d": b"broken"}
    for name, data in files.items():
        (tmp_path / f"{name}.png").write_bytes(data)
        os.utime(tmp_path / f"{name}.png", (1_600_000_000, 1_600_000_000))
    (tmp_path / "job.yaml").write_text(
        "version: 1\nname: job\nimages: [{path: '*.png'}, {views: [a.png, c.png]}, {views: [b.png, c.png]}, "
        "{views: [b.png, a.png]}]\nsearch: {endpoint: P061}\nupload: {public: true}\n"
        "cluster: {shared: shared, same_picture: pixels}\napi: {base_url: sandbox}\n"
    )
    return load_spec(tmp_path / "job.yaml")


def own(item: Item) -> str:
    return item.own or item.picture.removeprefix(CONTENT)


def test_items_of_the_same_pixels_are_known_by_the_first_file_that_shows_them(by_pixels: JobSpec) -> None:
    found = list(read_items(by_pixels))
    a, b, c, d, front, again, twice = map(Firsts().named, found)
    assert all(item.picture.startswith(PIXELS) == (item is not found[3]) for item in found)
    assert a.picture == b.picture == twice.picture == f"{CONTENT}{own(a)}"
    assert (a.own, b.own != "") == ("", True)
    assert len({a.picture, c.picture, d.picture, front.picture}) == 4
    assert d.picture.startswith(CONTENT), "by its bytes, since it cannot be decoded"
    assert front.picture == again.picture
    assert front.picture == f"{CONTENT}views: {own(a)} | {own(c)}"
    assert again.own == f"views: {own(b)} | {own(c)}"
    assert (twice.source, twice.own) == ("b.png", own(b)), "two views of the same pixels are one"


def test_pixels_are_digested_once_and_kept(by_pixels: JobSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [item.picture for item in read_items(by_pixels)]
    decoded: list[str] = []
    monkeypatch.setattr("pipeline.sources.looks.digest_of_pixels", lambda _root, source, fit: decoded.append(source))
    assert [item.picture for item in read_items(by_pixels)] == first
    assert set(decoded) == {"d.png"}, "what could not be decoded is tried again"
    with closing(Looks()) as looks:
        with_fit = looks.pixels(by_pixels.root_path, "a.png", fit=True)
    assert with_fit is None, "what is made fit is another question"


def test_a_job_of_one_machine_compares_bytes(by_pixels: JobSpec) -> None:
    alone = by_pixels.model_copy(update={"cluster": None})
    a, b, *_ = read_items(alone)
    assert a.picture != b.picture
    assert a.picture.startswith(CONTENT)
