"""A local picture, read and checked before anything is paid for it."""

import hashlib
import io
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pipeline.picture_formats import FORMATS, JPG, named_by_pillow
from pipeline.sources import fitting
from pipeline.sources.archives import BadArchive, leaves_its_archive, members_of, read_member, split_name
from pipeline.sources.decoding import PictureRefused, decoded_as, opened, without_texts
from pipeline.sources.fitting import MOST, MOST_TO_READ, why_fitted
from pipeline.sources.made_ahead import MadeAhead
from pipeline.sources.metadata import without_metadata
from pipeline.sources.names import on_disk
from pipeline.sources.pixels import pixels_of
from pipeline.sources.stamps import Stamp
from pipeline.sources.unreadable import FIT

MAX_BYTES = MOST


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is uploaded.

    data: the file without its metadata
    file_type: `jpeg` or `png`, by its content and not by its name
    sha256: digest of the file as it lies there, in hexadecimal
    """

    data: bytes
    file_type: str
    sha256: str


def read_picture(root: Path, source: str, *, fit: bool = False, ahead: MadeAhead | None = None) -> Picture:
    """Read the picture `source` inside `root`, and with `fit` make it fit for the vendor, unless that was done `ahead`.

    Raises PictureRefused, which says what to do; nothing was paid then.
    """
    data = read_inside(root, source, most_of(fit=fit))
    sha256 = hashlib.sha256(data).hexdigest()
    if fit:
        made, file_type, _ = (ahead and ahead.find(sha256)) or fitting.fit(data)
    else:
        file_type = decoded_as(data).sent_as
        made = without_metadata(data)
    return Picture(made, file_type, sha256)


def preview_picture(root: Path, source: str) -> Picture:
    """Read a picture of any kind as a small JPG for people. Raises PictureRefused."""
    data = read_inside(root, source, MOST_TO_READ)
    return Picture(fitting.preview(data), JPG.sent_as, hashlib.sha256(data).hexdigest())


def look_at_picture(root: Path, source: str, *, fit: bool = False) -> str:
    """Decode a picture and return why it would be made fit; "" where it is sent as it is. Raises PictureRefused.

    Without `fit` the only such reason is that it is turned: every other one refuses it.
    """
    return why_not_as_it_is(read_inside(root, source, most_of(fit=fit)), fit=fit)


def why_not_as_it_is(data: bytes, *, fit: bool) -> str:
    """Decode a picture and return why it would be made fit, as `look_at_picture` does. Raises PictureRefused."""
    if not fit:
        return why_fitted(without_metadata(data), decoded_as(data))
    with opened(without_texts(data), FORMATS, whole=data) as image:
        kind = named_by_pillow(image.format)
        image.draft(image.mode, (image.width // 8, image.height // 8))
        image.load()
    return why_fitted(without_metadata(data), kind)


def most_of(*, fit: bool) -> int:
    """Return how many bytes a file may have."""
    return MOST_TO_READ if fit else MAX_BYTES


def digest_of(root: Path, source: str, most: int = MAX_BYTES) -> str | None:
    """Return the SHA-256 of a picture inside `root`, sound or not; None where it cannot be read, or has more bytes."""
    try:
        return hashlib.sha256(read_inside(root, source, most)).hexdigest()
    except PictureRefused:
        return None


def digest_of_pixels(root: Path, source: str, *, fit: bool) -> str | None:
    """Return the digest of the pixels of a picture inside `root`; None where it cannot be read or decoded."""
    try:
        return pixels_of(read_inside(root, source, most_of(fit=fit)), fit=fit)
    except PictureRefused:
        return None


def is_there(root: Path, source: str) -> bool:
    """Return whether there is a file of this name, or a member of an archive."""
    if (zipped := split_name(source)) is None:
        return os.path.isfile(root / on_disk(source))
    try:
        return zipped[1] in members_of(locate(root, zipped[0]))
    except (OSError, RuntimeError, ValueError, BadArchive):
        return False


def locate(root: Path, source: str) -> Path:
    """Return where the picture `source` lies, all links followed. Raises OSError, RuntimeError or ValueError."""
    return (root / on_disk(source)).resolve(strict=True)


def open_inside(path: Path) -> io.BufferedReader:
    """Open a file that `locate` found. Raises OSError."""
    # Links inside the root were followed already; one put there since is not. A pipe must not wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags), "rb")


def stamp_of(root: Path, source: str) -> Stamp:
    """Take the stamp of a picture inside `root`; one in an archive has that of the archive and of its name in it.

    Raises OSError, RuntimeError or ValueError where it is not there, or is none.
    """
    archive, member = split_name(source) or (source, "")
    path = locate(root, archive)
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or not path.is_relative_to(root):
        raise ValueError("no picture inside the root")
    if not member:
        return Stamp.of(status)
    try:
        size = members_of(path)[member].size
    except (BadArchive, KeyError):
        raise ValueError("no member of the archive") from None
    inode = hashlib.blake2b(f"{status.st_ino}/{member}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return Stamp(status.st_dev, int.from_bytes(inode, "big"), size, status.st_mtime_ns)


def _read_zipped(root: Path, archive: str, member: str, most: int) -> bytes:
    try:
        if leaves_its_archive(member):
            raise PictureRefused("has a name that leaves its archive; pack it anew")
        path = locate(root, archive)
        if not path.is_relative_to(root):
            raise PictureRefused("is in an archive that is a link out of the job's root; copy it there, or set `root:`")
        found = members_of(path).get(member)
        if found is None:
            raise PictureRefused(f"is not in {archive}; check its name")
        data = read_member(path, found, most=most)
    except BadArchive as exc:
        raise PictureRefused(f"is {exc}") from None
    except (OSError, RuntimeError, ValueError):
        raise PictureRefused("cannot be read: check the archive and its permissions", lasts=False) from None
    if len(data) > most:
        raise _too_large(max(found.size, len(data)), most)
    return data


def _too_large(size: int, most: int) -> PictureRefused:
    shown = f"{math.ceil(size / 102.4) / 10:,.1f} KB"  # never "4,096.0 KB; at most 4,096 KB"
    allowed = f"at most {most >> 10:,} KB"
    if most > MAX_BYTES:
        return PictureRefused(f"is {shown}; {allowed}, also to be made smaller: save it smaller")
    what = f"is {shown}; {allowed}: write `{FIT}` to send it smaller, at the best quality that fits"
    return PictureRefused(what, fit_helps=True)


def read_inside(root: Path, source: str, most: int) -> bytes:
    """Read a picture inside `root`. Raises PictureRefused where it cannot be read, or has more bytes."""
    if (zipped := split_name(source)) is not None:
        return _read_zipped(root, *zipped, most)
    try:
        path = locate(root, source)
        if not path.is_relative_to(root):
            raise PictureRefused("is a link that leaves the job's root; copy the picture into it, or set `root:`")
        with open_inside(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PictureRefused("is no regular file")
            data = file.read(most + 1)
            if len(data) > most:
                raise _too_large(status.st_size, most)
            return data
    except OSError as exc:
        raise PictureRefused(
            f"cannot be read: {exc.strerror}; check the path and the permissions", lasts=False
        ) from None
    except (RuntimeError, ValueError):  # a link to itself (up to Python 3.12), and a NUL in a name
        raise PictureRefused("cannot be read: the path leads nowhere; check the path", lasts=False) from None
