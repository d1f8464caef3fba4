"""The store of leases as a folder that all machines mount: an entry is a file that `link` gives its name.

The last part of a series' name and the number make the file's name: entry 12 of `q/acme/search/3` is the file
`q/acme/search/3.000000000012`. The folder must be there already: a mount that is missing leaves an empty place behind,
and a machine that began a store of its own in it would share its account with nobody.
"""

import contextlib
import errno
import os
import secrets
import shlex
import stat
import time
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.leases.store import OF_VERSION, Entry, StoreUnknown, parts_of
from pipeline.system.fault import Fault
from pipeline.system.files import private, sync_folder, write_all

_DIGITS = 12
_DRAFT = ".new"
_ABANDONED_S = 86_400.0  # drafts older than this are of processes that died; clocks differ by less
_LINKED = 2  # names of a draft that was linked


class FolderStore:
    """A folder as a store.

    `known` holds entries that were read, or put here: they never change, so each is read once.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Entry] = {}
        self._mark: tuple[int, int] | None = None  # device and inode of the entry of the version, once it is there
        self._version = b""  # its bytes, which tell this store from every other

    def __repr__(self) -> str:
        return f"FolderStore({str(self.folder)!r})"

    @classmethod
    def open(cls, folder: Path) -> "FolderStore":
        """Open a folder that exists and can be written. Raises SpecError."""
        folder = folder.absolute()
        store = cls(folder)
        try:
            if not stat.S_ISDIR(folder.stat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            store._try_links()
        except FileNotFoundError as error:
            what = "the folder for the leases does not exist; a file system that is not mounted looks the same"
            fix = shlex.join(["mkdir", "-p", "-m", "700", str(folder)])
            raise SpecError(Fault(what, where=str(folder), fix=fix)) from error
        except OSError as error:
            what = f"the folder for the leases cannot be used: {error.strerror or error}"
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                what += "; its file system must have hard links"
            elif isinstance(error, PermissionError):
                what += "; all machines must write it as one user"
            raise SpecError(Fault(what, where=str(folder))) from error
        return store

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        """Put an entry; return False where the name existed already."""
        path = self._path(series, number)
        try:
            self._refuse_another_place()
            self._make_folders(path.parent)
            ours = _linked(path, value)
        except OSError as error:
            raise StoreUnknown(self._said(error)) from error
        if ours:
            self._known[series] = Entry(number, value)
        return ours

    def read(self, series: str, number: int) -> bytes | None:
        """Return an entry; None where it is not there."""
        path = self._path(series, number)
        try:
            self._refuse_another_place()
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnknown(self._said(error)) from error

    def newest(self, room: str) -> dict[str, Entry]:
        """Return the newest entry of each series below a room."""
        folder = self.folder.joinpath(*parts_of(room))
        try:
            self._refuse_another_place()
            found = _numbers(folder, room)
            return {series: entry for series, number in found.items() if (entry := self._entry(series, number))}
        except OSError as error:
            raise StoreUnknown(self._said(error)) from error

    def drop(self, series: str, number: int) -> None:
        """Delete an entry; do nothing where there is none."""
        try:
            self._path(series, number).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnknown(self._said(error)) from error

    def _entry(self, series: str, number: int) -> Entry | None:
        known = self._known.get(series)
        if known is None or known.number != number:
            try:
                value = self._path(series, number).read_bytes()
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ESTALE):  # dropped meanwhile, so it was not the newest
                    return None
                raise
            known = self._known[series] = Entry(number, value)
        return known

    def _path(self, series: str, number: int) -> Path:
        *above, last = parts_of(series)
        return self.folder.joinpath(*above, f"{last}.{number:0{_DIGITS}}")

    def _make_folders(self, folder: Path) -> None:
        """Make the folders of a series, for their owner alone, and their names durable."""
        if folder == self.folder or folder.is_dir():
            return
        self._make_folders(folder.parent)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_folder(folder.parent)

    def _refuse_another_place(self) -> None:
        """Refuse to go on in what lies under a file system that is not mounted any more, or in another store."""
        path = self._path(OF_VERSION, 1)
        try:
            found = path.stat()
        except FileNotFoundError:
            if self._mark is None:
                return
            raise OSError(errno.ESTALE, "the store is gone from this folder") from None
        mark = found.st_dev, found.st_ino
        if mark != self._mark:  # at first, and when it was mounted anew
            version = path.read_bytes()
            if self._version not in (b"", version):
                raise OSError(errno.ESTALE, "another store lies in this folder now")
            self._mark, self._version = mark, version

    def _try_links(self) -> None:
        """Put a file and link it, as each entry will be; delete what a death left long ago."""
        probe = self.folder / f".probe-{secrets.token_hex(8)}"
        try:
            _linked(probe, b"")
        finally:
            probe.unlink(missing_ok=True)
        _sweep(self.folder)

    def _said(self, error: OSError) -> str:
        return f"{self.folder}: {error.strerror or error}"


def _linked(path: Path, value: bytes) -> bool:
    """Write a draft and give it a name; return False where another file has the name."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_DRAFT}")
    descriptor = private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            write_all(descriptor, [value])
            os.fsync(descriptor)
            try:
                os.link(draft, path)
            except FileExistsError:  # a network file system says so of its own link, too, when an answer was lost
                ours = os.fstat(descriptor).st_nlink >= _LINKED
            else:
                ours = True
            sync_folder(path.parent)  # also of an entry put before, whose own sync may have failed
            return ours
        finally:
            os.close(descriptor)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _numbers(folder: Path, room: str) -> dict[str, int]:
    """Return the highest number of each series in a folder and below it."""
    found: dict[str, int] = {}
    try:
        names = list(os.scandir(folder))
    except FileNotFoundError:
        return found
    for entry in names:
        last, _, number = entry.name.partition(".")
        if not last:
            continue
        series = f"{room}/{last}"
        if number.isdecimal():
            found[series] = max(found.get(series, 0), int(number))
        elif not number and entry.is_dir(follow_symlinks=False):
            found |= _numbers(folder / last, series)
    return found


def _sweep(folder: Path) -> None:
    """Delete drafts that were left by processes that died. What cannot be deleted does no harm."""
    last = time.time() - _ABANDONED_S
    for root, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(_DRAFT):
                path = Path(root, name)
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < last:
                        path.unlink()
