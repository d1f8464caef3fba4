"""A local picture, read and checked before anything is paid for it."""

import hashlib
import io
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Code, ItemRefused
from pipeline.sources.names import on_disk

MAX_BYTES = 4096 << 10  # the vendor's limit for P010
MAX_PIXELS = 100_000_000
MIN_SIDE = 16  # pixels


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is uploaded.

    data: the whole file
    file_type: `jpeg` or `png`, by its content and not by its name
    sha256: digest of `data`, in hexadecimal
    """

    data: bytes
    file_type: str
    sha256: str


def read_picture(root: Path, source: str) -> Picture:
    """Read the picture `source` inside `root`. Raises ItemRefused, which says what to do; nothing was paid then."""
    data = _read_inside(root, source)
    return Picture(data, _type_of(data), hashlib.sha256(data).hexdigest())


def locate(root: Path, source: str) -> Path:
    """Return where the picture `source` lies, all links followed. Raises OSError, RuntimeError or ValueError."""
    return (root / on_disk(source)).resolve(strict=True)


def open_inside(path: Path) -> io.BufferedReader:
    """Open a file that `locate` found. Raises OSError."""
    # Links inside the root were followed already; one put there since is not. A pipe must not wait for its writer.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags), "rb")


def _read_inside(root: Path, source: str) -> bytes:
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
                size = f"{status.st_size / 1024:,.1f} KB"
                raise _refused(f"is {size}; at most 4,096 KB: save it smaller or with stronger compression")
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
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
                    raise _refused(
                        f"is {width} x {height} pixels; allowed: sides of {MIN_SIDE} and more, 100 million pixels"
                    )
                image.load()
                return "png" if image.format == "PNG" else "jpeg"  # Pillow calls a camera's JPG with a preview MPO
    except ItemRefused:
        raise
    except Image.DecompressionBombError:
        raise _refused("has more than 100 million pixels; save it smaller") from None
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        raise _refused("is no readable JPG or PNG; open it in a picture program and save it again as JPG") from None


def _refused(why: str) -> ItemRefused:
    return ItemRefused(f"the picture {why}", code=Code.PICTURE, sent=False)
