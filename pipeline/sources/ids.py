"""Ids of items that a job lists without one: a local picture is called as its file, a URL has a hash.

An id must be the same whatever the order in which things are listed. So the stem of a file's name that more than one
picture could claim, in whatever folders they lie, is followed by a hash of the path in each of these ids.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.job.checks import MAX_ID, check_id
from pipeline.job.schema import JobSpec
from pipeline.sources.folders import list_path
from pipeline.sources.names import with_slashes
from pipeline.sources.tables import locate_manifest, read_rows

_MORE = 8  # characters of a hash behind a stem


def make_id(source: str) -> str:
    """Make an id for an item that has none: a hash of its source, so that it is the same in every run."""
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:16]


class Ids:
    """The ids of a job's items that are listed without one."""

    def __init__(self, spec: JobSpec, *, hashed: bool = False) -> None:
        """Name pictures as the job lists them; `hashed` names every one by a hash, as earlier versions did."""
        self._spec = spec
        self._hashed = hashed
        self._claimed: set[int] | None = None  # stems with several claims; read when the first picture asks

    def of_url(self, url: str) -> str:
        """Return the id of a picture at a URL."""
        return make_id(url)

    def of_file(self, source: str) -> str:
        """Return the id of a local picture."""
        stem = "" if self._hashed else _stem(source)
        if not stem:
            return make_id(source)
        if self._claimed is None:
            self._claimed = _claimed_twice(self._spec)
        return f"{stem}-{make_id(_one_spelling(source))[:_MORE]}" if hash(stem) in self._claimed else stem


def _stem(source: str) -> str:
    """Return a file's name without its ending; "" where that cannot be an id."""
    stem = unicodedata.normalize("NFC", PurePosixPath(source).stem)
    try:
        return check_id(stem) if len(stem) < MAX_ID - _MORE else ""
    except ValueError:
        return ""


def _one_spelling(source: str) -> str:
    return PurePosixPath(source).as_posix()


def _claimed_twice(spec: JobSpec) -> set[int]:
    """Find the names that more than one picture of a job has or would have, as hashes: there may be a million."""
    claims: dict[int, int] = {}
    twice = set()
    for id_, source in _named(spec):
        if claims.setdefault(hash(id_), hash(source)) != hash(source):
            twice.add(hash(id_))
    return twice


def _named(spec: JobSpec) -> Iterator[tuple[str, str]]:
    """Yield every id that a job writes out, and the stem of every local picture without one, with its picture."""
    for entry in spec.images:
        if entry.manifest is not None:
            for row in read_rows(locate_manifest(spec, entry), entry):
                if row.id:
                    yield row.id, row.url or "".join(row.views) or _one_spelling(with_slashes(row.path))
                elif row.path:
                    yield _stem(with_slashes(row.path)), _one_spelling(with_slashes(row.path))
        elif entry.path is not None:
            listed = list_path(spec, entry.path)
            for name in [with_slashes(entry.path)] if listed is None else listed.pictures:
                yield entry.id or _stem(name), _one_spelling(name)
        elif entry.id:
            yield entry.id, entry.url or ""
