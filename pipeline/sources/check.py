"""Checks of a job's sources before anything is sent: that they are there and readable, and whether they changed."""

import hashlib
import os
import re

import msgspec

from pipeline.errors import SpecError
from pipeline.job.schema import ImageEntry, JobSpec
from pipeline.models import Item
from pipeline.sources.inspection import Watch, inspect_items
from pipeline.sources.items import (
    PUBLIC_HINT,
    locate_manifest,
    may_upload,
    require_inside,
)
from pipeline.sources.names import is_pattern, match_files, on_disk, with_slashes
from pipeline.sources.tables import read_rows


def check_sources(spec: JobSpec) -> None:
    """Check that every source of the job is there, without reading it all. Raises SpecError with all faults."""
    faults: list[str] = []
    if not spec.root_path.is_dir():
        faults.append(f"root: {spec.root_path} is no folder")
    for index, entry in enumerate(spec.images):
        try:
            faults += _faults_of(spec, entry, f"images[{index}].path")
        except SpecError as exc:
            faults.extend(exc.lines)
    if faults:
        raise SpecError(*faults)


def _faults_of(spec: JobSpec, entry: ImageEntry, field: str) -> list[str]:
    faults: list[str] = []
    if entry.path is not None:
        if not may_upload(spec):
            faults.append(f"{field}: {spec.vendor} is not this machine: {PUBLIC_HINT}")
        require_inside(entry.path, field)
        if not is_pattern(entry.path, spec.root_path) and os.path.isdir(
            spec.root_path / on_disk(with_slashes(entry.path))
        ):
            faults.append(f"{field}: {entry.path} is a folder; name the pictures in it: {entry.path.rstrip('/')}/*.jpg")
        if is_pattern(entry.path, spec.root_path) and not match_files(spec.root_path, entry.path):
            faults.append(f"{field}: no file matches {entry.path} in {spec.root_path}")
    elif entry.manifest is not None and next(read_rows(locate_manifest(spec, entry), entry), None) is None:
        faults.append(f"{locate_manifest(spec, entry)}: no rows; a job needs at least one picture")
    return faults


def find_faulty_items(spec: JobSpec, *, most: int, quick: bool = False, watch: Watch | None = None) -> list[str]:
    """Read every source through, every picture too unless it is to be `quick`, and name what would fail.

    Equal faults are one line with their count and the first place; at most so many lines, and how many more there are.
    """
    kinds: dict[str, tuple[str, int]] = {}  # by what is wrong: the first fault, and how many there are
    pictures: dict[int, int] = {}  # by id; hashes, since a manifest may have a million rows
    for item in inspect_items(spec, quick=quick, watch=watch):
        fault = item.problem.message if item.problem else ""
        picture = hash(item.identity)
        if not fault and pictures.setdefault(hash(item.id), picture) != picture:
            fault = f"{item.origin}: the id {item.id!r} is already used for another picture"
        if not fault and item.local and not os.path.isfile(spec.root_path / on_disk(item.source)):
            fault = f"{item.origin}: there is no file {item.source} in {spec.root_path}"
        if fault:
            kind = _kind_of(fault, item)
            first, count = kinds.get(kind, (fault, 0))
            kinds[kind] = first, count + 1
    lines = [first if count == 1 else f"{first} ({count:,} like this)" for first, count in kinds.values()]
    more = sum(count for _, count in list(kinds.values())[most:])
    return [*lines[:most], f"... and {more:,} more"] if more else lines


def _kind_of(fault: str, item: Item) -> str:
    """Return what is wrong without what differs from row to row: places, names, values and numbers."""
    for own in (item.origin, item.source, item.id):
        fault = fault.replace(own, "") if own else fault
    return re.sub(r"'[^']*'|\"[^\"]*\"|[0-9][0-9.,]*", "", fault)


def fingerprint(spec: JobSpec) -> str:
    """Digest everything the items come from: the same digest means the same items.

    A manifest counts by its bytes, a pattern by the names it matches. The bytes of a picture do not count: they are
    compared when it is sent.
    """
    digest = hashlib.sha256(b"1" if may_upload(spec) else b"0")
    for entry in spec.images:
        digest.update(msgspec.json.encode(entry.model_dump(mode="json", exclude={"views"})))
        if entry.manifest is not None:
            with locate_manifest(spec, entry).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif entry.path is not None and is_pattern(entry.path, spec.root_path):
            for name in match_files(spec.root_path, entry.path):
                digest.update(name.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
