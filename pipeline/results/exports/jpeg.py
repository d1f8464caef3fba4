"""Small JPEGs of pictures: of products' own files, of the sandbox's, and of those that were kept beside a run."""

import io
import warnings
from typing import Any

SIDE_PX = 160
QUALITY = 80
# Decoding more than this costs over 150 MB; a larger JPEG is decoded at a fraction of its size and passes.
MAX_PIXELS = 40_000_000


def small_jpeg(data: bytes) -> bytes | None:
    """Make a JPEG of at most 160 x 160 pixels, upright, transparent parts white, and without a word about its origin.

    None when it is no JPG, PNG or WebP.
    """
    from PIL import Image  # heavy, and an export without pictures needs none

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata in a picture must not show on stderr
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
                image.draft(None, (2 * SIDE_PX, 2 * SIDE_PX))
                if image.width * image.height > MAX_PIXELS:
                    return None
                upright = _upright(image)
            if max(upright.size) > SIDE_PX:
                upright.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            small = io.BytesIO()
            upright.save(small, "JPEG", quality=QUALITY)
            return small.getvalue()
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        return None


def _upright(image: Any) -> Any:
    """Return a picture as it is to be looked at, on white."""
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):  # Pillow would cut 16-bit gray off at 255 instead of scaling it
        upright = upright.point(lambda value: value * (1 / 256)).convert("L")
    if not upright.has_transparency_data:
        bare = upright.convert("RGB")
        bare.info = {}  # the file's own words: place and owner, say
        return bare
    upright = upright.convert("RGBA")
    page = Image.new("RGB", upright.size, "white")
    page.paste(upright, mask=upright)
    return page
