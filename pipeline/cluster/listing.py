"""The items of a job as lines, in blocks that the cores of this machine share.

Each process reads the whole list, since only so it knows which row is which; but to make an item of a row takes several
times as long, and each block is made by whichever process comes to it first. Each process has its files:

all-0    its items in the order of the job, a line each
keys-0   per item eight bytes that decide its shard, and eight that know its id
"""

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice, repeat
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, NamedTuple

from pipeline.cluster.ids import hash_of
from pipeline.job.schema import JobSpec
from pipeline.models import Item
from pipeline.sources.items import read_items
from pipeline.sources.kept_items import write_items
from pipeline.system.helpers import Helper

_BLOCK = 500  # items; those of a few blocks fit in a core's cache
_KEYS = struct.Struct(">Q8s")


class Listing(NamedTuple):
    """The items of a job as they were listed, in a draft folder.

    owners  by block, the number of the process that made it
    items   their number
    """

    draft: Path
    owners: bytes
    items: int

    def blocks(self) -> Iterator[tuple[list[bytes], bytes]]:
        """Yield all items in the order of the job, a block at a time: their lines, and their keys."""
        with ExitStack() as stack:
            opened = [[stack.enter_context(file.open("rb")) for file in files] for files in self._files()]
            for lines, keys in map(opened.__getitem__, self.owners):
                block = list(islice(lines, _BLOCK))
                yield block, keys.read(_KEYS.size * len(block))

    def all_keys(self) -> Iterator[bytes]:
        """Yield the keys of all items, in any order, many at a time."""
        for _, file in self._files():
            with file.open("rb") as keys:
                while some := keys.read(_KEYS.size << 16):
                    yield some

    def remove(self) -> None:
        """Remove the files, those of a process that made nothing or died included."""
        for file in chain(self.draft.glob("all-*"), self.draft.glob("keys-*")):
            file.unlink()

    def _files(self) -> list[tuple[Path, Path]]:
        return [_files(self.draft, process) for process in range(max(self.owners, default=-1) + 1)]


def _files(draft: Path, process: int) -> tuple[Path, Path]:
    return draft / f"all-{process}", draft / f"keys-{process}"


def unpacked(keys: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number that decides the shard of each item, and the hash of its id."""
    return _KEYS.iter_unpack(keys)


def list_items(spec: JobSpec, draft: Path, helpers: Sequence[Helper] = ()) -> Listing:
    """Write all items of a job with their keys. Raises SpecError as `read_items` does."""
    with NamedTemporaryFile() as taken:  # not in the draft's folder, which may lie on a network
        others = [
            helper.begin(_list_some, spec, draft, process, Path(taken.name))
            for process, helper in enumerate(helpers, 1)
        ]
        own = _list_some(spec, draft, 0, Path(taken.name))
        made = [own, *filter(None, (outcome() for outcome in others))]
    if len(made) <= len(others):  # one died with blocks that it had taken
        return list_items(spec, draft)
    owner = {block: process for process, some in enumerate(made) for block in some.blocks}
    return Listing(draft, bytes(owner[block] for block in range(len(owner))), sum(some.items for some in made))


class _Made(NamedTuple):
    blocks: list[int]
    items: int


def _list_some(spec: JobSpec, draft: Path, process: int, taken: Path) -> _Made:
    """Write the blocks that nobody else takes; return which they are, and the number of their items."""
    blocks: list[int] = []
    number = 0
    all_, keys = _files(draft, process)
    with all_.open("wb") as lines, keys.open("wb") as known, taken.open("r+b", buffering=0) as turns:
        left = read_items(spec, wanted=chain.from_iterable(repeat(mine, _BLOCK) for mine in _taken(turns, blocks)))
        while items := list(islice(left, _BLOCK)):
            lines.write(write_items(blocks[-1] * _BLOCK, items))
            known.write(b"".join(map(hash_of, chain.from_iterable(map(_known_by, items)))))
            number += len(items)
    return _Made(blocks, number)


def _taken(turns: IO[bytes], blocks: list[int]) -> Iterator[bool]:
    """Yield of one block after the other whether it is this process's, who then has it among its `blocks`.

    `turns` is a file of all processes with the number of the first block that nobody took: each takes the one that it
    has come to unless another one came to it before.
    """
    block = 0
    while True:
        fcntl.flock(turns, fcntl.LOCK_EX)
        if mine := int.from_bytes(os.pread(turns.fileno(), 8, 0), "big") <= block:
            os.pwrite(turns.fileno(), (block + 1).to_bytes(8, "big"), 0)
            blocks.append(block)
        fcntl.flock(turns, fcntl.LOCK_UN)
        yield mine
        block += 1


def _known_by(item: Item) -> tuple[str, str]:
    """Return what items with the same picture have in common, and the id; a row that cannot be used has only this."""
    return (item.id if item.problem is not None else item.identity), item.id
