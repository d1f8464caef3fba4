"""Pictures decoded: what kind they are, whether they are whole, and the bounds beyond which nothing is decoded."""

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import Code, ItemRefused
from pipeline.picture_formats import PNG_BEGIN, SENT, PictureFormat, named_by_pillow
from pipeline.sources.unreadable import describe, describe_undecoded

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 100_000_000
MIN_SIDE = 16  # pixels
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


class PictureRefused(ItemRefused):
    """The refusal of a picture that is not sent.

    fit_helps  True where `upload.fit` would make a picture of it that is sent
    lasts      True while the file stays as it is; permissions change without it
    """

    fit_helps: bool
    lasts: bool

    def __init__(self, why: str, *, fit_helps: bool = False, lasts: bool = True) -> None:
        super().__init__(f"the picture {why}", code=Code.PICTURE, sent=False)
        self.__dict__.update(fit_helps=fit_helps, lasts=lasts)


def decoded_as(data: bytes) -> PictureFormat:
    """Decode a JPG or PNG and return which it is. Raises PictureRefused for any other file, and a broken one."""
    with opened(without_texts(data), SENT, whole=data) as image:
        image.draft(image.mode, (image.width // 8, image.height // 8))  # a JPG is read through, and not drawn in full
        image.load()
        return named_by_pillow(image.format)


@contextmanager
def opened(data: bytes, kinds: Sequence[PictureFormat], *, whole: bytes | None = None) -> Iterator["Image.Image"]:
    """Open a picture of one of these kinds within the bounds; whatever fails in the block means that it is not whole.

    `whole` is the file where `data` is only a part of it. Raises PictureRefused, which says what it is instead.
    """
    from PIL import Image  # heavy, and only jobs with local pictures need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which nobody who runs a job can act on
            with Image.open(io.BytesIO(data), formats=_known(kinds, data)) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
                    raise PictureRefused(
                        f"is {width} x {height} pixels; allowed: sides of {MIN_SIDE} and more, 100 million pixels"
                    )
                yield image
    except PictureRefused:
        raise
    except Image.DecompressionBombError:
        raise PictureRefused("has more than 100 million pixels; save it smaller") from None
    except MemoryError:
        what_lacks = "needs more memory than this machine has left; end other programs, then look again"
        raise PictureRefused(what_lacks, lasts=False) from None
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        file = data if whole is None else whole
        what = describe(file) if kinds is SENT else describe_undecoded(file, has_heif=has_heif())
        raise PictureRefused(str(what), fit_helps=what.fit_helps) from None


def _known(kinds: Sequence[PictureFormat], data: bytes) -> list[str]:
    """Name the kinds that this Pillow can decode; HEIC is none of them until its own library is there."""
    names = [kind.pillow[0] for kind in kinds]
    if kinds is SENT:
        return names
    from PIL import Image

    Image.init()
    if data[4:8] == b"ftyp" and "HEIF" not in Image.OPEN and has_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()  # type: ignore[no-untyped-call,unused-ignore]
    return [name for name in names if name in Image.OPEN]


def has_heif() -> bool:
    """Return whether the library that decodes HEIC is installed (`pip install 'infringement-pipeline[heic]'`)."""
    from importlib.util import find_spec

    return find_spec("pillow_heif") is not None


def without_texts(data: bytes) -> bytes:
    """Leave a PNG's texts and profiles out of what is decoded: Pillow refuses long ones of sound pictures."""
    if not data.startswith(PNG_BEGIN):
        return data
    kept = [PNG_BEGIN]
    at = len(PNG_BEGIN)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _TEXTS:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])
