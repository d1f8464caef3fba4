"""Small copies of a picture for people, upright, transparent parts white, without a word about its origin."""

import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image  # heavy, and most runs of a command need none

SMALL, LARGE = 160, 480  # pixels of the longer side
QUALITY = 75
SMALL_QUALITY = 36  # of a small one: screens show it at half its size, and a page holds thousands
JPEG_QUALITY = 80
# Decoding more than this costs over 150 MB; a larger JPEG is decoded at a fraction of its size and passes.
MAX_PIXELS = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def shrunk(data: bytes, sides: tuple[int, ...]) -> list[bytes] | None:
    """Make a WebP copy for each side, the largest first; a picture is never enlarged. None when it is undecodable."""
    try:
        page = _on_white(data, max(sides))
        return None if page is None else [_webp(page, side) for side in sorted(sides, reverse=True)]
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        return None


def small_jpeg(data: bytes) -> bytes | None:
    """Make a JPEG of at most 160 x 160 pixels, for programs that know no WebP. None when it is undecodable."""
    try:
        page = _on_white(data, SMALL)
        return None if page is None else _saved(page, SMALL, "JPEG", quality=JPEG_QUALITY)
    except Exception:
        return None


def _on_white(data: bytes, side: int) -> "Image.Image | None":
    """Decode a picture, upright and on white, at least `side` large where it was; None when it has too many pixels."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata in a picture must not show on stderr
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            image.draft(None, (2 * side, 2 * side))
            if image.width * image.height > MAX_PIXELS:
                return None
            upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):  # Pillow would cut 16-bit gray off at 255 instead of scaling it
            upright = upright.point(lambda value: value * (1 / 256)).convert("L")
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.thumbnail((side, side), Image.Resampling.LANCZOS)
        page = Image.new("RGB", upright.size, "white")
        page.paste(upright, mask=upright if upright.mode == "RGBA" else None)
        return page


def _webp(page: "Image.Image", side: int) -> bytes:
    return _saved(page, side, "WEBP", quality=SMALL_QUALITY if side <= SMALL else QUALITY, method=4)


def _saved(page: "Image.Image", side: int, kind: str, **how: int) -> bytes:
    """Shrink a picture in place, which is asked for the largest side first, and encode it."""
    from PIL import Image

    page.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    page.save(out, kind, **how)
    return out.getvalue()
