"""The machines of a cluster run, as each worker tells of itself in workers/<name>/progress.json every few seconds."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.cluster.layout import WORKERS

PROGRESS = "progress.json"
FRESH_S = 30.0  # a machine that has told nothing for longer has ended, or is cut off; its clock may differ by 5 s


class Held(msgspec.Struct, frozen=True):
    """A shard that a worker works on."""

    shard: int
    epoch: int = 0


class Holder(NamedTuple):
    """A worker as the one that works on a shard, by the epoch that it claimed."""

    name: str
    epoch: int


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a worker, as it tells it; fields that it does not tell are empty."""

    name: str = ""
    host: str = ""
    pid: int = 0
    since: float = 0.0  # seconds since the epoch
    at: float = 0.0
    ended: bool = False  # True when it came to its end in good order
    ended_by: str = ""  # the code of what ended it before the run was done
    shards: list[Held] = []
    account: str = ""  # that it uses, where the job has several
    slots: dict[str, int] = {}  # leased, by kind of call
    per_s: dict[str, float] = {}  # calls sent per second, by kind
    shards_done: int = 0  # since it was started
    settled: int = 0  # items of the shards that it worked on since then
    open: int = 0

    def is_there(self, *, now: float) -> bool:
        """Return whether it has told something in the last moments."""
        return not self.ended and now - self.at <= FRESH_S


def workers_in(run: Path) -> Iterator[WorkerStatus]:
    """Yield the workers of a cluster run by name; one whose file cannot be read is passed over."""
    for file in sorted((run / WORKERS).glob(f"*/{PROGRESS}")):
        try:
            told: Any = msgspec.json.decode(file.read_bytes())
            yield msgspec.structs.replace(msgspec.convert(told, WorkerStatus), name=file.parent.name)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            continue


def held_by(workers: list[WorkerStatus], *, now: float) -> dict[int, Holder]:
    """Return who works on which shard right now; of several, one of whom has died a moment ago, the last to claim."""
    found: dict[int, Holder] = {}
    for one in workers:
        for held in one.shards if one.is_there(now=now) else ():
            if held.shard not in found or held.epoch > found[held.shard].epoch:
                found[held.shard] = Holder(one.name, held.epoch)
    return found


def holder_of(run: Path, held: Mapping[int, Holder]) -> str:
    """Return who works on the run directory of a shard, ".../0042/e7"; "" where nobody does.

    Of a worker that died a later epoch tells sooner than its silence: another one has taken over.
    """
    holder = held.get(int(run.parent.name))
    return "" if holder is None or holder.epoch < int(run.name.removeprefix("e")) else holder.name
