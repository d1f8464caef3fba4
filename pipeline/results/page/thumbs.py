"""The pictures of a page: WebP thumbnails of two sizes, and the one seam through which a page gets them.

`Pictures` is that seam. `MadePictures` makes them of picture files while the page is written; a store of pictures that
were kept beside the run stands in its place where there is one.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

from pipeline.errors import PipelineError
from pipeline.results.pictures.shrink import LARGE, SMALL, shrunk
from pipeline.results.pictures.store import PictureStore, key_of_link, key_of_product
from pipeline.views import is_url

KEPT = 512  # pairs of some 8 KB, for a gallery picture is a hit of many products
MOST_MADE = 12_000  # pictures of one page: beyond them it would take minutes, and the first rows are the most alike


class Thumbnail(NamedTuple):
    """One picture in both sizes, as WebP; upright, transparent parts white."""

    small: bytes  # at most 160 x 160 pixels
    large: bytes | None = None  # at most 480 x 480; None where the small one is all there is


class Pictures(Protocol):
    """The place that a page gets its pictures from."""

    def of(self, source: str, sha256: str | None = None) -> Thumbnail | None:
        """Return the picture at a path or URL; None where there is none, or it cannot be decoded.

        `sha256` is that of a product's picture when it was searched, None for other pictures: a file that is another
        one now must not stand beside those hits.
        """
        ...


class MadePictures:
    """Pictures that are made while the page is written, each once; what cannot be had or decoded is left out."""

    def __init__(self, read: Callable[[str, str | None], bytes | None], *, most: int = MOST_MADE) -> None:
        """Take the bytes of a picture from `read(source, sha256)`; it returns None where there are none."""
        self._read = read
        self._left = most
        self.of = lru_cache(maxsize=KEPT)(self._of)

    def _of(self, source: str, sha256: str | None = None) -> Thumbnail | None:
        if self._left <= 0:
            return None
        try:
            data = self._read(source, sha256)
        except (OSError, ValueError, PipelineError):
            return None
        if not data:
            return None
        self._left -= 1
        return thumbnails(data)


class StoredPictures:
    """The pictures kept in run directories; those that are not there are made, as far as they still can be."""

    def __init__(self, made: Pictures, *stores: PictureStore) -> None:
        self._stores = stores
        self._made = made

    def of(self, source: str, sha256: str | None = None) -> Thumbnail | None:
        """Return the picture at a path or URL; None where there is none."""
        key = key_of_link(source) if is_url(source) else key_of_product(sha256) if sha256 else ""
        for store in self._stores:
            if (small := store.of(key, SMALL)) is not None:
                return Thumbnail(small, store.of(key, LARGE))
        return self._made.of(source, sha256)


class NoPictures:
    """A page without pictures."""

    def of(self, source: str, sha256: str | None = None) -> Thumbnail | None:
        """Return none."""
        return None


def thumbnails(data: bytes) -> Thumbnail | None:
    """Make both sizes of a picture; None when it cannot be decoded."""
    copies = shrunk(data, (SMALL, LARGE))
    if copies is None:
        return None
    large, small = copies
    return Thumbnail(small, large)
