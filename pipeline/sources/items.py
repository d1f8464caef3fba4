"""Spec to items: lazy, streamed, with stable ids; what cannot be worked on becomes an item with a problem."""

import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from pipeline.errors import Code, SpecError
from pipeline.job.checks import check_id, check_picture_url, is_loopback
from pipeline.job.schema import ImageEntry, JobSpec
from pipeline.models import Item, Problem
from pipeline.sources.tables import Row, rows

PUBLIC_HINT = (
    "uploading makes a picture publicly reachable by its URL for 9 hours; write `upload: {public: true}` in the job "
    "file to allow that, or list URLs instead"
)


def items(spec: JobSpec) -> Iterator[Item]:
    """Yield the job's items in the order of the job file; holds one row or one listing at a time.

    Raises SpecError when a manifest cannot be read or a pattern names nothing.
    """
    for index, entry in enumerate(spec.images):
        origin = f"images[{index}]"
        if entry.url is not None:
            yield Item(entry.id or source_id(entry.url), entry.url, False, origin, entry.labels)
        elif entry.path is not None:
            yield from _pictures(spec, entry, origin)
        else:
            yield from _manifest(spec, entry)


def check_sources(spec: JobSpec) -> None:
    """Look, without reading it all, whether every source of the job is there; raises SpecError with all faults."""
    faults: list[str] = []
    if not spec.root_path.is_dir():
        faults.append(f"root: {spec.root_path} is no folder")
    for index, entry in enumerate(spec.images):
        try:
            if entry.path is not None:
                if not may_upload(spec):
                    faults.append(f"images[{index}].path: {spec.vendor} is not this machine: {PUBLIC_HINT}")
                _inside(entry.path, f"images[{index}].path")
                if _is_pattern(entry.path) and next(_matches(spec, entry.path), None) is None:
                    faults.append(f"images[{index}].path: no file matches {entry.path} in {spec.root_path}")
            elif entry.manifest is not None and next(rows(manifest_path(spec, entry), entry), None) is None:
                faults.append(f"{manifest_path(spec, entry)}: no rows; a job needs at least one picture")
        except SpecError as exc:
            faults.extend(exc.lines)
    if faults:
        raise SpecError(*faults)


def faulty_items(spec: JobSpec, *, most: int) -> list[str]:
    """Read every source through and name what would become a failed item: the first `most`, and how many more."""
    faults: list[str] = []
    seen: dict[int, int] = {}
    more = 0
    for item in items(spec):
        fault = item.problem.message if item.problem else ""
        picture = hash((item.source, item.local))
        if not fault and seen.setdefault(hash(item.id), picture) != picture:
            fault = f"{item.origin}: the id {item.id!r} is already used for another picture"
        if not fault and item.local and not (spec.root_path / item.source).is_file():
            fault = f"{item.origin}: there is no file {item.source} in {spec.root_path}"
        if fault and len(faults) < most:
            faults.append(fault)
        elif fault:
            more += 1
    return [*faults, f"... and {more:,} more"] if more else faults


def fingerprint(spec: JobSpec) -> str:
    """A digest of everything the items come from: the same digest means the same items.

    Manifests count by their bytes, patterns by the names they match; a picture's own bytes are looked at when sent.
    """
    digest = hashlib.sha256(b"1" if may_upload(spec) else b"0")
    for entry in spec.images:
        digest.update(msgspec.json.encode(entry.model_dump(mode="json", exclude={"views"})))
        if entry.manifest is not None:
            with manifest_path(spec, entry).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif entry.path is not None and _is_pattern(entry.path):
            for name in _matches(spec, entry.path):
                digest.update(os.fsencode(name) + b"\n")
    return digest.hexdigest()


def source_id(source: str) -> str:
    """The id of an item that was given none: from a hash of its source, so it stays the same from run to run."""
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def may_upload(spec: JobSpec) -> bool:
    """Whether local pictures may leave for the job's vendor."""
    return spec.upload.public or spec.sandbox or is_loopback(spec.api.base_url)


def manifest_path(spec: JobSpec, entry: ImageEntry) -> Path:
    """Where a manifest lies: relative to the job file."""
    return spec.folder / (entry.manifest or "")


def _pictures(spec: JobSpec, entry: ImageEntry, origin: str) -> Iterator[Item]:
    assert entry.path is not None
    _inside(entry.path, f"{origin}.path")
    if not _is_pattern(entry.path):
        source = PurePosixPath(entry.path).as_posix()
        yield Item(entry.id or source_id(source), source, True, origin, entry.labels, _cannot_upload(spec))
        return
    found = False
    for name in _matches(spec, entry.path):
        found = True
        yield _matched(spec, entry, name, origin)
    if not found:
        raise SpecError(f"{origin}.path: no file matches {entry.path} in {spec.root_path}")


def _matched(spec: JobSpec, entry: ImageEntry, name: str, origin: str) -> Item:
    readable = name.encode("utf-8", "backslashreplace").decode()
    if name == readable:
        return Item(source_id(name), name, True, origin, entry.labels, _cannot_upload(spec))
    message = f"{readable}: the name of this file is not UTF-8 text; rename it"
    problem = Problem("read", Code.BAD_NAME, message, "fail", False)
    return Item(source_id(name), readable, True, origin, entry.labels, problem)


def _manifest(spec: JobSpec, entry: ImageEntry) -> Iterator[Item]:
    file = manifest_path(spec, entry)
    for row in rows(file, entry):
        yield _row_item(spec, entry, row, f"{entry.manifest}:{row.line}")


def _row_item(spec: JobSpec, entry: ImageEntry, row: Row, origin: str) -> Item:
    fault = row.fault
    source = row.url or row.path
    labels = entry.labels | (row.labels or {})
    item_id = origin
    if not fault:
        try:
            if row.id:
                item_id = check_id(row.id)
            if bool(row.url) == bool(row.path):
                raise ValueError("a row names one of url and path" + ("; this one names both" if row.url else ""))
            if row.url:
                check_picture_url(row.url)
            else:
                _inside(row.path, origin)
            item_id = row.id or source_id(source)
        except (ValueError, SpecError) as exc:
            fault = str(exc)
    if fault:
        message = f"{origin}: {fault}"
        return Item(item_id, source, False, origin, labels, Problem("read", Code.BAD_ROW, message, "fail", False))
    problem = None if row.url else _cannot_upload(spec)
    return Item(item_id, source, not row.url, origin, labels, problem)


def _cannot_upload(spec: JobSpec) -> Problem | None:
    if may_upload(spec):
        return None
    return Problem("read", Code.NOT_PUBLIC, f"this local picture was not sent: {PUBLIC_HINT}", "fail", False)


def _is_pattern(path: str) -> bool:
    return glob.has_magic(path)


def _inside(path: str, field: str) -> None:
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or (len(path) > 1 and path[1] == ":"):
        raise SpecError(f"{field}: {path!r} leaves the job's root; use a relative path without `..`, or set `root:`")


def _matches(spec: JobSpec, pattern: str) -> Iterator[str]:
    """The regular files a pattern names, sorted, relative to the root, with forward slashes."""
    root = spec.root_path
    for name in sorted(glob.iglob(pattern, root_dir=root, recursive=True)):
        try:
            mode = (root / name).lstat().st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):  # a link is looked at when it is opened, and never left unsaid
            yield PurePosixPath(*Path(name).parts).as_posix()
