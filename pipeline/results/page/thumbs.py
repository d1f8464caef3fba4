"""Small pictures inside the page, as data: URIs."""

import base64
import io
import warnings
from collections.abc import Callable
from functools import lru_cache

from pipeline.errors import PipelineError

SIDE_PX = 176
QUALITY = 80
# Decoding more than this costs over 150 MB; a larger JPEG is decoded at a fraction of its size and passes.
MAX_PIXELS = 40_000_000
KEPT = 512  # pictures of some 8 KB, for a gallery picture is a hit of many products


class Thumbnails:
    """The page's small pictures, made once each; a picture that cannot be had or decoded is left out."""

    def __init__(self, picture: Callable[[str, str | None], bytes | None]) -> None:
        """Take the pictures from `picture(source, sha256)`: the bytes behind a path or URL, or None.

        `sha256` is that of a product's picture when it was searched, None for other pictures.
        """
        self._picture = picture
        self.uri = lru_cache(maxsize=KEPT)(self._uri)

    def _uri(self, source: str, sha256: str | None = None) -> str | None:
        """Return the picture as a data: URI; None when we have none, or one that cannot be decoded."""
        try:
            data = self._picture(source, sha256)
        except (OSError, ValueError, PipelineError):
            return None
        small = thumbnail(data) if data else None
        return None if small is None else "data:image/jpeg;base64," + base64.b64encode(small).decode()


def thumbnail(data: bytes) -> bytes | None:
    """Make a JPEG of at most 176 x 176 pixels, upright, transparent parts white; None when it is no JPG or PNG."""
    from PIL import Image, ImageOps  # heavy, and a page without pictures of ours needs none

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata in a picture must not show on stderr
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                image.draft(None, (2 * SIDE_PX, 2 * SIDE_PX))
                if image.width * image.height > MAX_PIXELS:
                    return None
                upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would cut 16-bit gray off at 255 instead of scaling it
                upright = upright.point(lambda value: value * (1 / 256)).convert("L")
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            upright.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            page = Image.new("RGB", upright.size, "white")
            page.paste(upright, mask=upright if upright.mode == "RGBA" else None)
            small = io.BytesIO()
            page.save(small, "JPEG", quality=QUALITY, optimize=True)
            return small.getvalue()
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        return None
