"""Pictures made fit for the vendor (`upload: {fit: true}`): upright, a JPG or PNG, and no larger than it takes.

The file on the disk stays as it is; what is uploaded is of the best quality that fits. A picture that already fits is
sent as it is.
"""

import contextlib
import io
import math
from typing import TYPE_CHECKING, NamedTuple

from pipeline.picture_formats import FORMATS, JPG, PNG, PictureFormat, named_by_pillow
from pipeline.sources.decoding import PictureRefused, opened, without_texts
from pipeline.sources.metadata import orientation_of, without_metadata

if TYPE_CHECKING:
    from PIL import Image

MOST = 4096 << 10  # bytes; the vendor's limit for P010
MOST_TO_READ = 128 << 20  # bytes of a file that is to be made smaller
_BEST, _LOWEST, _WHEN_SMALLER = 95, 70, 88  # qualities of a JPG
_SURELY_SMALL = 1_000_000  # pixels; a PNG is tried for what has no more, since most larger ones would not fit
_STEPS = 12
_PREVIEW_PX = 1024
_TO_GREY = {"1": "L", "L": "L"}


class Fitted(NamedTuple):
    """A picture as it is uploaded, and why it is not the file itself; "" when it is."""

    data: bytes
    file_type: str
    why: str


def fit(data: bytes) -> Fitted:
    """Make a picture fit. Raises PictureRefused where it cannot be decoded, or is out of bounds."""
    stripped = without_metadata(data)
    try:
        return _fit(stripped, stripped)
    except PictureRefused:
        bare = without_texts(stripped)
        if bare == stripped:
            raise
        return _fit(stripped, bare)  # a PNG with a colour profile that is too long to be read


def _fit(stripped: bytes, decodable: bytes) -> Fitted:
    with opened(decodable, FORMATS, whole=stripped) as image:
        kind = named_by_pillow(image.format)
        why = why_fitted(stripped, kind)
        if not why:
            image.draft(image.mode, (image.width // 8, image.height // 8))  # read through, and not drawn in full
        image.load()
        if not why:
            return Fitted(stripped, kind.sent_as, "")
        upright = _upright(image)
        lossless = kind is not JPG and image.width * image.height <= _SURELY_SMALL
    fitted = _as_png(upright) if lossless or kind is PNG else None
    if fitted is not None and len(fitted) <= MOST:
        return Fitted(fitted, PNG.sent_as, why)
    return Fitted(_as_jpeg(_on_white(upright)), JPG.sent_as, why)


def why_fitted(data: bytes, kind: PictureFormat) -> str:
    """Say why a picture, without its metadata, would not be sent as it is; "" when it would."""
    if not kind.sent_as:
        return kind.name
    if len(data) > MOST:
        return "over 4,096 KB"
    return "turned" if orientation_of(data) != 1 else ""


def preview(data: bytes) -> bytes:
    """Make a small upright JPG of a picture of any kind. Raises PictureRefused."""
    with opened(without_texts(data), FORMATS, whole=data) as image:
        image.draft(None, (2 * _PREVIEW_PX, 2 * _PREVIEW_PX))
        small = as_shown(image)
    small.thumbnail((_PREVIEW_PX, _PREVIEW_PX))
    return _jpeg(small, _WHEN_SMALLER)


def as_shown(image: "Image.Image") -> "Image.Image":
    """Return the first frame of a picture upright, on white, in colours of 8 bits."""
    return _on_white(_upright(image))


def _upright(image: "Image.Image") -> "Image.Image":
    """Turn the first frame of a picture upright, in colours that a JPG or PNG of 8 bits has."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):  # Pillow would cut off at 255 instead of scaling
        high = float(str(upright.getextrema()[1]))
        most = 65535 if upright.mode.startswith("I") and high > 255 else max(high, 1)
        upright = upright.point(lambda value: value * (255 / most)).convert("L")
        profile = None
    elif upright.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        upright, profile = _to_rgb(upright, profile), None
    elif upright.has_transparency_data:
        upright = upright.convert("RGBA")
    else:
        upright = upright.convert(_TO_GREY.get(upright.mode, "RGB"))
    upright.info = {"icc_profile": profile} if profile else {}
    return upright


def _to_rgb(image: "Image.Image", profile: bytes | None) -> "Image.Image":
    from PIL import ImageCms

    if profile and image.mode == "CMYK":
        try:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):  # a profile that nobody understands is none
            pass
    return image.convert("RGB")


def _on_white(image: "Image.Image") -> "Image.Image":
    """Lay a picture with transparent parts on white: a JPG has none, and they would come out black."""
    from PIL import Image

    if image.mode != "RGBA":
        return image
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image)
    page.info = dict(image.info)
    return page


def _as_png(image: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


def _as_jpeg(image: "Image.Image") -> bytes:
    """Find the best quality whose JPG fits; when the lowest that still looks well is too large, make it smaller."""
    best = _jpeg(image, _BEST)
    if len(best) <= MOST:
        return best
    found, low, high = b"", _LOWEST, _BEST - 1
    while low <= high:
        middle = (low + high) // 2
        made = _jpeg(image, middle)
        if len(made) <= MOST:
            found, low = made, middle + 1
        else:
            high = middle - 1
    return found or _smaller(image)


def _smaller(image: "Image.Image") -> bytes:
    made = _jpeg(image, _WHEN_SMALLER)
    scale = 1.0
    for _ in range(_STEPS):
        scale *= min(0.95, math.sqrt(MOST / len(made)) * 0.98)
        size = max(16, round(image.width * scale)), max(16, round(image.height * scale))
        small = image.resize(size, reducing_gap=3.0)
        small.info = dict(image.info)
        made = _jpeg(small, _WHEN_SMALLER)
        if len(made) <= MOST:
            return made
    raise PictureRefused("cannot be made small enough; save it smaller")


def _jpeg(image: "Image.Image", quality: int) -> bytes:
    sampling = 0 if quality == _BEST else 2
    profile = image.info.get("icc_profile")
    for optimize in (True, False):
        buffer = io.BytesIO()
        # Pillow optimizes in a buffer of fixed size, which very rough pictures (film grain, noise) do not fit into.
        with contextlib.suppress(OSError):
            image.save(buffer, "JPEG", quality=quality, subsampling=sampling, optimize=optimize, icc_profile=profile)
            return buffer.getvalue()
    raise PictureRefused("cannot be written as JPG; save it as JPG in a picture program")
