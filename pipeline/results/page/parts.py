"""The parts of a page: data in the page itself, or in script files beside it where they are too much for one file.

A page opened from a disk may load scripts that lie beside it, and nothing else: so each part is a script that hands its
data over. The parts of one page have a folder of their own, which is named in the page: pages never mix.
"""

import contextlib
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.system.drafts import SHARED_S
from pipeline.system.files import write_whole

CHUNK = 100  # products in a part
BIG = 25  # products in a part of large pictures
_HANDS_OVER = "reportPart"  # the function of the page's script that takes a part


def encoded(value: Any) -> bytes:
    """Write a value as JSON that may stand in a page: no text in it begins an element."""
    return msgspec.json.encode(value).replace(b"<", b"\\u003c")


def block(name: str, data: bytes) -> bytes:
    """Write data as an element that a browser reads and does not run."""
    return b'<script type="application/json" id="%s">%s</script>\n' % (name.encode(), data)


class Parts:
    """The parts of one page; with `split` its products lie beside it, too."""

    def __init__(self, page: Path, *, split: bool) -> None:
        self.split = split
        self.size = 0  # bytes beside the page
        self.large = 0  # files of large pictures
        self._beside = page.with_suffix("")
        self._name = secrets.token_hex(4)

    @property
    def place(self) -> str:
        """The folder of these parts, relative to the page."""
        return f"{self._beside.name}/{self._name}/"

    def put_chunk(self, number: int, data: bytes) -> bytes:
        """Put the data of a hundred products where they belong; return what stands in the page itself."""
        if not self.split:
            return block(f"part-{number}", data)
        self._write(f"{number:04}.js", [b'%s("part",%d,' % (_HANDS_OVER.encode(), number), data, b");"])
        return b""

    def put_large(self, number: int, data: bytes) -> None:
        """Write the large pictures of some products beside the page."""
        self._write(f"large-{number:04}.js", [b'%s("large",%d,' % (_HANDS_OVER.encode(), number), data, b");"])
        self.large += 1

    def put_index(self, data: Iterable[bytes]) -> Iterator[bytes]:
        """Put the rows of all products where they belong; yield what stands in the page itself."""
        if self.split:
            self._write("index.js", [b'%s("index",0,' % _HANDS_OVER.encode(), *data, b");"])
            return
        yield b'<script type="application/json" id="index">'
        yield from data
        yield b"</script>\n"

    def _write(self, name: str, data: Iterable[bytes]) -> None:
        folder = self._beside / self._name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # After a power loss `pipeline report` writes the page anew; a sync for each of hundreds of files costs seconds.
        write_whole(folder / name, data, durable=False)
        self.size += (folder / name).stat().st_size

    def remove(self) -> None:
        """Remove these parts: their page was not written."""
        shutil.rmtree(self._beside / self._name, ignore_errors=True)

    def remove_older(self) -> None:
        """Remove the parts of pages that were here before; those of one that is being written now stay."""
        last = time.time() - SHARED_S
        with contextlib.suppress(OSError):
            for folder in self._beside.iterdir():
                if folder.name != self._name and (folder.stat().st_mtime < last or not self._is_being_written(folder)):
                    shutil.rmtree(folder, ignore_errors=True)

    def _is_being_written(self, folder: Path) -> bool:
        """Return whether a page that is not there yet may come to name this folder: its parts are newer than ours."""
        ours = self._beside / self._name
        return not ours.exists() or folder.stat().st_mtime > ours.stat().st_mtime
