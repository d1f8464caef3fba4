"""The columns of a manifest, found by their names: the exact one first, else the only one that differs in its spelling.

Case, spaces and the way accents are written are no difference that a person sees.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipeline.job.images import Columns


class Found(NamedTuple):
    """The names of columns as a manifest spells them; "" for one that it does not have."""

    id: str
    url: str
    path: str
    labels: list[str]
    views: tuple[str, ...] = ()  # those that are there, in their order

    @property
    def has_picture(self) -> bool:
        """True if any column names pictures."""
        return bool(self.url or self.path or self.views)


def find_columns(header: Iterable[str], wanted: Columns) -> Found:
    """Find the columns that a job names among those that a manifest has."""
    names = list(header)
    id_, url, path = (find_name(name, names) for name in (wanted.id, wanted.url, wanted.path))
    if url == path and "path" in wanted.model_fields_set and "url" not in wanted.model_fields_set:
        url = ""  # a column that the job calls one thing is not another by default
    elif url == path and "url" in wanted.model_fields_set and "path" not in wanted.model_fields_set:
        path = ""
    views = tuple(there for name in wanted.views if (there := find_name(name, names)))
    return Found(id_, url, path, [find_name(name, names) for name in wanted.labels or []], views)


def find_name(name: str, names: list[str]) -> str:
    """Find the spelling of a column's name; "" where there is none, or where more than one could be meant."""
    if name in names:
        return name
    alike = [other for other in names if _plain(other) == _plain(name)]
    return alike[0] if len(alike) == 1 else ""


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())


def columns_written(columns: Mapping[str, object]) -> str:
    """Write which column is which, as a job file says it."""
    said = ", ".join(f"{key}: {json.dumps(name, ensure_ascii=False)}" for key, name in columns.items())
    return f"columns: {{{said}}}"
