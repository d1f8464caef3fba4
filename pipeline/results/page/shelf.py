"""The shelf: the pictures of some products of a page, each once, by a number."""

import base64
import hashlib
from typing import Literal

from pipeline.results.page.thumbs import Pictures

Kind = Literal["product", "best", "hit", "view"]


class Shelf:
    """Pictures as the page's script takes them: base64 of WebP, by number (from 1).

    `small` and `large` are those that came since they were taken off last. With `whole` a picture is put there once
    for the page, else once for each part of it, since parts are loaded one by one. With `best_large` the large ones
    are those of products and of their best hits alone.
    """

    def __init__(self, pictures: Pictures, *, whole: bool = False, best_large: bool = False) -> None:
        self._pictures = pictures
        self._whole = whole
        self._best_large = best_large
        self._numbers: dict[bytes, int] = {}
        self._known: set[int] = set()
        self._known_large: set[int] = set()
        self.small: dict[int, str] = {}
        self.large: dict[int, str] = {}
        self.missing = 0  # pictures of products that there are none of

    def put(self, source: str, sha256: str | None = None, *, kind: Kind = "view") -> int:
        """Put a picture on the shelf; return its number, 0 where there is none."""
        found = self._pictures.of(source, sha256)
        if found is None:
            self.missing += kind == "product"
            return 0
        digest = hashlib.blake2b(found.small, digest_size=12).digest()
        number = self._numbers.setdefault(digest, len(self._numbers) + 1)
        if number not in self._known:
            self._known.add(number)
            self.small[number] = base64.b64encode(found.small).decode()
        wanted = found.large is not None and (not self._best_large or kind in ("product", "best"))
        if wanted and found.large != found.small and number not in self._known_large:
            assert found.large is not None
            self._known_large.add(number)
            self.large[number] = base64.b64encode(found.large).decode()
        return number

    def take_small(self) -> dict[int, str]:
        """Take the small pictures off the shelf."""
        taken, self.small = self.small, {}
        if not self._whole:
            self._known = set()
        return taken

    def take_large(self) -> dict[int, str]:
        """Take the large pictures off the shelf."""
        taken, self.large = self.large, {}
        if not self._best_large:
            self._known_large = set()
        return taken
