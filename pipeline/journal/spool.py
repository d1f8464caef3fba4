"""Hits between their search and their settlement: append-only segments, so that a resumed run pays no search twice.

They are written when their answer comes. Nothing is synced here: the page cache survives kill -9, and a power loss
costs a repeated, counted search. A segment is deleted when the last item that has hits in it is settled.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.journal.sql.rows import SearchNote, SpoolRef
from pipeline.system.checksum import crc32, joined
from pipeline.system.files import private, write_all

SEGMENT_BYTES = 32 << 20
_CRC_BYTES = 4


class Spool:
    """The segment files of one run directory; used by the writing thread alone."""

    def __init__(self, folder: Path, live: Iterable[tuple[int, int]] = ()) -> None:
        """Keep the segments in which `live` counts items that still have hits; delete the others."""
        self._folder = folder
        self._live = Counter(dict(live))
        self._held: dict[int, int] = {}  # per `ord`, the segment with the hits of an item that is worked on
        self._before: dict[int, int] = {}  # and the one with fewer pages of them: the journal names it until its commit
        self._fd: int | None = None
        self._segment = max(self._live, default=0)
        self._named: set[int] = set()  # segments whose names survive a power loss
        self._offset = 0
        for path in folder.glob("*.spool"):
            if path.stem.isdecimal() and not self._live[int(path.stem)]:
                path.unlink(missing_ok=True)

    def append(self, array: bytes, *, mark: bytes) -> SpoolRef:
        """Write hits; return where they lie. `mark` names their item: a power loss can bring an old segment back."""
        return self.append_all([(array, crc32(array), mark)])[0]

    def append_all(self, marked: Sequence[tuple[bytes, int, bytes]]) -> list[SpoolRef]:
        """Write the hits of many items at once, each with its CRC-32 and its mark; return where they lie."""
        if self._fd is None or self._offset > SEGMENT_BYTES:
            self._next_segment()
        assert self._fd is not None
        refs: list[SpoolRef] = []
        parts: list[bytes] = []
        for array, crc, mark in marked:
            refs.append(SpoolRef(self._segment, self._offset, _CRC_BYTES + len(array)))
            parts += (_check(array, crc, mark), array)
            self._offset += _CRC_BYTES + len(array)
        write_all(self._fd, parts)
        self._live[self._segment] += len(refs)
        return refs

    def read(self, ref: SpoolRef, *, mark: bytes) -> bytes | None:
        """Read hits back; None when a power loss took them, or left others there."""
        return read_spooled(self._folder, ref, mark=mark)

    def hold(self, ord_: int, segment: int) -> None:
        """Note where the hits of an item lie that is worked on, so that they are not written again."""
        self._held[ord_] = segment

    def holds(self, ord_: int) -> bool:
        """Return whether the hits of an item that is worked on lie here."""
        return ord_ in self._held

    def replace(self, ord_: int, segment: int) -> None:
        """Note where the hits of an item lie now, with one more page; what lay here before the last page is released.

        The hits of just before stay until the next page, or until the item needs none: a death finds one or the other.
        """
        if (older := self._before.pop(ord_, None)) is not None:
            self.release(older)
        if ord_ in self._held:
            self._before[ord_] = self._held[ord_]
        self._held[ord_] = segment

    def sync(self, ords: Iterable[int]) -> None:
        """Make the hits of these items survive a power loss, which they do by themselves only some time later."""
        segments = {self._held[ord_] for ord_ in ords if ord_ in self._held}
        for segment in segments:
            descriptor = self._fd if segment == self._segment else None
            if descriptor is not None:
                os.fsync(descriptor)
            else:
                _sync(self._path(segment))
        if new := segments - self._named:
            _sync(self._folder)
            _sync(self._folder.parent)
            self._named |= new

    def drop(self, ord_: int) -> None:
        """Release the hits of an item that is worked on, if it has any."""
        for places in (self._held, self._before):
            if (segment := places.pop(ord_, None)) is not None:
                self.release(segment)

    def release(self, segment: int) -> None:
        """Count one item of a segment as settled; delete the segment with the last."""
        self._live[segment] -= 1
        if self._live[segment] <= 0:
            del self._live[segment]
            if segment != self._segment or self._fd is None:
                self._path(segment).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the open segment; delete it when no item needs it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            if not self._live[self._segment]:
                self._path(self._segment).unlink(missing_ok=True)

    def _next_segment(self) -> None:
        self.close()
        self._segment += 1
        self._offset = 0
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._fd = private(self._path(self._segment), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def _path(self, segment: int) -> Path:
        return _segment_file(self._folder, segment)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_spooled(folder: Path, ref: SpoolRef, *, mark: bytes) -> bytes | None:
    """Read hits from the segments in `folder`, changing nothing; None where they are not there, or are others."""
    try:
        with _segment_file(folder, ref.segment).open("rb") as file:
            file.seek(ref.offset)
            data = file.read(ref.size)
    except OSError:
        return None
    array = data[_CRC_BYTES:]
    whole = len(data) == ref.size and _check(array, crc32(array), mark) == data[:_CRC_BYTES]
    return array if whole else None


def _segment_file(folder: Path, segment: int) -> Path:
    return folder / f"{segment:08d}.spool"


def mark_of(ord_: int, note: SearchNote) -> bytes:
    """Say whose hits they are, and from which search."""
    return f"{ord_} {note.request_id} {note.at!r}".encode()


def _check(array: bytes, crc: int, mark: bytes) -> bytes:
    return joined(crc32(mark), crc, len(array)).to_bytes(_CRC_BYTES, "big")
