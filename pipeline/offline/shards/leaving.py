"""The looks that a worker leaves at the shards that came to their end in its hands, for everybody's first status.

They lie beside its own words about itself, in a file that it alone writes. A thread looks a little later, when no file
of the shard is so young that it may change unseen; the shards of a worker's last seconds are left to whoever asks.
"""

import contextlib
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import PipelineError
from pipeline.journal.signature import TOO_YOUNG_S, signature_of
from pipeline.journal.sql.sent import sent_pictures
from pipeline.journal.storage import reading_only
from pipeline.offline.shards.looks import LOOKS, Kept, keep, read_looks, write_looks
from pipeline.offline.status import look_at

_LATER_S = TOO_YOUNG_S + 1
_PATIENCE_S = 1.0  # at the end: a folder that is out of reach may let the thread hang
_now = time.time


class LeftLooks:
    """The thread that looks, and what it has left; `later_s` after each shard's end."""

    def __init__(self, *, later_s: float = _LATER_S) -> None:
        self._later_s = later_s
        self._waiting: deque[tuple[float, Path, Path]] = deque()
        self._kept: dict[str, Kept] | None = None
        self._woken = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="looks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._woken:
            self._ended = True
            self._woken.notify()
        self._thread.join(_PATIENCE_S)

    def done(self, place: Path, run: Path) -> None:
        """Tell that a shard came to its end in this run directory; `place` is the worker's folder."""
        with self._woken:
            self._waiting.append((time.monotonic() + self._later_s, place, run))
            self._woken.notify()

    def _run(self) -> None:
        while (due := self._due()) is not None:
            for place in {place for place, _ in due}:
                # What cannot be read, or written, is left to whoever asks.
                with contextlib.suppress(PipelineError, OSError):
                    self._leave(place, [run for of, run in due if of == place])

    def _due(self) -> list[tuple[Path, Path]] | None:
        """Wait until shards are old enough; return them with the worker's folder, None at the end."""
        with self._woken:
            while not self._ended:
                left_s = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if left_s is not None and left_s <= 0:
                    now = time.monotonic()
                    old = [one for one in self._waiting if one[0] <= now]
                    self._waiting = deque(one for one in self._waiting if one[0] > now)
                    return [(place, run) for _, place, run in old]
                self._woken.wait(left_s)
        return None

    def _leave(self, place: Path, runs: list[Path]) -> None:
        if self._kept is None:  # of the process before, which had the same name
            self._kept = {kept.run: kept for kept in read_looks([place / LOOKS])}
        new = [kept for run in runs if (kept := _look(run, named=place.parent.parent)) is not None]
        self._kept |= {kept.run: kept for kept in new}
        if new:
            write_looks(place / LOOKS, self._kept.values(), several_writers=False)


def _look(run: Path, *, named: Path) -> Kept | None:
    now, before = _now(), signature_of(run)
    with reading_only(run) as db:
        if any(sent_pictures(db)):  # nothing could be kept, and to look at thousands of pictures takes long
            return None
    return keep(run, look_at(run, named=named, held=False, now=now), before, named=named, now=now)
