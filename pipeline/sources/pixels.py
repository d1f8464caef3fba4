"""The pixels of a local picture as a digest: files that show the same to the last pixel have the same.

A picture counts as it is shown: upright, transparent parts on white, with its size, its colours' mode and profile.
Where it is sent as it lies there (without `upload.fit`), the direction in which it is stored counts, too.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pipeline.models import CONTENT, PIXELS, Item
from pipeline.picture_formats import FORMATS, SENT
from pipeline.sources.decoding import PictureRefused, opened, without_texts
from pipeline.sources.fitting import as_shown
from pipeline.sources.metadata import orientation_of, without_metadata

if TYPE_CHECKING:
    from PIL import Image

_ROWS = 256  # that are digested at once
_DEEP = ("I", "F")  # modes of more than 8 bits begin so: what is shown of them is a part of what they hold


def pixels_of(data: bytes, *, fit: bool) -> str:
    """Return the digest of a picture's pixels. Raises PictureRefused where it cannot be decoded within the bounds."""
    stripped = without_metadata(data)
    try:
        return _digest(stripped, stripped, fit=fit)
    except PictureRefused:
        bare = without_texts(stripped)
        if bare == stripped:
            raise
        return _digest(stripped, bare, fit=fit)  # a PNG with a colour profile that is too long to be read


def _digest(stripped: bytes, decodable: bytes, *, fit: bool) -> str:
    with opened(decodable, FORMATS if fit else SENT, whole=stripped) as image:
        image.load()
        deep = image.mode.startswith(_DEEP)
        turned = orientation_of(stripped) if deep or not fit else 1
        shown = image if deep else as_shown(image)
        profile = hashlib.sha256(shown.info.get("icc_profile") or b"").hexdigest()
        digest = hashlib.sha256(f"{shown.mode} {shown.width}x{shown.height} {turned} {profile}\n".encode())
        for rows in _in_rows(shown):
            digest.update(rows)
        return digest.hexdigest()


def _in_rows(image: "Image.Image") -> Iterator[bytes]:
    for top in range(0, image.height, _ROWS):
        yield image.crop((0, top, image.width, min(top + _ROWS, image.height))).tobytes()


class Firsts:
    """The first file that shows each picture, for items that are known by their pixels."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}  # digests of bytes by those of pixels

    def named(self, item: Item) -> Item:
        """Return an item with its picture known by the bytes of the first file that shows it; others as they are.

        What compares pictures needs to know nothing of pixels then: the first item is known by its own file, and those
        that show the same are known by it, too.
        """
        if not item.picture.startswith(PIXELS):
            return item
        first = self._own.setdefault(item.picture, item.own)
        return replace(item, picture=f"{CONTENT}{first}", own="" if item.own == first else item.own)
