"""The local pictures that a `path` of a job names: one file, those of a pattern, a whole folder, or a zip of them.

A picture in a zip is called `photos.zip!/front/a.jpg`; it is read from there and never unpacked to a disk.
"""

import os
from pathlib import PurePosixPath
from typing import NamedTuple

from pipeline.errors import SpecError
from pipeline.job.checks import ZIP
from pipeline.job.schema import JobSpec
from pipeline.picture_formats import ENDINGS
from pipeline.sources.archives import BadArchive, member_name, members_of, parts_of_name
from pipeline.sources.names import EVERY_DEPTH, as_listed, is_pattern, match_files, on_disk, with_slashes
from pipeline.sources.pictures import locate
from pipeline.system.fault import Fault

_OF_THE_SYSTEM = ("__MACOSX", "Thumbs.db", "desktop.ini")


class Listed(NamedTuple):
    """The pictures that a path names, sorted, and the files beside them that are none."""

    pictures: list[str]
    others: list[str]


def list_path(spec: JobSpec, path: str) -> Listed | None:
    """List the pictures of a pattern, a folder or a zip; None for a path that is one picture.

    Hidden files are none of them, nor is what systems put beside pictures. Raises SpecError for a zip that cannot be
    read.
    """
    root, plain = spec.root_path, with_slashes(path)
    if is_pattern(path, root):
        found = match_files(root, path)
        if not plain.lower().endswith(ZIP):
            return Listed(found, [])
        archives = [_members(spec, name) for name in found]
        return Listed(
            [name for one in archives for name in one.pictures], [name for one in archives for name in one.others]
        )
    if os.path.isdir(root / on_disk(plain)):
        return _sorted_out(_below(spec, PurePosixPath(plain).as_posix()))
    if plain.lower().endswith(ZIP) and os.path.isfile(root / on_disk(plain)):
        return _members(spec, PurePosixPath(plain).as_posix())
    return None


def _below(spec: JobSpec, folder: str) -> list[str]:
    """List all files in a folder, at every depth; what runs wrote below it is none of its pictures."""
    names = match_files(spec.root_path, EVERY_DEPTH if folder == "." else f"{folder}/{EVERY_DEPTH}")
    written = spec.place(spec.output.dir).resolve()
    if not written.is_relative_to(spec.root_path) or written == spec.root_path:
        return names
    begin = f"{as_listed(written.relative_to(spec.root_path).as_posix())}/"
    return [name for name in names if not name.startswith(begin)]


def _members(spec: JobSpec, archive: str) -> Listed:
    try:
        path = locate(spec.root_path, archive)
        if not path.is_relative_to(spec.root_path):
            raise SpecError(Fault("this is a link that leaves the job's root; set `root:`", where=archive))
        names = sorted(members_of(path))
    except BadArchive as exc:
        raise SpecError(Fault(f"the zip cannot be read: {exc}", where=archive)) from None
    except (OSError, RuntimeError, ValueError) as exc:
        raise SpecError(Fault(f"the zip cannot be read: {getattr(exc, 'strerror', exc)}", where=archive)) from None
    return _sorted_out([member_name(archive, name) for name in names if not _is_hidden(name)])


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _sorted_out(names: list[str]) -> Listed:
    names = [name for name in names if not set(_OF_THE_SYSTEM) & set(parts_of_name(name))]
    pictures = [name for name in names if name.lower().endswith(ENDINGS)]
    return Listed(pictures, [name for name in names if not name.lower().endswith(ENDINGS)])
