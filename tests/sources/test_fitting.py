"""Pictures made fit for the vendor: upright, JPG or PNG, as good as 4,096 KB allow; the file stays as it is."""

import hashlib
import io
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from pipeline.errors import ItemRefused
from pipeline.sources import fitting
from pipeline.sources.check import find_faulty_items
from pipeline.sources.fitting import fit, preview
from pipeline.sources.inspection import MadeFit, inspect_items
from pipeline.sources.pictures import MAX_BYTES, read_picture
from tests.support.fixtures import Job


def ramp(size: tuple[int, int] = (64, 40)) -> Image.Image:
    """Draw a picture whose corners differ, so that it is known how it is turned."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste((250, 20, 20), (0, 0, size[0] // 4, size[1] // 4))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif.tobytes()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
    image.load()
    return image


def close(one: Image.Image, other: Image.Image) -> bool:
    """Return whether two pictures look alike, corner by corner."""
    if one.size != other.size:
        return False
    small = [image.convert("RGB").resize((4, 4)).tobytes() for image in (one, other)]
    return all(abs(a - b) < 24 for a, b in zip(*small, strict=True))


@pytest.mark.parametrize(
    ("kind", "options", "why", "file_type"),
    [
        pytest.param("JPEG", {}, "", "jpeg", id="jpg"),
        pytest.param("PNG", {}, "", "png", id="png"),
        pytest.param("WEBP", {}, "WebP", "png", id="webp"),
        pytest.param("TIFF", {}, "TIFF", "png", id="tiff"),
        pytest.param("BMP", {}, "BMP", "png", id="bmp"),
        pytest.param("GIF", {}, "GIF", "png", id="gif"),
        pytest.param("AVIF", {"quality": 90}, "AVIF", "png", id="avif"),
        pytest.param("HEIF", {"quality": 90}, "HEIC", "png", id="heic"),
        pytest.param("JPEG", {"exif": turned(3)}, "turned", "jpeg", id="turned jpg"),
        pytest.param("PNG", {"exif": turned(3)}, "turned", "png", id="turned png"),
        pytest.param("WEBP", {"exif": turned(3)}, "WebP", "png", id="turned webp"),
        pytest.param("TIFF", {"exif": turned(3)}, "TIFF", "png", id="turned tiff"),
    ],
)
def test_every_kind_becomes_an_upright_jpg_or_png(
    kind: str, options: dict[str, object], why: str, file_type: str
) -> None:
    data = saved(ramp(), kind, **options)
    fitted = fit(data)
    assert (fitted.why, fitted.file_type) == (why, file_type)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert close(decoded(fitted.data), upright)
    assert dict(decoded(fitted.data).getexif()) == {}
    assert fit(fitted.data).why == ""


def test_what_fits_already_is_sent_as_it_is() -> None:
    data = saved(ramp(), "JPEG")
    assert fit(data).data is data


@pytest.mark.proofs
def test_what_is_too_large_is_sent_at_the_best_quality_that_fits() -> None:
    noise = Image.effect_noise((2400, 1800), 60).convert("RGB")
    data = saved(noise, "JPEG", quality=97, subsampling=0)
    assert len(data) > MAX_BYTES
    fitted = fit(data)
    assert fitted.why == "over 4,096 KB"
    assert MAX_BYTES * 0.8 < len(fitted.data) <= MAX_BYTES
    assert decoded(fitted.data).size == noise.size


def test_only_when_no_good_quality_fits_it_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MOST", 20_000)
    noise = Image.effect_noise((400, 300), 90).convert("RGB")
    fitted = fit(saved(noise, "PNG"))
    width, height = decoded(fitted.data).size
    assert fitted.file_type == "jpeg"
    assert 12_000 < len(fitted.data) <= 20_000
    assert width < 400
    assert abs(width / height - 4 / 3) < 0.05


def test_transparent_parts_are_white_in_a_jpg_and_stay_in_a_png(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.effect_noise((200, 200), 90).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 100, 200))
    data = saved(image, "WEBP", lossless=True)
    assert decoded(fit(data).data).mode == "RGBA"
    monkeypatch.setattr(fitting, "MOST", 30_000)
    fitted = fit(data)
    assert fitted.file_type == "jpeg"
    assert min(decoded(fitted.data).convert("L").crop((0, 0, 60, 200)).getextrema()) > 240


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK", "I;16", "F"])
def test_colours_that_a_jpg_has_not_are_converted(mode: str) -> None:
    image = ramp().convert("L")
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257).convert("I;16")
    else:
        image = image.convert(mode)
    fitted = decoded(fit(saved(image, "TIFF" if mode != "P" else "GIF")).data)
    assert close(fitted, ramp().convert("L")) or mode == "1"


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decoded(fit(data).data).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_a_sound_png_with_a_long_text_or_profile_is_made_fit(kind: bytes) -> None:
    body = kind + b"note\0\0" + zlib.compress(b"x" * 3_000_000)
    png = saved(ramp(), "PNG", exif=turned(3))
    long = png[:33] + (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big") + png[33:]
    assert close(decoded(fit(long).data), ramp().rotate(180))
    assert close(decoded(preview(long)), ramp().rotate(180))


@pytest.mark.proofs
def test_a_preview_is_small_and_upright() -> None:
    small = decoded(preview(saved(ramp((3000, 1500)), "WEBP", exif=turned(6))))
    assert small.size == (512, 1024)


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF", "BMP", "AVIF", "HEIF"])
def test_a_broken_file_is_refused_and_so_is_a_tiny_one(kind: str) -> None:
    whole = saved(Image.effect_noise((64, 64), 90).convert("RGB"), kind)
    with pytest.raises(ItemRefused, match="cut off, damaged, or of a kind that is not decoded here; copy or download"):
        fit(whole[: len(whole) // 2])
    with pytest.raises(ItemRefused, match="10 x 10 pixels"):
        fit(saved(Image.new("RGB", (10, 10)), kind))


def test_a_jpg_that_is_cut_off_in_its_pixels_is_refused_whether_it_is_turned_or_not() -> None:
    for exif in (b"", turned(6)):
        data = saved(ramp((200, 200)), "JPEG", exif=exif, quality=95)
        for cut in (3, 20, 200, len(data) // 2):
            with pytest.raises(ItemRefused):
                fit(data[:-cut])


@pytest.mark.proofs
def test_a_picture_too_rough_for_the_optimizer_is_made_fit_all_the_same() -> None:
    rough = Image.merge("RGB", [Image.effect_noise((1500, 1200), 250) for _ in range(3)])
    made = fit(saved(rough, "BMP"))
    assert made.file_type == "jpeg"
    assert len(made.data) <= MAX_BYTES
    assert decoded(made.data).size == (1500, 1200)


def test_what_is_missing_for_heic_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.decoding.has_heif", lambda: False)
    with pytest.raises(ItemRefused, match=r"needs a library of its own: pip install 'infringement-pipeline\[heic\]'"):
        fit(b"\0\0\0\x1cftypheic" + b"\0" * 100)


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.decoding.MAX_PIXELS", 1000)
    with pytest.raises(ItemRefused, match="64 x 40 pixels"):
        fit(saved(ramp(), "WEBP"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(saved(ramp(), "JPEG"))
    (tmp_path / "b.jpg").write_bytes(saved(ramp(), "JPEG", exif=turned(6)))
    (tmp_path / "c.webp").write_bytes(saved(ramp(), "WEBP"))
    png = saved(ramp(), "PNG")
    (tmp_path / "d.png").write_bytes(png[:-12] + b"\0" * 0 + chunk(5 << 20) + png[-12:])
    return tmp_path


def chunk(length: int) -> bytes:
    import zlib

    body = b"prVt" + b"\0" * length
    return length.to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def test_the_files_stay_and_records_have_their_digest(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for path, data in before.items():
        assert read_picture(folder, path.name, fit=True).sha256 == hashlib.sha256(data).hexdigest()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(ItemRefused, match="5,12"):
        read_picture(folder, "d.png")


def test_without_fit_it_is_said_what_it_would_do_and_with_it_what_it_does(job: Job, folder: Path) -> None:
    spec = job("{path: .}")
    without = MadeFit(spec)
    faults = find_faulty_items(spec, most=9, made_fit=without)
    assert len(faults) == 2
    assert all("upload: {public: true, fit: true}" in fault for fault in faults)
    assert {getattr(fault, "fix", "") for fault in faults} == {"upload: {public: true, fit: true}"}
    assert without.texts() == [
        "upload.fit would make fit 2 pictures that are refused: write `upload: {public: true, fit: true}`",
        "1 picture is stored turned, and uploaded so: to send them upright, write `upload: {public: true, fit: true}`",
    ]
    fitting_job = job("{path: .}", more="upload: {public: true, fit: true}")
    for _ in range(2):  # a second look finds the same in the cache
        found = MadeFit(fitting_job)
        assert all(item.problem is None for item in inspect_items(fitting_job, made_fit=found))
        assert len(found) == 2
        assert found.texts() == ["2 pictures are made fit before the upload: 1 WebP and 1 turned"]
