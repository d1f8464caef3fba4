"""Remarks about a job's sources: what is left out, or made up, without being a fault."""

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.errors import SpecError
from pipeline.job.checks import WORKBOOK_ENDINGS, is_loopback
from pipeline.job.images import STDIN, ImageEntry
from pipeline.job.schema import JobSpec
from pipeline.picture_formats import SENT_ENDINGS
from pipeline.sources.folders import list_path
from pipeline.sources.items import require_inside
from pipeline.sources.names import EVERY_DEPTH, is_pattern, match_files, with_slashes
from pipeline.sources.tables import Row
from pipeline.sources.url_remarks import UrlRemarks
from pipeline.system.wording import count
from pipeline.system.wording import listed as listed_names
from pipeline.views import is_url

_ROUNDED = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]{2,}", re.IGNORECASE)
_SHOWN = 3


def left_out(spec: JobSpec) -> list[str]:
    """Name the pictures that lie beside those of a pattern and are not listed, by the case of their ending, say."""
    patterns = [
        (index, entry.path) for index, entry in enumerate(spec.images) if entry.path and _is_inside(spec, entry.path)
    ]
    listed = {name for _, pattern in patterns for name in match_files(spec.root_path, pattern)}
    listed |= {PurePosixPath(with_slashes(entry.path)).as_posix() for entry in spec.images if entry.path}
    remarks = []
    for index, pattern in patterns:
        beside = [name for name in _beside(spec, pattern) if name not in listed]
        if beside:
            names = ", ".join(name.rsplit("/", 1)[-1] for name in beside[:_SHOWN])
            more = f" and {len(beside) - _SHOWN:,} more" if len(beside) > _SHOWN else ""
            remarks.append(
                f"images[{index}].path: {pattern} leaves out {count(len(beside), 'picture')} of other endings: "
                f"{names}{more}; to take them, list too: {_patterns(pattern, beside)}".encode(
                    "utf-8", "replace"
                ).decode()
            )
    return remarks + _left_out_of_folders(spec)


def _left_out_of_folders(spec: JobSpec) -> list[str]:
    """Name the files in folders and archives that are no pictures by their endings."""
    remarks = []
    for index, entry in enumerate(spec.images):
        listed = None
        with contextlib.suppress(SpecError):
            listed = list_path(spec, entry.path) if entry.path and _is_allowed(entry.path) else None
        if listed is not None and listed.others:
            named = listed_names([name.rsplit("/", 1)[-1] for name in listed.others], _SHOWN)
            text = f"{entry.path} leaves out {count(len(listed.others), 'file')} without a picture's ending: {named}"
            remarks.append(f"images[{index}].path: {text}".encode("utf-8", "replace").decode())
    return remarks


class SourceRemarks:
    """Remarks about all sources of a job: give `note` to whoever reads the items.

    A reading that is begun again notes nothing twice.
    """

    def __init__(self, spec: JobSpec) -> None:
        self._spec = spec
        self._urls = UrlRemarks(sandboxed=spec.sandbox or is_loopback(spec.api.base_url))
        self._ids = {index: _Ids() for index, entry in enumerate(spec.images) if entry.manifest is not None}
        self._nameless: list[str] = []
        for index, entry in enumerate(spec.images):
            if entry.url is not None:
                self._urls.note(f"images[{index}].url", entry.url)
                self._nameless += [] if entry.id else [f"images[{index}].url"]
            for url in filter(is_url, entry.views or ()):
                self._urls.note(f"images[{index}].views", url)

    def note(self, index: int, row: Row) -> None:
        """Look at a row of the manifest `images[index]`."""
        ids = self._ids[index]
        if row.line <= ids.line:
            return
        ids.line = row.line
        place = f"{self._spec.images[index].listing}:{row.place}"
        for url in (row.url, *(filter(is_url, row.views) if self._spec.search.TAKES_VIEWS else ())):
            self._urls.note(place, url)
        if row.url and not row.id and not row.fault:
            ids.missing += 1
            ids.others = ids.others or list(row.labels or {})[:5]
        elif row.id and _ROUNDED.fullmatch(row.id):
            ids.rounded += 1
            ids.first = ids.first or (row.place, row.id)

    def texts(self) -> list[str]:
        """Name what is left out, ids made from a hash, or rounded, and URLs with probably no picture."""
        remarks = [*left_out(self._spec), *_of_workbooks(self._spec)]
        for index, ids in self._ids.items():
            texts = ids.texts(self._spec.images[index])
            remarks += [f"images[{index}].manifest: {text}" for text in texts]
        if self._nameless:
            remarks.append(
                f"{self._nameless[0]}: listed without an id ({count(len(self._nameless), 'entry', 'entries')}): "
                "ids are made from a hash of the URL; write `id:` beside `url:`"
            )
        return [*remarks, *self._urls.texts()]


@dataclass(slots=True)
class _Ids:
    """The ids of one manifest.

    line     the last row that was noted
    missing  rows without an id
    others   columns that may hold the ids
    rounded  ids that a spreadsheet has rounded, and where the first of them stands
    """

    line: int = -1
    missing: int = 0
    others: list[str] = field(default_factory=list)
    rounded: int = 0
    first: tuple[str, str] | None = None

    def texts(self, entry: ImageEntry) -> list[str]:
        """Say what was noted."""
        texts = []
        if self.missing and entry.manifest == STDIN and not self.others:
            texts.append(f"{count(self.missing, 'URL')} without an id: ids are made from a hash of the URL")
        elif self.missing:
            hint = f" (of {', '.join(map(repr, self.others))}, say)" if self.others else ""
            texts.append(
                f"{count(self.missing, 'row')} of {entry.listing} without an id in the column {entry.columns.id!r}: "
                f"ids are made from a hash of the URL; name the column of yours{hint} with `columns: {{id: ...}}`"
            )
        if self.first is not None:
            place, id_ = self.first
            texts.append(
                f"{entry.listing}:{place}: the id {id_!r} is a number that a spreadsheet has rounded "
                f"({count(self.rounded, 'row')}): different products may have it; format the column as text and save "
                "it again"
            )
        return texts


def _of_workbooks(spec: JobSpec) -> list[str]:
    if not any((entry.manifest or "").lower().endswith(WORKBOOK_ENDINGS) for entry in spec.images):
        return []
    from pipeline.sources.workbook_remarks import workbook_remarks  # its library is slow to load

    return workbook_remarks(spec)


def _is_inside(spec: JobSpec, path: str) -> bool:
    """Return whether a path is a pattern that `check` lets pass."""
    return _is_allowed(path) and is_pattern(path, spec.root_path)


def _is_allowed(path: str) -> bool:
    """Return whether `check` lets a path pass; nothing is looked for at any other, which may be the whole disk."""
    try:
        require_inside(path, "path")
    except SpecError:
        return False
    return True


def _beside(spec: JobSpec, pattern: str) -> list[str]:
    folder, _, last = with_slashes(pattern).rpartition("/")
    if last == EVERY_DEPTH or "." not in last:
        return []
    stem = last.rpartition(".")[0]
    around = match_files(spec.root_path, f"{folder}/{stem}.*" if folder else f"{stem}.*")
    return [name for name in around if name.lower().endswith(SENT_ENDINGS)]


def _patterns(pattern: str, names: list[str]) -> str:
    endings = dict.fromkeys(name.rpartition(".")[2] for name in names)
    return ", ".join(f"`- path: {pattern.rpartition('.')[0]}.{ending}`" for ending in endings)
