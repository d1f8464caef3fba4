"""Pictures that were made fit ahead of their upload, kept by the digest of the file that each was made of.

A cache: whoever does not find a picture here, or not whole, makes it itself, to the same bytes. What another version of
Pillow made is not found, since its bytes may be others.

    <folder>/fit-1-12.0.0-3.1.2/9f/9f86d081...   a line of JSON, then the picture as it is uploaded
"""

import shutil
from functools import cached_property
from pathlib import Path

import msgspec

from pipeline.picture_formats import JPG, PNG
from pipeline.sources.fitting import MOST, Fitted
from pipeline.system.checksum import crc32
from pipeline.system.files import write_whole
from pipeline.system.structs import decode

_FIT = 1  # another number where fitting.py makes other bytes than before
_ROOM = 4 << 30  # bytes that stay free: what is paid must always find room


class _Head(msgspec.Struct, frozen=True):
    file_type: str
    why: str
    crc: int


class MadeAhead:
    """The pictures of a folder; several processes and machines may add to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, sha256: str) -> Fitted | None:
        """Return what was made of the file with this digest; None where that is not here, or is damaged."""
        try:
            head, _, data = self._file(sha256).read_bytes().partition(b"\n")
            known = decode(head, _Head)
        except (OSError, msgspec.MsgspecError):
            return None
        is_whole = known.file_type in (JPG.sent_as, PNG.sent_as) and len(data) <= MOST and crc32(data) == known.crc
        return Fitted(data, known.file_type, known.why) if is_whole else None

    def has(self, sha256: str) -> bool:
        """Return whether there is a file of what was made."""
        return self._file(sha256).is_file()

    def keep(self, sha256: str, fitted: Fitted) -> bool:
        """Keep what was made of the file with this digest; return False where there is no room. Raises OSError."""
        file = self._file(sha256)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(file.parent).free < _ROOM:
            return False
        head = msgspec.json.encode(_Head(fitted.file_type, fitted.why, crc32(fitted.data)))
        write_whole(file, [head, b"\n", fitted.data], durable=False, several_writers=True)
        return True

    def _file(self, sha256: str) -> Path:
        return self._made / sha256[:2] / sha256

    @cached_property
    def _made(self) -> Path:
        import PIL
        from PIL import features

        jpeg = features.version("libjpeg_turbo") or features.version("jpg")
        return self._folder / f"fit-{_FIT}-{PIL.__version__}-{jpeg}"
