"""The facts about a table's columns, from the values in them."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.offline.starting.names import rank_of_picture
from pipeline.picture_formats import ENDINGS
from pipeline.sources.names import on_disk, with_slashes

URL, FILE = "url", "path"  # as `columns:` calls them
_URL = re.compile(r"https?:/*", re.IGNORECASE)
_ENDING = re.compile(r"\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|heic)(\?|#|$|!|@|_)", re.IGNORECASE)
_LOOKED_AT = 300  # values of a column that are asked for at the disk
_MOSTLY, _SOMETIMES = 0.6, 0.2  # of a column's values that are places, the latter where its name speaks of them

IsFile = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Facts:
    """A column: its name, its place, and its values with the numbers of their rows, empty ones left out.

    rows      that the table has
    kind      URL or FILE where most values are places of pictures; "" for any other column
    pictures  the part of its URLs that end as pictures do
    """

    name: str
    at: int
    values: list[tuple[int, str]]
    rows: int
    kind: str = ""
    pictures: float = 0.0

    @property
    def distinct(self) -> int:
        """The number of different values."""
        return len({value for _, value in self.values})

    @property
    def filled(self) -> float:
        """The part of the rows that have a value."""
        return len(self.values) / self.rows if self.rows else 0.0

    @property
    def longest(self) -> int:
        """The length of the longest value."""
        return max((len(value) for _, value in self.values), default=0)

    @property
    def is_unique(self) -> bool:
        """True if no value comes twice."""
        return bool(self.values) and self.distinct == len(self.values)

    @property
    def counts(self) -> bool:
        """True if the values only number the rows."""
        numbers = [int(value) for _, value in self.values if re.fullmatch(r"[0-9]{1,7}", value)]
        return len(numbers) == len(self.values) and numbers in ([*range(len(numbers))], [*range(1, len(numbers) + 1)])


def looks_like_url(value: str) -> bool:
    """Return whether a cell is a URL, whole or not."""
    return _URL.match(value) is not None


def is_place(value: str, is_file: IsFile) -> bool:
    """Return whether a cell names a picture: a URL, a name that ends as a picture's, or a file that is there."""
    return looks_like_url(value) or with_slashes(value).lower().endswith(ENDINGS) or is_file(value)


def files_below(root: Path) -> IsFile:
    """Return what says whether a cell names a file below a folder."""

    def is_file(value: str) -> bool:
        plain = with_slashes(value)
        try:
            return 0 < len(plain) < 1000 and not plain.startswith("/") and os.path.isfile(root / on_disk(plain))
        except (OSError, ValueError):
            return False

    return is_file


def facts_of(name: str, at: int, rows: list[tuple[int, list[str]]], is_file: IsFile) -> Facts:
    """Gather the facts about the column at a place."""
    values = [(number, cells[at]) for number, cells in rows if at < len(cells) and cells[at]]
    some = [value for _, value in values[:_LOOKED_AT]]
    urls = [value for value in some if looks_like_url(value)]
    files = sum(1 for value in some if not looks_like_url(value) and is_place(value, is_file))
    least = _MOSTLY if rank_of_picture(name) == 2 else _SOMETIMES
    if not some or (len(urls) + files) / len(some) < least:
        return Facts(name, at, values, len(rows))
    pictures = sum(1 for url in urls if _ENDING.search(url)) / len(urls) if urls else 1.0
    return Facts(name, at, values, len(rows), kind=URL if len(urls) >= files else FILE, pictures=pictures)
