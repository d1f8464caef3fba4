"""Remarks about a job's sources: what is left out, or made up, without being a fault."""

import re
from pathlib import PurePosixPath

from pipeline.errors import SpecError
from pipeline.job.checks import is_loopback
from pipeline.job.schema import ImageEntry, JobSpec
from pipeline.sources.items import locate_manifest, require_inside
from pipeline.sources.names import EVERY_DEPTH, is_pattern, match_files, with_slashes
from pipeline.sources.tables import read_rows
from pipeline.sources.url_remarks import UrlRemarks
from pipeline.system.wording import count

_PICTURES = (".jpg", ".jpeg", ".png")
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
    return remarks


def remarks_on(spec: JobSpec) -> list[str]:
    """Say what is left out, made up or probably no picture; every manifest is read through."""
    return [*left_out(spec), *of_rows(spec)]


def of_rows(spec: JobSpec) -> list[str]:
    """Name ids made up from a hash, ids that a spreadsheet has rounded, and URLs with probably no picture."""
    remarks = []
    urls = UrlRemarks(sandboxed=spec.sandbox or is_loopback(spec.api.base_url))
    for index, entry in enumerate(spec.images):
        if entry.manifest is not None:
            remarks += [f"images[{index}].manifest: {text}" for text in _made_up_in(spec, entry, urls)]
        elif entry.url is not None:
            urls.note(f"images[{index}].url", entry.url)
    nameless = [f"images[{index}].url" for index, entry in enumerate(spec.images) if entry.url and not entry.id]
    if nameless:
        remarks.append(
            f"{nameless[0]}: listed without an id ({count(len(nameless), 'entry', 'entries')}): ids are made from "
            "a hash of the URL; write `id:` beside `url:`"
        )
    return [*remarks, *urls.texts()]


def _made_up_in(spec: JobSpec, entry: ImageEntry, urls: UrlRemarks) -> list[str]:
    without = rounded = 0
    first: tuple[int, str] | None = None
    others: list[str] = []
    for row in read_rows(locate_manifest(spec, entry), entry):
        urls.note(f"{entry.manifest}:{row.line}", row.url)
        if row.url and not row.id and not row.fault:
            without += 1
            others = others or list(row.labels or {})[:5]
        elif _ROUNDED.fullmatch(row.id):
            rounded += 1
            first = first or (row.line, row.id)
    texts = []
    if without:
        hint = f" (of {', '.join(map(repr, others))}, say)" if others else ""
        texts.append(
            f"{count(without, 'row')} of {entry.manifest} without an id in the column {entry.columns.id!r}: "
            f"ids are made from a hash of the URL; name the column of yours{hint} with `columns: {{id: ...}}`"
        )
    if first is not None:
        texts.append(
            f"{entry.manifest}:{first[0]}: the id {first[1]!r} is a number that a spreadsheet has rounded "
            f"({count(rounded, 'row')}): different products may have it; format the column as text and save it again"
        )
    return texts


def _is_inside(spec: JobSpec, path: str) -> bool:
    """Return whether a path is a pattern that `check` lets pass."""
    try:
        require_inside(path, "path")
    except SpecError:
        return False
    return is_pattern(path, spec.root_path)


def _beside(spec: JobSpec, pattern: str) -> list[str]:
    folder, _, last = with_slashes(pattern).rpartition("/")
    if last == EVERY_DEPTH or "." not in last:
        return []
    around = match_files(spec.root_path, f"{folder}/*" if folder else "*")
    return [name for name in around if name.lower().endswith(_PICTURES)]


def _patterns(pattern: str, names: list[str]) -> str:
    endings = dict.fromkeys(name.rpartition(".")[2] for name in names)
    return ", ".join(f"`- path: {pattern.rpartition('.')[0]}.{ending}`" for ending in endings)
