"""The ids of all items over their shards: that each is there once, and which shard has it.

An id is known by eight bytes of its hash. Of a hundred million ids two may have the same; so whoever finds one looks
for the id itself in the shard, or in each of the few that are named. The index is a file of entries in ascending order,
each a hash and two bytes of the number of a shard, in which an id is found by bisection.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import blake2b
from itertools import groupby, takewhile
from pathlib import Path

from pipeline.cluster.layout import IDS
from pipeline.errors import JournalError
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole

_HASH = 8  # bytes
_ENTRY = _HASH + 2
_EMPTY = blake2b(digest_size=_HASH)
_BUCKETS = 256  # by the first byte of the hash: one of them is in memory at a time
_AT_ONCE = 64 << 10  # bytes of a bucket that are written together


def hash_of(id_: str) -> bytes:
    """Return the hash under which an id is known."""
    hash_ = _EMPTY.copy()  # which takes less time than to make one
    hash_.update(id_.encode("utf-8", "surrogatepass"))
    return hash_.digest()


class IdBuckets:
    """The entries of all ids, in files that each hold a range of them until all are known.

    waiting   entries that are not written yet, by their first byte
    """

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder that is there and empty."""
        self.waiting = [bytearray() for _ in range(_BUCKETS)]
        self._folder = folder

    def write_long(self) -> None:
        """Write the entries of each range that has many."""
        for number, bucket in enumerate(self.waiting):
            if len(bucket) >= _AT_ONCE:
                self._write(number)

    def ranges(self) -> Iterator[list[bytes]]:
        """Yield the entries, each once, in ascending order, a range at a time; only once."""
        for number in range(_BUCKETS):
            self._write(number)
            file = self._folder / f"{number:02x}"
            data = file.read_bytes() if file.exists() else b""
            yield sorted({data[at : at + _ENTRY] for at in range(0, len(data), _ENTRY)})
            file.unlink(missing_ok=True)

    def _write(self, number: int) -> None:
        if self.waiting[number]:
            with (self._folder / f"{number:02x}").open("ab") as file:
                file.write(self.waiting[number])
            self.waiting[number].clear()


def write_index(file: Path, ranges: Iterable[list[bytes]]) -> dict[bytes, list[int]]:
    """Write the index of ids; return the hashes that stand in more than one shard, with these shards.

    Raises OSError where it cannot be written.
    """
    several: dict[bytes, list[int]] = {}

    def written() -> Iterator[bytes]:
        for entries in ranges:
            several.update(_in_several(entries))
            yield b"".join(entries)

    write_whole(file, written())
    return several


def _in_several(entries: list[bytes]) -> dict[bytes, list[int]]:
    if len({entry[:_HASH] for entry in entries}) == len(entries):
        return {}
    by_hash = {hash_: [*map(_shard, same)] for hash_, same in groupby(entries, key=_hash)}
    return {hash_: shards for hash_, shards in by_hash.items() if len(shards) > 1}


def _hash(entry: bytes) -> bytes:
    return entry[:_HASH]


def _shard(entry: bytes) -> int:
    return int.from_bytes(entry[_HASH:], "big")


def shards_of(run: Path, id_: str) -> list[int]:
    """Return the shards of a run that may have an item: most often one; none for an id that was not listed.

    Raises JournalError where the index is not there, or damaged.
    """
    wanted = hash_of(id_)
    try:
        with (run / IDS).open("rb") as file:
            entry, places = partial(_read_entry, file.fileno()), range(_entries_in(file.fileno()))
            first = bisect_left(places, wanted, key=entry)
            return [*map(_shard, takewhile(lambda one: one.startswith(wanted), map(entry, places[first:])))]
    except OSError as exc:
        raise JournalError(Fault(f"cannot be read: {exc.strerror or exc}", where=str(run / IDS))) from exc


def _entries_in(descriptor: int) -> int:
    number, over = divmod(os.fstat(descriptor).st_size, _ENTRY)
    if over:
        raise OSError("the file ends within an entry")
    return number


def _read_entry(descriptor: int, number: int) -> bytes:
    return os.pread(descriptor, _ENTRY, number * _ENTRY)
