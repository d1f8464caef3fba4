"""The machines of a cluster run, as each worker tells of itself in workers/<name>/progress.json every few seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline.cluster.layout import WORKERS

PROGRESS = "progress.json"
FRESH_S = 30.0  # a machine that has told nothing for longer has ended, or is cut off; its clock may differ by 5 s


class Held(msgspec.Struct, frozen=True):
    """A shard that a worker works on."""

    shard: int
    epoch: int = 0


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


def held_by(workers: list[WorkerStatus], *, now: float) -> dict[int, str]:
    """Return which machine works on which shard right now."""
    return {held.shard: one.name for one in workers if one.is_there(now=now) for held in one.shards}
