"""The items of a job in one stream, then in shards; memory does not grow with them.

all.jsonl   every item in the order of the job, while they are counted
keys        per item eight bytes that decide its shard, and eight that know its id
"""

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from pipeline.cluster.ids import IdBuckets, hash_of
from pipeline.cluster.layout import ITEMS, shard_folder
from pipeline.journal.places import SHARDS
from pipeline.models import Item
from pipeline.sources.kept_items import read_kept, write_item, write_items
from pipeline.sources.pixels import Firsts
from pipeline.system.files import sync_folder, write_whole

ALL, KEYS = "all.jsonl", "keys"
_ENTRY = struct.Struct(">Q8s")
_LINES = 2_000  # that are written together
_MOST_BYTES = 32 << 20  # of lines that wait for their shards' files: not all of these can be open at once


def list_items(items: Iterable[Item], draft: Path) -> int:
    """Write all items in their order, with their keys; return their number."""
    number, left = 0, iter(items)
    with (draft / ALL).open("wb") as all_, (draft / KEYS).open("wb") as known:
        while some := list(islice(left, _LINES)):
            all_.write(write_items(number, some))
            known.write(b"".join(map(hash_of, chain.from_iterable(map(_known_by, some)))))
            number += len(some)
    return number


def _known_by(item: Item) -> tuple[str, str]:
    """Return what items with the same picture have in common, and the id; a row that cannot be used has only this."""
    return (item.id if item.problem is not None else item.identity), item.id


class _ShardFiles:
    """The files of all shards, each opened only while something is written to it."""

    def __init__(self, draft: Path, shards: int) -> None:
        self.counts = [0] * shards
        self.waiting: list[list[bytes]] = [[] for _ in range(shards)]
        self._draft = draft
        for shard in range(shards):
            shard_folder(draft, shard).mkdir(parents=True)
            (shard_folder(draft, shard) / ITEMS).touch(0o600)

    def write(self) -> None:
        for shard, lines in enumerate(self.waiting):
            if lines:
                with (shard_folder(self._draft, shard) / ITEMS).open("ab") as file:
                    file.writelines(lines)
                self.counts[shard] += len(lines)
                lines.clear()


def divide(draft: Path, shards: int, ids: IdBuckets) -> list[int]:
    """Divide the items that were listed into shards, each in the order of the job, and note where each id stands.

    Return how many items each shard has.
    """
    files = _ShardFiles(draft, shards)
    names = [shard.to_bytes(2, "big") for shard in range(shards)]
    waiting, noted = files.waiting, ids.waiting
    with (draft / ALL).open("rb") as all_, (draft / KEYS).open("rb") as keys:
        while lines := all_.readlines(_MOST_BYTES):
            entries = _ENTRY.iter_unpack(keys.read(_ENTRY.size * len(lines)))
            for line, (key, hash_) in zip(lines, entries, strict=True):
                shard = key % shards
                waiting[shard].append(line)
                noted[hash_[0]] += hash_ + names[shard]
            files.write()
            ids.write_long()
    for name in (ALL, KEYS):
        (draft / name).unlink()
    return files.counts


def name_firsts(draft: Path, shards: int) -> None:
    """Let each item that is known by its pixels name the bytes of the first one that shows them; that is in its shard.

    The journal of the shard goes by what stands there, and so do all that read it: nobody compares pixels again.
    """
    for shard in range(shards):
        file = shard_folder(draft, shard) / ITEMS
        write_whole(file, _with_firsts(file), durable=False)


def _with_firsts(file: Path) -> Iterator[bytes]:
    firsts = Firsts()
    with file.open("rb") as lines:
        for line in lines:
            kept = read_kept(line)
            yield write_item(kept.n, firsts.named(kept.item))


def make_durable(draft: Path, shards: int) -> None:
    """Sync the shards and their names."""
    for shard in range(shards):
        folder = shard_folder(draft, shard)
        descriptor = os.open(folder / ITEMS, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(folder)
    sync_folder(draft / SHARDS)
    sync_folder(draft)
