"""Items as they are kept for a shard of a job: one JSON line each, with all that was found out when they were listed.

A shard is read by itself: what only the whole list tells, such as the id of a picture that has none, is settled here.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import SpecError
from pipeline.models import Item, Problem
from pipeline.system.fault import Fault


class KeptItem(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An item as one line.

    n        its place among all items of the job, from 0 on
    picture  the identity of its picture; None when that is its source
    own      the digest of its own bytes, where `picture` is of another file with the same pixels
    """

    n: int
    id: str
    source: str
    origin: str
    labels: dict[str, str] = {}
    local: bool = False
    picture: str | None = None
    problem: Problem | None = None
    own: str = ""

    @property
    def item(self) -> Item:
        """The item."""
        picture = self.source if self.picture is None else self.picture
        return Item(self.id, self.source, self.local, self.origin, self.labels, self.problem, picture, self.own)


_DECODER = msgspec.json.Decoder(KeptItem)
_ENCODER = msgspec.json.Encoder()


def write_item(n: int, item: Item) -> bytes:
    """Write an item as a line."""
    return _ENCODER.encode(_kept(n, item)) + b"\n"


def write_items(first: int, items: Iterable[Item]) -> bytes:
    """Write items that follow one another in the job, a line each."""
    return _ENCODER.encode_lines([_kept(n, item) for n, item in enumerate(items, first)])


def _kept(n: int, item: Item) -> KeptItem:
    source = item.source
    if not source.isascii():
        source = source.encode("utf-8", "backslashreplace").decode()  # a bad row's may be no text
    picture = None if item.picture == source else item.picture
    return KeptItem(n, item.id, source, item.origin, item.labels, item.local, picture, item.problem, item.own)


def read_kept(line: bytes) -> KeptItem:
    """Read a line. Raises msgspec.MsgspecError where it is none."""
    return _DECODER.decode(line)


def kept_items(file: Path) -> Iterator[Item]:
    """Yield the items of a shard. Raises SpecError when they cannot be read, or were changed by others."""
    number = 0
    try:
        with file.open("rb") as lines:
            for line in lines:
                number += 1
                yield _DECODER.decode(line).item
    except OSError as exc:
        raise SpecError(Fault(f"the items of a shard cannot be read: {exc.strerror}", where=str(file))) from None
    except msgspec.MsgspecError:
        what = "this is no item; the file was changed after the job was split: put it back as it was"
        raise SpecError(Fault(what, where=f"{file}:{number}")) from None
