"""Pictures decoded: what kind they are, whether they are whole, and the bounds beyond which nothing is decoded."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import Code, ItemRefused
from pipeline.sources.kinds import describe, describe_undecoded

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 100_000_000
MIN_SIDE = 16  # pixels
SENT = ("JPEG", "PNG")  # the kinds that the vendor takes
FITTED = (*SENT, "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")  # those that can be made one of them, where Pillow can
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


def type_of(data: bytes) -> str:
    """Decode a JPG or PNG and return which it is. Raises ItemRefused where it is neither, not whole, or too large."""
    with opened(without_texts(data), SENT, whole=data) as image:
        image.draft(image.mode, (image.width // 8, image.height // 8))  # a JPG is read through, and not drawn in full
        image.load()
        return "png" if image.format == "PNG" else "jpeg"  # Pillow calls a camera's JPG with a preview MPO


@contextmanager
def opened(data: bytes, kinds: tuple[str, ...], *, whole: bytes | None = None) -> Iterator["Image.Image"]:
    """Open a picture of one of these kinds within the bounds; whatever fails in the block means that it is not whole.

    `whole` is the file where `data` is only a part of it. Raises ItemRefused, which says what it is instead.
    """
    from PIL import Image  # heavy, and only jobs with local pictures need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which nobody who runs a job can act on
            with Image.open(io.BytesIO(data), formats=_known(kinds, data)) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
                    raise refused(
                        f"is {width} x {height} pixels; allowed: sides of {MIN_SIDE} and more, 100 million pixels"
                    )
                yield image
    except ItemRefused:
        raise
    except Image.DecompressionBombError:
        raise refused("has more than 100 million pixels; save it smaller") from None
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        file = data if whole is None else whole
        what = describe(file) if kinds == SENT else describe_undecoded(file, has_heif=has_heif())
        raise refused(what) from None


def _known(kinds: tuple[str, ...], data: bytes) -> tuple[str, ...]:
    """Leave out the kinds that this Pillow cannot decode; HEIC is one until its own library is there."""
    if kinds == SENT:
        return kinds
    from PIL import Image

    Image.init()
    if data[4:8] == b"ftyp" and "HEIF" not in Image.OPEN and has_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()  # type: ignore[no-untyped-call,unused-ignore]
    return tuple(kind for kind in kinds if kind in Image.OPEN)


def has_heif() -> bool:
    """Return whether the library that decodes HEIC is installed (`pip install 'infringement-pipeline[heic]'`)."""
    from importlib.util import find_spec

    return find_spec("pillow_heif") is not None


def refused(why: str) -> ItemRefused:
    """Make the error of a picture that is not sent."""
    return ItemRefused(f"the picture {why}", code=Code.PICTURE, sent=False)


def without_texts(data: bytes) -> bytes:
    """Leave a PNG's texts and profiles out of what is decoded: Pillow refuses long ones of sound pictures."""
    if not data.startswith(_PNG):
        return data
    kept = [_PNG]
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _TEXTS:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
