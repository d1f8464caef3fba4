"""The lines of several shards as those of one run: their files in order, each as far as its journal knows it."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from pipeline.cluster.layout import shard_of
from pipeline.errors import JournalError
from pipeline.journal.places import results_file
from pipeline.journal.sql import line_index
from pipeline.journal.sql.database import Database
from pipeline.journal.storage import reading_only
from pipeline.system.fault import Fault, typed
from pipeline.system.files import write_whole

MANIFEST = "manifest.json"
_AT_ONCE = 1 << 20


class Lines(NamedTuple):
    """The lines of a run directory that count: a beginning of its file."""

    run: Path
    file: Path
    size: int  # bytes
    lines: int

    def chunks(self) -> Iterator[bytes]:
        """Read them. Raises JournalError where the file ends before."""
        left = self.size
        with self.file.open("rb") as file:
            while left and (some := file.read(min(left, _AT_ONCE))):
                left -= len(some)
                yield some
        if left:
            raise self._cut_short()

    def require_whole(self) -> None:
        """Raise JournalError where the file ends before its journal's last line."""
        try:
            size = self.file.stat().st_size
        except FileNotFoundError:
            size = 0
        if size < self.size:
            raise self._cut_short()

    def _cut_short(self) -> JournalError:
        what = "the file is shorter than its journal knows; a look at all lines says more"
        return JournalError(Fault(what, where=str(self.file), fix=typed("status", self.run, "--verify")))


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file of records in manifest.json; the lines of a run are those of these files in this order."""

    shard: int
    epoch: int
    file: str  # relative to the folder of the run
    bytes: int  # of it, from its beginning; what lies behind them is not known to the journal (yet)
    lines: int
    sha256: str  # of these bytes


def lines_of(run: Path) -> Lines:
    """Find the lines of a run directory that its journal knows. Raises JournalError."""
    with reading_only(run) as db:
        return lines_in(run, db)


def lines_in(run: Path, db: Database) -> Lines:
    """Find the lines that a journal knows."""
    last, file = line_index.last(db), results_file(run)
    return Lines(run, file, 0, 0) if last is None else Lines(run, file, last.offset + last.length, last.seq + 1)


def copy_lines(parts: Iterable[Lines], out: BinaryIO | None = None) -> list[str]:
    """Copy lines one part after the other; return the SHA-256 of each. Without `out` they are only read."""
    sums = []
    for part in parts:
        digest = hashlib.sha256()
        for some in part.chunks():
            digest.update(some)
            if out is not None:
                out.write(some)
        sums.append(digest.hexdigest())
    return sums


def write_manifest(folder: Path, parts: Iterable[Lines], sums: Iterable[str]) -> None:
    """Write manifest.json of a cluster run. Raises OSError."""
    listed = [_listed(folder, part, sha256) for part, sha256 in zip(parts, sums, strict=True)]
    data = msgspec.json.format(msgspec.json.encode({"schema": 1, "files": listed}), indent=2)
    write_whole(folder / MANIFEST, data + b"\n", several_writers=True)


def _listed(folder: Path, part: Lines, sha256: str) -> Listed:
    of = shard_of(part.run)
    assert of is not None, part.run
    _, shard, epoch = of
    name = part.file.absolute().relative_to(folder.absolute()).as_posix()
    return Listed(shard=shard, epoch=epoch, file=name, bytes=part.size, lines=part.lines, sha256=sha256)
