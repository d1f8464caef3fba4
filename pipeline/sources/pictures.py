"""A local picture, looked at before anything is paid for it."""

import hashlib
import io
import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Code, ItemRefused

MAX_BYTES = 4096 << 10  # the vendor's limit for P010
MAX_PIXELS = 100_000_000
MIN_SIDE = 16


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes, its type by content (jpeg or png) and its digest."""

    data: bytes
    file_type: str
    sha256: str


def read_picture(root: Path, source: str) -> Picture:
    """Read a picture inside `root`. Raises ItemRefused saying what to do; nothing is paid then."""
    data = _read_inside(root, source)
    return Picture(data, _type_of(data), hashlib.sha256(data).hexdigest())


def _read_inside(root: Path, source: str) -> bytes:
    path = root / source
    try:
        if not path.resolve(strict=True).is_relative_to(root):
            raise _refused("a link that leaves the job's root; copy the picture into it, or set `root:`")
        # Links inside the root are fine; the resolved path is opened without following another.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path.resolve(strict=True), flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _refused("no regular file")
            data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise _refused(
                    f"{status.st_size / 1024:,.1f} KB; at most 4,096 KB: save it smaller or with stronger compression"
                )
            return data
    except OSError as exc:
        raise _refused(f"cannot be read: {exc.strerror}; check the path and the permissions") from None
    except (RuntimeError, ValueError):  # Python 3.11's words for a link to itself, and for a NUL in a name
        raise _refused("cannot be read: the path leads nowhere; check the path") from None


def _type_of(data: bytes) -> str:
    from PIL import Image  # heavy, and only jobs with local pictures need it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata in a picture is no concern of the person who reads stderr
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                width, height = image.size
                if width * height > MAX_PIXELS or min(width, height) < MIN_SIDE:
                    raise _refused(
                        f"{width} x {height} pixels; allowed: sides of {MIN_SIDE} and more, 100 million pixels"
                    )
                image.load()
                return "png" if image.format == "PNG" else "jpeg"  # a camera's JPG with a preview calls itself MPO
    except ItemRefused:
        raise
    except Image.DecompressionBombError:
        raise _refused("has more than 100 million pixels; save it smaller") from None
    except Exception:  # Pillow raises many kinds for broken files; each means the same here
        raise _refused("no readable JPG or PNG; open it in a picture program and save it again as JPG") from None


def _refused(why: str) -> ItemRefused:
    return ItemRefused(
        f"the picture is {why}" if why[0].isdigit() or why[:2] in ("a ", "no") else f"the picture {why}",
        code=Code.PICTURE,
        sent=False,
    )
