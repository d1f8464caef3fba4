"""Checks of a job's sources before anything is sent: that they are there and readable, and whether they changed."""

import hashlib
import re
from typing import Any

import msgspec

from pipeline.errors import Code, SpecError
from pipeline.job.images import STDIN, ImageEntry
from pipeline.job.schema import JobSpec
from pipeline.models import Item
from pipeline.sources.folders import list_path
from pipeline.sources.inspection import MadeFit, Watch, inspect_items
from pipeline.sources.items import (
    PUBLIC_FIX,
    PUBLIC_HINT,
    Note,
    may_upload,
    nothing_in,
    require_inside,
)
from pipeline.sources.pictures import is_there
from pipeline.sources.tables import locate_manifest, read_rows
from pipeline.system.fault import Fault, Gathered
from pipeline.views import is_url, local_views


def check_sources(spec: JobSpec) -> None:
    """Check that every source of the job is there, without reading it all. Raises SpecError with all faults.

    Those of a shard were looked at when the job was split.
    """
    faults: list[str] = []
    if not spec.root_path.is_dir():
        faults.append(Fault(f"{spec.root_path} is no folder", where="root"))
    for index, entry in enumerate(spec.images if spec.shard is None else ()):
        try:
            faults += _faults_of(spec, entry, f"images[{index}].path")
        except SpecError as exc:
            faults.extend(exc.lines)
    if faults:
        gathered = Gathered()
        for fault in faults:
            gathered.add(fault if isinstance(fault, Fault) else Fault(fault))
        raise SpecError(*gathered.lines(len(faults)))


def _faults_of(spec: JobSpec, entry: ImageEntry, field: str) -> list[str]:
    faults: list[str] = []
    if entry.path is not None:
        if not may_upload(spec):
            faults.append(Fault(f"{spec.vendor} is not this machine: {PUBLIC_HINT}", where=field, fix=PUBLIC_FIX))
        require_inside(entry.path, field)
        listed = list_path(spec, entry.path)
        if listed is not None and entry.id is not None:
            faults.append(Fault(f"an id belongs to one picture; {entry.path} may hold many", where=field))
        if listed is not None and not listed.pictures:
            faults.append(nothing_in(spec, entry, field))
    elif entry.views is not None and (files := [view for view in entry.views if not is_url(view)]):
        if not may_upload(spec):
            what = f"{spec.vendor} is not this machine: {PUBLIC_HINT}"
            faults.append(Fault(what, where=field.replace(".path", ".views"), fix=PUBLIC_FIX))
        for view in files:
            require_inside(view, field.replace(".path", ".views"))
    elif entry.manifest is not None and next(read_rows(locate_manifest(spec, entry), entry), None) is None:
        where = entry.listing if entry.manifest == STDIN else str(locate_manifest(spec, entry))
        faults.append(Fault("no rows; a job needs at least one picture", where=where))
    return faults


def find_faulty_items(
    spec: JobSpec,
    *,
    most: int,
    quick: bool = False,
    watch: Watch | None = None,
    note: Note | None = None,
    made_fit: MadeFit | None = None,
) -> list[str]:
    """Read every source through, every picture too unless it is to be `quick`, and name what would fail.

    Equal faults are told once with their count and the first place; at most so many kinds, and how many more there are.
    `note` is called with each row of a manifest, `made_fit` is told which pictures are made fit.
    """
    gathered = Gathered()
    pictures: dict[int, int] = {}  # by id; hashes, since a manifest may have a million rows
    for item in inspect_items(spec, quick=quick, watch=watch, note=note, made_fit=made_fit):
        fault = fault_of(item) if item.problem else None
        picture = hash(item.identity)
        if fault is None and pictures.setdefault(hash(item.id), picture) != picture:
            fault = Fault(f"the id {item.id!r} is already used for another picture", where=item.origin)
        lost = (
            []
            if fault or not item.local
            else [one for one in local_views(item.source) if not is_there(spec.root_path, one)]
        )
        if lost:
            fault = Fault(f"there is no file {lost[0]!r} in {spec.root_path}", where=item.origin)
        if fault is not None:
            gathered.add(fault)
    return gathered.lines(most)


def fault_of(item: Item) -> Fault:
    """Take the problem of an item apart into place, fault and what to type."""
    assert item.problem is not None
    if item.problem.code == Code.NOT_PUBLIC:
        return Fault(item.problem.message, where=item.origin, fix=PUBLIC_FIX)
    what = item.problem.message.removeprefix(f"{item.origin}: ")
    named = what.startswith(f"{item.source}: ")
    where = f"{item.origin}: {item.source}" if named else item.origin
    to_type = re.search(r"(?:say|write) `((?:columns|upload): [^`]*)`", what)
    return Fault(what.removeprefix(f"{item.source}: "), where=where, fix=to_type[1] if to_type else "")


def fingerprint(spec: JobSpec) -> str:
    """Digest everything the items come from: the same digest means the same items.

    A manifest counts by its bytes, a pattern by the names it matches. The bytes of a picture do not count: they are
    compared when it is sent. The items of a shard count by their file alone.
    """
    if spec.shard is not None:
        with spec.shard.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256(b"1" if may_upload(spec) else b"0")
    if spec.search.TAKES_VIEWS:  # of the same rows it makes other items
        digest.update(b"views")
    for entry in spec.images:
        # Keys that earlier versions did not have count once they are used.
        later: dict[str, Any] = {key: True for key in ("views", "sheet") if getattr(entry, key) is None}
        if "views" not in entry.columns.model_fields_set:
            later["columns"] = {"views"}
        digest.update(msgspec.json.encode(entry.model_dump(mode="json", exclude=later)))
        if entry.manifest is not None:
            with locate_manifest(spec, entry).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif entry.path is not None and (listed := list_path(spec, entry.path)) is not None:
            for name in listed.pictures:
                digest.update(name.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
