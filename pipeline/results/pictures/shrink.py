"""Small copies of a picture for people: WebP, upright, transparent parts white."""

import io
import warnings

SMALL, LARGE = 160, 480  # pixels of the longer side
QUALITY = 75
SMALL_QUALITY = 36  # of a small one: screens show it at half its size, and a page holds thousands
# Decoding more than this costs over 150 MB; a larger JPEG is decoded at a fraction of its size and passes.
MAX_PIXELS = 40_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF")


def shrunk(data: bytes, sides: tuple[int, ...]) -> list[bytes] | None:
    """Make a copy for each side, the largest first; a picture is never enlarged. None when it cannot be decoded."""
    from PIL import Image, ImageOps  # heavy

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata in a picture must not show on stderr
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                image.draft(None, (2 * max(sides), 2 * max(sides)))
                if image.width * image.height > MAX_PIXELS:
                    return None
                upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would cut 16-bit gray off at 255 instead of scaling it
                upright = upright.point(lambda value: value * (1 / 256)).convert("L")
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            copies = []
            for side in sorted(sides, reverse=True):
                upright.thumbnail((side, side), Image.Resampling.LANCZOS)
                page = Image.new("RGB", upright.size, "white")
                page.paste(upright, mask=upright if upright.mode == "RGBA" else None)
                small = io.BytesIO()
                page.save(small, "WEBP", quality=SMALL_QUALITY if side <= SMALL else QUALITY, method=4)
                copies.append(small.getvalue())
            return copies
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        return None
