"""An archive of a run (offline/pack.py), read: unpacked for a moment, every file proved by its SHA-256."""

import contextlib
import hashlib
import lzma
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.errors import JournalError
from pipeline.offline.pack import CHUNK, SUMS, read_sum
from pipeline.run.load import ARCHIVE, folder_of
from pipeline.system.fault import Fault
from pipeline.system.files import private
from pipeline.system.folders import temporary_folder

_MOST_SUMS = 64 << 20  # bytes: half a million files
_NOT_WHOLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, ValueError),
    *(FileExistsError, NotADirectoryError, IsADirectoryError),  # two members that cannot lie beside one another
)


@contextlib.contextmanager
def at_hand(path: Path) -> Iterator[Path]:
    """Yield the run directory that a path names: itself, by its job file, or an archive, which is unpacked meanwhile.

    Raises SpecError where it is none of them, JournalError for an archive that is not what was packed.
    """
    if not is_packed(path):
        yield folder_of(path)
        return
    with unpacked(path) as folder:
        yield folder


def is_packed(path: Path) -> bool:
    """Return whether a path names an archive, by its ending."""
    return path.suffix.lower() == ARCHIVE and path.is_file()


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack an archive into a folder of its own, every file proved by its sum, until the block ends.

    Raises JournalError for a file that is no archive of a run, lacks something, or was changed.
    """
    with temporary_folder() as place:
        try:
            yield _unpacked(path, place)
        except JournalError as error:
            raise _of_archive(error, path, place) from None


def _of_archive(error: JournalError, path: Path, place: Path) -> JournalError:
    """Tell a fault of an unpacked run as one of its archive: what it names is gone by the time that it is read."""
    told = error.args[0]
    if not isinstance(told, Fault) or not told.where.startswith(f"{place}{os.sep}"):
        return error
    return JournalError(Fault(told.what, where=f"{path}: {Path(told.where).relative_to(place)}"))


def _unpacked(path: Path, place: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, place)
    except _NOT_WHOLE as exc:
        raise JournalError(Fault(f"no whole archive of a run ({exc!s:.120})", where=str(path))) from None


def _unpack(archive: zipfile.ZipFile, place: Path) -> Path:
    lists = [info for info in archive.infolist() if PurePosixPath(info.filename).parts[1:] == (SUMS,)]
    if len(lists) != 1:
        raise ValueError(f"it has no {SUMS}; `pipeline pack` makes such archives")
    needed = sum(info.file_size for info in archive.infolist())
    if lists[0].file_size > _MOST_SUMS or needed > shutil.disk_usage(place).free:
        raise ValueError(f"unpacked it would take {needed / 1e6:,.0f} MB, and {place.parent} has less")
    top = PurePosixPath(lists[0].filename).parts[0]
    folder = place / top
    if top == ".." or folder.parent != place:  # joined with an absolute path, `folder` is that path
        raise ValueError("it names a folder outside of itself")
    for line in filter(None, archive.read(lists[0]).decode().split("\n")):
        digest, name = read_sum(line)
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts:
            raise ValueError(f"it names a file outside of itself: {name!r:.60}")
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if _copy(archive, f"{top}/{name}", target) != digest:
                raise ValueError(f"{name} is not what was packed")
        except KeyError:
            raise ValueError(f"{name} is missing") from None
    return folder


def _copy(archive: zipfile.ZipFile, member: str, target: Path) -> str:
    digest = hashlib.sha256()
    with archive.open(member) as source, open(private(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as to:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            to.write(chunk)
    return digest.hexdigest()
