"""The lines of a text file, one in memory at a time, whatever it was written with."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pipeline.job.images import ImageEntry
from pipeline.sources.encodings import encoding_of, error_handler, refuse_other_files

MAX_LINE = 1 << 20  # characters
_HEAD = 512  # bytes that are looked at before anything is read
_BOM = "\ufeff"
_NO_TEXT = re.compile("[\ud800-\udfff]")  # what stands for a byte that is no text of the encoding
_END = "\x1a\0"  # what old programs, and disks that lost power, leave behind the last line


class LongLine(ValueError):
    """A line that no row is as long as; it was passed over."""


class Lines:
    """The lines of an open file. `number` is that of the last one; after a LongLine the next one can be asked for.

    encoding   how the file is read, which its byte order mark may have decided
    """

    def __init__(self, text: TextIO, encoding: str) -> None:
        self.number = 0
        self.encoding = encoding
        self._text = text

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if line[-1] == "\n" and self.number > 1:  # most lines
            return line
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            length = len(line)
            while (more := self._text.readline(MAX_LINE)) and not more.endswith(("\n", "\r")):
                length += len(more)
            if not line.strip(_END + " "):
                return "\n"
            raise LongLine(f"a line of {(length + len(more)) / MAX_LINE:,.1f} MiB; a row has at most 1 MiB")
        if self.number == 1:
            line = line.lstrip(_BOM)
        return line if line.endswith(("\n", "\r")) else line.rstrip(_END) or "\n"


@contextlib.contextmanager
def open_lines(file: Path, entry: ImageEntry) -> Iterator[Lines]:
    """Open a text file for its lines. A byte that is no text of its encoding spoils one row, not the whole file.

    Raises OSError, and SpecError where the file is no text.
    """
    with file.open("rb") as raw:
        head = raw.read(_HEAD)
    refuse_other_files(head, file)
    encoding = encoding_of(head, entry.encoding)
    with file.open(encoding=encoding, errors=error_handler(encoding), newline="") as text:
        yield Lines(text, encoding)


def fault_of_text(text: str, encoding: str) -> str:
    """Say that some bytes were no text of the file's encoding; "" when all were."""
    if not text.isascii() and _NO_TEXT.search(text):
        return f"not {encoding} text; save the file as UTF-8 or set `encoding:` (for example gb18030)"
    return ""
