"""The pictures kept in a run directory, under `pictures/`: small copies named by the digest of what was fetched.

`index.jsonl` says which picture belongs to which link or product. Nothing is synced: after a power loss some may be
missing, and a picture is never worth a paid call's time.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from pipeline.system.files import append_line, write_whole

FOLDER = "pictures"
_INDEX = "index.jsonl"


class _Entry(msgspec.Struct, frozen=True):
    key: str
    sha256: str  # of the bytes that were fetched


_ENTRY = msgspec.json.Decoder(_Entry)


def key_of_link(url: str) -> str:
    """Name a picture by its link: without scheme and query, in which only the signature changes."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _short(url)
    return _short(f"{(parts.hostname or '').lower()}{parts.path}")


def key_of_product(sha256: str) -> str:
    """Name the picture of a product by the digest of its file."""
    return _short(f"sha256 {sha256}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


class PictureStore:
    """The kept pictures of one run directory; one process writes, others may read meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._known: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError), (self._folder / _INDEX).open("rb") as lines:
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):  # cut short by a kill
                    entry = _ENTRY.decode(line)
                    self._known[entry.key] = entry.sha256

    def __contains__(self, key: str) -> bool:
        return key in self._known

    def __len__(self) -> int:
        return len(self._known)

    def of(self, key: str, side: int) -> bytes | None:
        """Return a kept picture as WebP, with a longer side of at most `side` pixels; None where none is kept."""
        digest = self._known.get(key)
        if digest is None:
            return None
        with contextlib.suppress(OSError):
            return self._file(digest, side).read_bytes()
        return None

    def put(self, key: str, data: bytes, copies: Sequence[tuple[int, bytes]]) -> None:
        """Keep the copies of a picture, each with its side; `data` is what was fetched. Raises OSError."""
        digest = hashlib.sha256(data).hexdigest()
        for side, copy in copies:
            file = self._file(digest, side)
            if not file.exists():
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(file, copy, durable=False)
        line = msgspec.json.encode(_Entry(key, digest)) + b"\n"
        append_line(self._folder / _INDEX, line, durable=False)
        self._known[key] = digest

    def _file(self, digest: str, side: int) -> Path:
        return self._folder / digest[:2] / f"{digest}.{side}.webp"
