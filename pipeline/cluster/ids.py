"""The ids of all items over their shards: that each is there once, and which shard has it.

An id is known by eight bytes of its hash. Of a hundred million ids two may have the same; so whoever finds one looks
for the id itself in the shard, or in each of the few that are named.
"""

import errno
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import blake2b
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

from pipeline.cluster.layout import IDS
from pipeline.errors import JournalError
from pipeline.system.fault import Fault

_HASH = 8  # bytes
_EMPTY = blake2b(digest_size=_HASH)
_ENTRY = struct.Struct(">qH")  # the hash, and the number of the shard
_BUCKETS = 256  # by the first byte of the hash: one of them is in memory at a time
_AT_ONCE = 64 << 10  # bytes of a bucket that are written together
_ROWS = 50  # that one statement inserts: as many statements as rows take twice the time
_INSERT = "INSERT INTO ids VALUES (?, ?)"
_INSERT_ROWS = f"{_INSERT}{', (?, ?)' * (_ROWS - 1)}"


def hash_of(id_: str) -> bytes:
    """Return the hash under which an id is known."""
    hash_ = _EMPTY.copy()  # which takes less time than to make one
    hash_.update(id_.encode("utf-8", "surrogatepass"))
    return hash_.digest()


class IdBuckets:
    """The hashes of all ids with their shards, in files that each hold a range of them.

    waiting   entries that are not written yet, by the first byte of their hash: the hash and two bytes of the shard
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

    def ranges(self) -> Iterator[list[tuple[int, int]]]:
        """Yield hashes with their shards, each pair once, in ascending order, a range at a time; only once."""
        for number in (*range(_BUCKETS // 2, _BUCKETS), *range(_BUCKETS // 2)):  # as signed numbers, as SQLite has them
            self._write(number)
            file = self._folder / f"{number:02x}"
            data = file.read_bytes() if file.exists() else b""
            yield sorted(set(_ENTRY.iter_unpack(data)))
            file.unlink(missing_ok=True)

    def _write(self, number: int) -> None:
        if self.waiting[number]:
            with (self._folder / f"{number:02x}").open("ab") as file:
                file.write(self.waiting[number])
            self.waiting[number].clear()


def write_index(file: Path, ranges: Iterable[list[tuple[int, int]]]) -> dict[bytes, list[int]]:
    """Write the index of ids; return the hashes that stand in more than one shard, with these shards.

    Raises OSError where it cannot be written.
    """
    try:
        return _write_index(file, ranges)
    except sqlite3.Error as exc:
        raise OSError(errno.EIO, str(exc), str(file)) from exc


def _write_index(file: Path, ranges: Iterable[list[tuple[int, int]]]) -> dict[bytes, list[int]]:
    several: dict[bytes, list[int]] = {}
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")  # a draft: a kill leaves nothing that anybody reads
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.execute(
            "CREATE TABLE ids (hash INTEGER NOT NULL, shard INTEGER NOT NULL, PRIMARY KEY (hash, shard)) WITHOUT ROWID"
        )
        for pairs in ranges:
            together = len(pairs) // _ROWS * _ROWS
            rows = (pairs[at : at + _ROWS] for at in range(0, together, _ROWS))
            db.executemany(_INSERT_ROWS, map(list, map(chain.from_iterable, rows)))
            db.executemany(_INSERT, pairs[together:])
            several |= _in_several(pairs)
        db.execute("COMMIT")
    return several


def _in_several(pairs: list[tuple[int, int]]) -> dict[bytes, list[int]]:
    if len({hash_ for hash_, _ in pairs}) == len(pairs):
        return {}
    by_hash = {hash_: [shard for _, shard in same] for hash_, same in groupby(pairs, key=itemgetter(0))}
    return {hash_.to_bytes(_HASH, "big", signed=True): shards for hash_, shards in by_hash.items() if len(shards) > 1}


def shards_of(run: Path, id_: str) -> list[int]:
    """Return the shards of a run that may have an item: most often one; none for an id that was not listed.

    Raises JournalError where the index is not there, or damaged.
    """
    number = int.from_bytes(hash_of(id_), "big", signed=True)
    try:
        with closing(sqlite3.connect(f"{(run / IDS).resolve().as_uri()}?immutable=1", uri=True)) as db:
            return [shard for (shard,) in db.execute("SELECT shard FROM ids WHERE hash = ? ORDER BY shard", (number,))]
    except sqlite3.Error as exc:
        raise JournalError(Fault(f"cannot be read: {exc}", where=str(run / IDS))) from exc
