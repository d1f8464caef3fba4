"""A run as one archive: everything that its records and its page need, each file with its SHA-256.

Of a run of many machines these are all shards with all of their run directories: lines that came late stand in earlier
ones. Its leases lie beside it, and nothing of them is in the archive.

The archive is a zip file with one folder, in which SHA256SUMS names every other file as `sha256sum -c` reads it. It is
for keeping and for giving away: `status`, `report` and `export` read it, and nothing goes on in it.
"""

import contextlib
import errno
import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.cluster.directories import directories
from pipeline.cluster.layout import cluster_run, refuse_shard
from pipeline.cluster.merge import lines_of
from pipeline.errors import SpecError
from pipeline.journal.collected import has_collection
from pipeline.journal.emergency import BALLAST
from pipeline.journal.places import JOURNAL, collection_of
from pipeline.offline.opening import find_run
from pipeline.offline.shards.resting import shards_at_rest
from pipeline.run.directory import LOCK, lock
from pipeline.run.load import ARCHIVE
from pipeline.system.drafts import draft_of
from pipeline.system.fault import Fault
from pipeline.system.files import private

SUMS = "SHA256SUMS"
_LEFT = {LOCK, BALLAST}
_SANDBOX = "sandbox"  # the vendor's side of a run on the embedded sandbox
CHUNK = 1 << 20
_ESCAPED = re.compile(r"\\([\\nr])")
_MEANS = {"\\": "\\", "n": "\n", "r": "\r"}
_SAME_TIME = (1980, 1, 1, 0, 0, 0)  # of every member, so that one run makes one archive, byte for byte


def _silent(_: str) -> None:
    """Say nothing."""


class Packed(NamedTuple):
    """An archive that was made, and the files in it besides SHA256SUMS."""

    path: Path
    files: int
    size: int  # bytes of the archive


def pack(folder: Path, to: Path | None, *, say: Callable[[str], None] = _silent) -> Packed:
    """Pack a run that nobody works on; the archive takes its place whole, and replaces nothing.

    Raises SpecError where there is no run or the archive is there already, RunLocked while a run goes on, OSError,
    JournalError where the machines of a run share leases that are not here.
    """
    folder = _named(folder)
    if (cluster := cluster_run(folder)) is None:
        refuse_shard(folder, "pack")
        find_run(folder)
    path = to or folder.with_name(folder.name + ARCHIVE)
    if path.exists():
        raise SpecError(Fault("this file is there already; name another one with --output", where=str(path)))
    draft = draft_of(path)
    try:
        with _at_rest(folder) if cluster is None else shards_at_rest(folder, say=say):
            for run in directories(folder).runs:
                lines_of(run).require_whole()
            files = sorted(_files(folder))
            with open(private(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC), "w+b") as file:
                _write(file, folder, files)
                file.flush()
                os.fsync(file.fileno())
        size = draft.stat().st_size
        _put(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return Packed(path, len(files), size)


@contextlib.contextmanager
def _at_rest(folder: Path) -> Iterator[None]:
    """Lock a run directory, and the one inside it whose reports were collected."""
    with contextlib.ExitStack() as locks:
        for one in [folder, *([collection_of(folder)] if has_collection(folder) else [])]:
            locks.enter_context(lock(one))
        yield


def _named(folder: Path) -> Path:
    """Return a run directory by a path that ends with its name, also where a person writes `.` or `..`."""
    return folder if folder.name.strip(".") else Path(os.path.abspath(folder))


def _put(draft: Path, path: Path) -> None:
    """Give an archive its name; a file that came there meanwhile is not replaced. Raises OSError."""
    try:
        os.link(draft, path)  # unlike a rename, it replaces nothing
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        # Sticks and some network folders have no hard links: there the name is taken first, and what took it replaced.
        os.close(private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        draft.replace(path)


def sum_line(digest: str, name: str) -> str:
    """Write a line of SHA256SUMS; a name with line breaks or backslashes is escaped as `sha256sum` does."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def read_sum(line: str) -> tuple[str, str]:
    """Read the digest and the name of a line of SHA256SUMS, without its end."""
    digest, _, name = line.partition("  ")
    if not digest.startswith("\\"):
        return digest, name
    return digest[1:], _ESCAPED.sub(lambda found: _MEANS[found[1]], name)


def _files(folder: Path) -> Iterator[str]:
    """Yield the files of a run directory by their paths in it."""
    for where, folders, names in os.walk(folder):
        at = Path(where)
        vendors = at == folder or JOURNAL in names
        folders[:] = [name for name in folders if not (name[0] == "." or (vendors and name == _SANDBOX))]
        for name in names:
            file = at / name
            if _is_kept(name) and file.is_file() and not file.is_symlink() and not _is_empty_log(file):
                yield file.relative_to(folder).as_posix()


def _is_kept(name: str) -> bool:
    """Return whether a file of this name belongs to the archive: no draft, and nothing that only a run needs."""
    draft = name[0] == "." and (name.endswith((".new", ".part")) or name.startswith(".clock-"))
    return name not in _LEFT and not name.endswith("-shm") and not draft


def _is_empty_log(file: Path) -> bool:
    return file.name.endswith("-wal") and file.stat().st_size == 0


def _write(file: BinaryIO, folder: Path, names: list[str]) -> None:
    sums = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            digest = hashlib.sha256()
            with (folder / name).open("rb") as source, archive.open(_member(folder, name), "w", force_zip64=True) as to:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    to.write(chunk)
            sums.append(sum_line(digest.hexdigest(), name))
        archive.writestr(_member(folder, SUMS), "".join(sums).encode())


def _member(folder: Path, name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(f"{folder.name}/{name}", _SAME_TIME)
    member.compress_type = zipfile.ZIP_STORED if name.endswith((".webp", ".jpg", ".png")) else zipfile.ZIP_DEFLATED
    member.external_attr = (stat.S_IFREG | 0o600) << 16
    return member
