"""A local picture, read and checked before anything is paid for it."""

import hashlib
import io
import math
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Code, ItemRefused
from pipeline.sources.archives import BadArchive, members_of, read_member
from pipeline.sources.kinds import describe
from pipeline.sources.metadata import without_metadata
from pipeline.sources.names import on_disk
from pipeline.sources.stamps import Stamp
from pipeline.sources.zipped import leaves_its_archive, split_name

MAX_BYTES = 4096 << 10  # the vendor's limit for P010
MAX_PIXELS = 100_000_000
MIN_SIDE = 16  # pixels
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")


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


def read_picture(root: Path, source: str) -> Picture:
    """Read the picture `source` inside `root`. Raises ItemRefused, which says what to do; nothing was paid then."""
    data = _read_inside(root, source)
    file_type = _type_of(data)
    return Picture(without_metadata(data), file_type, hashlib.sha256(data).hexdigest())


def digest_of(root: Path, source: str) -> str | None:
    """Return the SHA-256 of a picture inside `root`, sound or not; None where it cannot be read."""
    try:
        return hashlib.sha256(_read_inside(root, source)).hexdigest()
    except ItemRefused:
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


def _read_zipped(root: Path, archive: str, member: str) -> bytes:
    try:
        if leaves_its_archive(member):
            raise _refused("has a name that leaves its archive; pack it anew")
        path = locate(root, archive)
        if not path.is_relative_to(root):
            raise _refused("is in an archive that is a link out of the job's root; copy it there, or set `root:`")
        found = members_of(path).get(member)
        if found is None:
            raise _refused(f"is not in {archive}; check its name")
        data = read_member(path, found, most=MAX_BYTES)
    except BadArchive as exc:
        raise _refused(f"is {exc}") from None
    except (OSError, RuntimeError, ValueError):
        raise _refused("cannot be read: check the archive and its permissions") from None
    if len(data) > MAX_BYTES:
        raise _too_large(max(found.size, len(data)))
    return data


def _too_large(size: int) -> ItemRefused:
    shown = f"{math.ceil(size / 102.4) / 10:,.1f} KB"  # never "4,096.0 KB; at most 4,096 KB"
    return _refused(f"is {shown}; at most 4,096 KB: save it smaller or with stronger compression")


def _read_inside(root: Path, source: str) -> bytes:
    if (zipped := split_name(source)) is not None:
        return _read_zipped(root, *zipped)
    try:
        path = locate(root, source)
        if not path.is_relative_to(root):
            raise _refused("is a link that leaves the job's root; copy the picture into it, or set `root:`")
        with open_inside(path) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _refused("is no regular file")
            data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise _too_large(status.st_size)
            return data
    except OSError as exc:
        raise _refused(f"cannot be read: {exc.strerror}; check the path and the permissions") from None
    except (RuntimeError, ValueError):  # a link to itself (up to Python 3.12), and a NUL in a name
        raise _refused("cannot be read: the path leads nowhere; check the path") from None


def _type_of(data: bytes) -> str:
    from PIL import Image  # heavy, and only jobs with local pictures need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which nobody who runs a job can act on
            with Image.open(io.BytesIO(_without_texts(data)), formats=("JPEG", "PNG")) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
                    raise _refused(
                        f"is {width} x {height} pixels; allowed: sides of {MIN_SIDE} and more, 100 million pixels"
                    )
                image.draft(image.mode, (width // 8, height // 8))  # a JPG is read through, and not drawn in full
                image.load()
                return "png" if image.format == "PNG" else "jpeg"  # Pillow calls a camera's JPG with a preview MPO
    except ItemRefused:
        raise
    except Image.DecompressionBombError:
        raise _refused("has more than 100 million pixels; save it smaller") from None
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        raise _refused(describe(data)) from None


def _without_texts(data: bytes) -> bytes:
    """Leave a PNG's texts and profiles out of what is decoded: Pillow refuses long ones of sound pictures."""
    if not data.startswith(_PNG):
        return data
    kept = [_PNG]
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in _TEXTS:
            kept.append(data[at:end])
        at = end
    return b"".join([*kept, data[at:]])


def _refused(why: str) -> ItemRefused:
    return ItemRefused(f"the picture {why}", code=Code.PICTURE, sent=False)
