"""The files of a cluster run: a folder of shards, each with an ordinary run directory per ownership (epoch).

    <run>/split.json                    how many shards there are, fixed when the items were split
    <run>/asked.json                    what the job asked of which vendor when the first worker began
    <run>/shards/0042/items.jsonl       the items of a shard
    <run>/shards/0042/e7/               its run directory since it was claimed for the seventh time
    <run>/workers/<name>/progress.json  the work of one machine, as it goes
    <run>/workers/<name>/looks          what it found of the shards that it ended, for a first `status`
    <run>/ids                           the shard of each id

The highest epoch of a shard that has a job (`spec.yaml`) is the one that counts: it was begun with a copy of the one
before it.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import SpecError
from pipeline.journal.places import EPOCH, SHARD, SHARDS, SPLIT, epoch_of, shards_in
from pipeline.system.fault import Fault, typed

WORKERS, ITEMS, IDS = "workers", "items.jsonl", "ids"


class Shard(NamedTuple):
    """A shard as it lies in the folder of its run."""

    number: int
    folder: Path
    epoch: int  # of the run directory that counts; 0 where it was not begun
    items: int  # that were split into it; -1 where nobody knows

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def run(self) -> Path | None:
        """Its run directory; None where it was not begun."""
        return self.folder / f"e{self.epoch}" if self.epoch else None


class ClusterRun(NamedTuple):
    """A run that is split over shards, in their order; `accounts` where several share them."""

    folder: Path
    shards: tuple[Shard, ...]
    accounts: bool


class _Split(msgspec.Struct, frozen=True):
    shards: int = 0
    counts: list[int] = []  # items of each shard
    accounts: bool = False


_SPLIT = msgspec.json.Decoder(_Split)


def cluster_run(folder: Path) -> ClusterRun | None:
    """Read how a run lies in its folder; None for any other folder."""
    if not (folder / SPLIT).is_file():
        return None
    split = _split(folder / SPLIT)
    here = {number for number, _ in shards_in(folder)}
    numbers = sorted({*range(split.shards), *here})
    return ClusterRun(folder, tuple(_shard(folder, number, split) for number in numbers), split.accounts)


def _split(file: Path) -> _Split:
    try:
        return _SPLIT.decode(file.read_bytes())
    except (OSError, msgspec.MsgspecError):  # the folders say how many there are, too
        return _Split()


def shard_folder(run: Path, number: int) -> Path:
    """Return where a shard lies."""
    return run / SHARDS / f"{number:04}"


def _shard(run: Path, number: int, split: _Split) -> Shard:
    folder = shard_folder(run, number)
    epoch, _ = epoch_of(folder)
    items = split.counts[number] if number < len(split.counts) else _lines_of(folder / ITEMS)
    return Shard(number, folder, epoch, items)


def _lines_of(file: Path) -> int:
    try:
        with file.open("rb") as lines:
            return sum(1 for _ in lines)
    except OSError:
        return -1


def shard_of(folder: Path) -> tuple[Path, int, int] | None:
    """Return the run, the shard and the epoch that a run directory is of; None for one of no shard."""
    whole = folder.absolute()
    epoch, shards = EPOCH.fullmatch(whole.name), whole.parent.parent
    if epoch is None or shards.name != SHARDS or not (shards.parent / SPLIT).is_file():
        return None
    return (shards.parent, int(whole.parent.name), int(epoch[1])) if SHARD.fullmatch(whole.parent.name) else None


def shards_named(path: Path) -> tuple[Path, list[int]] | None:
    """Return the run of many machines that a path names, and its shard where it lies in one; None for any other path.

    Also where split.json is gone, and its copy is there.
    """
    whole = path.absolute()
    if _is_split(whole):
        return path, []
    for folder in (whole, *whole.parents[:2]):
        if SHARD.fullmatch(folder.name) and folder.parent.name == SHARDS and _is_split(folder.parent.parent):
            return folder.parent.parent, [int(folder.name)]
    return None


def _is_split(folder: Path) -> bool:
    return (folder / SPLIT).is_file() or (folder / SHARDS / SPLIT).is_file()


def refuse_shard(folder: Path, command: str) -> None:
    """Raise SpecError for the run directory of a shard, which belongs to whichever machine works on it."""
    if (of := shard_of(folder)) is not None:
        what = "this is a shard of a run, and belongs to whichever machine works on it; name the run"
        raise SpecError(Fault(what, where=str(folder), fix=typed(command, of[0])))
