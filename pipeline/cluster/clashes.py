"""Ids that stand in several shards: the first in the order of the job keeps it, the others become failed items.

Within one shard its journal does the same when the items are admitted.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.ids import hash_of
from pipeline.cluster.layout import ITEMS, shard_folder
from pipeline.journal.sql.admission import clash
from pipeline.models import Item
from pipeline.sources.kept_items import read_kept, write_item
from pipeline.system.files import write_whole


class _Listed(NamedTuple):
    n: int
    shard: int
    item: Item


def settle_clashes(draft: Path, hashes: dict[bytes, list[int]]) -> int:
    """Make a failed item of every one whose id another item of another shard had before; return their number."""
    if not hashes:
        return 0
    by_id: dict[str, list[_Listed]] = defaultdict(list)
    for shard in sorted({shard for shards in hashes.values() for shard in shards}):
        for n, item in _with(shard_folder(draft, shard) / ITEMS, hashes):
            by_id[item.id].append(_Listed(n, shard, item))
    failed: dict[int, dict[int, Item]] = defaultdict(dict)  # by shard, then by place
    for listed in by_id.values():
        first, *others = sorted(listed)
        for other in others:
            if other.shard != first.shard:  # a shard has all items with one picture, so it shows another one
                failed[other.shard][other.n] = clash(other.item, first.item.origin)
    for shard, items in failed.items():
        _replace(shard_folder(draft, shard) / ITEMS, items)
    return sum(map(len, failed.values()))


def _with(file: Path, hashes: Collection[bytes]) -> Iterator[tuple[int, Item]]:
    with file.open("rb") as lines:
        for line in lines:
            kept = read_kept(line)
            if hash_of(kept.id) in hashes:
                yield kept.n, kept.item


def _replace(file: Path, items: dict[int, Item]) -> None:
    def lines() -> Iterator[bytes]:
        with file.open("rb") as before:
            for line in before:
                n = read_kept(line).n
                yield write_item(n, items[n]) if n in items else line

    write_whole(file, lines())
