"""The words of a worker about itself, in workers/<name>/progress.json every few seconds; `machines.py` reads them."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from filelock import FileLock, Timeout

from pipeline.cluster.layout import WORKERS
from pipeline.cluster.machines import PROGRESS
from pipeline.models import OPEN, SETTLED
from pipeline.run.progress import Progress
from pipeline.system.files import write_whole
from pipeline.version import __version__

EVERY_S = 5.0
_LOOK_S = 0.5
DOWN = "down"  # a file beside it: the worker is asked to end in good order


@contextlib.contextmanager
def named(run: Path, name: str | None) -> Iterator[Path]:
    """Yield the folder of a worker whose name nobody on this machine has; by default it is called as the machine."""
    wanted = name or "".join(char if char.isalnum() or char in "-_." else "-" for char in socket.gethostname())
    number = 1
    while True:
        folder = run / WORKERS / (wanted if number == 1 else f"{wanted}-{number}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=0, mode=0o600)
        with contextlib.suppress(Timeout), lock:
            (folder / DOWN).unlink(missing_ok=True)  # it was meant for a worker that has ended
            yield folder
            return
        number += 1


class Telling:
    """The thread that writes the file; it also looks whether the worker is asked to end (`asked`, called once).

    `update` makes it a display of the run of a shard (`RunOptions.observer`).
    """

    def __init__(self, folder: Path, asked: Callable[[], None], slots: Callable[[], dict[str, int]]) -> None:
        self.name = folder.name
        self.shards_done = 0
        self._folder = folder
        self._asked = asked
        self._slots = slots
        self._since = time.time()
        self._account = self._ended_by = ""
        self._shard: dict[str, int] | None = None
        self._progress: Progress | None = None
        self._done = {"settled": 0, "open": 0}  # of the shards that came to an end here
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._write(ended=True)

    def use(self, account: str) -> None:
        """Tell of the account that is used from now on, at once: others choose theirs by it; "" for the one account."""
        self._account = account
        if account:
            self._write()

    def begin(self, shard: int, epoch: int) -> None:
        """Tell of the shard that is worked on from now on."""
        self._shard, self._progress = {"shard": shard, "epoch": epoch}, None

    def end(self, items: dict[str, int] | None, *, done: bool) -> None:
        """Tell that a shard came to an end here, with these items."""
        self._shard, self._progress = None, None
        self.shards_done += done
        for word in self._done:
            self._done[word] += (items or {}).get(word, 0)

    def stops(self, ended_by: str) -> None:
        """Tell by the code of what ends the worker before the run is done."""
        self._ended_by = ended_by

    def update(self, progress: Progress) -> None:
        """Take the run of the shard as it is now."""
        self._progress = progress

    def _run(self) -> None:
        due, asked = 0.0, False
        while not self._ended.wait(_LOOK_S):
            if not asked and self._is_asked():
                asked = True
                self._asked()
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY_S
                self._write()

    def _is_asked(self) -> bool:
        with contextlib.suppress(OSError):  # the folder is out of reach: it is looked at next time
            return (self._folder / DOWN).exists()
        return False

    def _write(self, *, ended: bool = False) -> None:
        with contextlib.suppress(OSError):  # the folder is out of reach: it is written next time
            write_whole(self._folder / PROGRESS, msgspec.json.encode(self._told(ended)), durable=False)

    def _told(self, ended: bool) -> dict[str, Any]:
        progress = self._progress
        items = {} if progress is None else progress.items
        flows = {} if progress is None else progress.flows
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            "since": self._since,
            "at": time.time(),
            "ended": ended,
            "ended_by": self._ended_by,
            "shards": [] if self._shard is None else [self._shard],
            "shards_done": self.shards_done,
            **({"account": self._account} if self._account else {}),
            "slots": self._slots(),
            "per_s": {str(kind): round(flow.per_s, 2) for kind, flow in flows.items()},
            "calls": {str(kind): flow.sent for kind, flow in flows.items()},
            "settled": self._done["settled"] + sum(items.get(state, 0) for state in SETTLED),
            "open": self._done["open"] + sum(items.get(state, 0) for state in OPEN),
        }
