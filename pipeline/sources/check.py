"""Checks of a job's sources before anything is sent: that they are there and readable, and whether they changed."""

import hashlib

import msgspec

from pipeline.errors import SpecError
from pipeline.job.schema import ImageEntry, JobSpec
from pipeline.sources.items import (
    PUBLIC_HINT,
    locate_manifest,
    may_upload,
    read_items,
    require_inside,
)
from pipeline.sources.names import is_pattern, match_files, on_disk
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
        if is_pattern(entry.path) and not match_files(spec.root_path, entry.path):
            faults.append(f"{field}: no file matches {entry.path} in {spec.root_path}")
    elif entry.manifest is not None and next(read_rows(locate_manifest(spec, entry), entry), None) is None:
        faults.append(f"{locate_manifest(spec, entry)}: no rows; a job needs at least one picture")
    return faults


def find_faulty_items(spec: JobSpec, *, most: int) -> list[str]:
    """Read every source through and name what would become a failed item: the first `most`, and how many more."""
    faults: list[str] = []
    pictures: dict[int, int] = {}  # by id; hashes, since a manifest may have a million rows
    more = 0
    for item in read_items(spec):
        fault = item.problem.message if item.problem else ""
        picture = hash(item.identity)
        if not fault and pictures.setdefault(hash(item.id), picture) != picture:
            fault = f"{item.origin}: the id {item.id!r} is already used for another picture"
        if not fault and item.local and not (spec.root_path / on_disk(item.source)).is_file():
            fault = f"{item.origin}: there is no file {item.source} in {spec.root_path}"
        if fault and len(faults) < most:
            faults.append(fault)
        elif fault:
            more += 1
    return [*faults, f"... and {more:,} more"] if more else faults


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
        elif entry.path is not None and is_pattern(entry.path):
            for name in match_files(spec.root_path, entry.path):
                digest.update(name.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
