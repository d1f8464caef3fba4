"""The kinds of pictures: what each is called, how its files end and begin, and whether the vendor takes it."""

import re
from typing import NamedTuple

JPG_BEGIN, PNG_BEGIN = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


class PictureFormat(NamedTuple):
    """A kind of picture.

    name     for people
    article  before the name, where it has one
    pillow   the name by which Pillow opens it, and others that it gives to what it opened
    endings  of the names of its files
    begin    what the first bytes of its files match
    sent_as  its name at the vendor; "" where the vendor does not take it, and it can be made one that it takes
    """

    name: str
    article: str
    pillow: tuple[str, ...]
    endings: tuple[str, ...]
    begin: re.Pattern[bytes]
    sent_as: str = ""


def _begin(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


JPG = PictureFormat("JPG", "a ", ("JPEG", "MPO"), (".jpg", ".jpeg", ".jfif"), _begin(re.escape(JPG_BEGIN)), "jpeg")
PNG = PictureFormat("PNG", "a ", ("PNG",), (".png",), _begin(re.escape(PNG_BEGIN)), "png")
HEIC = PictureFormat("HEIC", "", ("HEIF",), (".heic", ".heif"), _begin(rb".{4}ftyp(hei[cxm]|hevc|mif1|msf1)"))
FORMATS = (
    JPG,
    PNG,
    HEIC,
    PictureFormat("AVIF", "", ("AVIF",), (".avif",), _begin(rb".{4}ftypavi[fs]")),
    PictureFormat("WebP", "", ("WEBP",), (".webp",), _begin(rb"RIFF.{4}WEBP")),
    PictureFormat("GIF", "a ", ("GIF",), (".gif",), _begin(rb"GIF8")),
    PictureFormat("BMP", "a ", ("BMP",), (".bmp",), _begin(rb"BM")),
    PictureFormat("TIFF", "a ", ("TIFF",), (".tif", ".tiff"), _begin(rb"II\*\0|MM\0\*")),
)
SENT = tuple(one for one in FORMATS if one.sent_as)
ENDINGS = tuple(ending for one in FORMATS for ending in one.endings)
SENT_ENDINGS = tuple(ending for one in SENT for ending in one.endings)


def recognized(data: bytes) -> PictureFormat | None:
    """Tell the kind of a picture by its first bytes; None for what begins like none."""
    return next((one for one in FORMATS if one.begin.match(data)), None)


def named_by_pillow(pillow: str | None) -> PictureFormat:
    """Return the kind of a picture that Pillow opened, which names it so."""
    return next(one for one in FORMATS if pillow in one.pillow)
