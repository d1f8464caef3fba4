"""The marks of a page: how many items stood where when it was written, and how the run stood then.

`pipeline status` sees by them whether the page still says what the journal says. A run that goes on writes them anew
every few minutes, in the page that is there.
"""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from pipeline.system.files import write_whole

_MARK = re.compile(rb'<meta name="pipeline-items" content="([^"]{0,500})">')
_NOW = re.compile(rb'<script type="application/json" id="now">[^<]{0,2000}</script>')
_HEAD_BYTES = 4096
_AT_ONCE = 1 << 20


def marks(counts: Mapping[str, int], state: str) -> str:
    """Write the counts of a page and the state of its run."""
    return " ".join([f"{word}={number}" for word, number in sorted(counts.items()) if number] + [state])


def now_block(counts: Mapping[str, int], state: str, as_of: str) -> str:
    """Write the same for the page's script, with the time that it tells of."""
    return json.dumps({"counts": dict(counts), "state": state, "asOf": as_of}).replace("<", "\\u003c")


def read_marks(page: Path) -> str | None:
    """Read the marks of a page; None where there is no page, or one of a version that left none."""
    try:
        with page.open("rb") as file:
            found = _MARK.search(file.read(_HEAD_BYTES))
    except OSError:
        return None
    return found[1].decode("ascii", "replace") if found else None


def put_marks(page: Path, counts: Mapping[str, int], state: str, as_of: str) -> bool:
    """Write new marks into a page; return False where there is none that takes them. Raises OSError."""
    try:
        with page.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            head, marked = _MARK.subn(
                lambda _: f'<meta name="pipeline-items" content="{marks(counts, state)}">'.encode(), head, count=1
            )
            now = f'<script type="application/json" id="now">{now_block(counts, state, as_of)}</script>'.encode()
            head, told = _NOW.subn(lambda _: now, head, count=1)
            if not (marked and told):
                return False
            write_whole(page, _rest(head, file, page), durable=False, several_writers=True)
    except FileNotFoundError:
        return False
    return True


def _rest(head: bytes, file: BinaryIO, page: Path) -> Iterator[bytes]:
    yield head
    while some := file.read(_AT_ONCE):
        yield some
    if not os.path.samestat(os.fstat(file.fileno()), page.stat()):
        raise InterruptedError(errno.EINTR, "another page took its place meanwhile")
