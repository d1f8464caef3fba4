"""The items of a job in shards; memory does not grow with them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pipeline.cluster.ids import IdBuckets, write_index
from pipeline.cluster.layout import IDS, ITEMS, shard_folder
from pipeline.cluster.listing import Listing, unpacked
from pipeline.journal.places import SHARDS
from pipeline.sources.kept_items import read_kept, write_item
from pipeline.sources.pixels import Firsts
from pipeline.system.files import sync_folder, write_whole

_MOST_BYTES = 32 << 20  # of lines that wait for their shards' files: not all of these can be open at once


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


def divide(listing: Listing, shards: int) -> list[int]:
    """Divide the items that were listed into shards, each in the order of the job; return how many each has."""
    files = _ShardFiles(listing.draft, shards)
    waiting, size = files.waiting, 0
    for lines, keys in listing.blocks():
        for line, (key, _) in zip(lines, unpacked(keys), strict=True):
            waiting[key % shards].append(line)
        size += sum(map(len, lines))
        if size > _MOST_BYTES:
            files.write()
            size = 0
    files.write()
    return files.counts


def index_ids(listing: Listing, shards: int) -> dict[bytes, list[int]]:
    """Write the index of all ids; return the hashes that stand in more than one shard, with these shards.

    Raises OSError where it cannot be written.
    """
    names = [shard.to_bytes(2, "big") for shard in range(shards)]
    folder = listing.draft / "buckets"
    shutil.rmtree(folder, ignore_errors=True)  # of a helper that died over this
    folder.mkdir()
    ids = IdBuckets(folder)
    noted = ids.waiting
    for some in listing.all_keys():
        for key, hash_ in unpacked(some):
            noted[hash_[0]] += hash_ + names[key % shards]
        ids.write_long()
    several = write_index(listing.draft / IDS, ids.ranges())
    folder.rmdir()
    return several


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
