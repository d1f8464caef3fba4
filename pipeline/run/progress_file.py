"""progress.json: the picture of a run as it goes, for `status` in another process. It is there while a run goes on."""

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline.journal.places import PROGRESS
from pipeline.run.progress import Display, Progress
from pipeline.system.files import write_whole
from pipeline.system.structs import decode

if TYPE_CHECKING:  # `status` reads progress and runs nothing
    from pipeline.run.gauges import Gauges

EVERY_S = 1.0
FRESH_S = 10.0  # an older picture is that of a run that was killed, or hangs


class _Noted(msgspec.Struct, frozen=True):
    at: float  # seconds since the epoch
    progress: Progress


class Showing:
    """The picture of one run shown to whoever looks on, and noted once a second."""

    def __init__(self, folder: Path, gauges: "Gauges", observer: Display | None) -> None:
        self._folder = folder
        self._gauges = gauges
        self._observer = observer
        self._next = 0.0

    def show(self) -> None:
        """Take a picture where somebody looks on, or it is to be noted."""
        now = time.monotonic()
        if self._observer is None and now < self._next:
            return
        progress = self._gauges.picture()
        if self._observer is not None:
            self._observer.update(progress)
        if now >= self._next:
            self._next = now + EVERY_S
            _note(self._folder, progress)

    def end(self) -> None:
        """Show the last picture; what was noted goes."""
        self._next = float("inf")
        self.show()
        drop(self._folder)


def _note(folder: Path, progress: Progress) -> None:
    """Write the picture, without a sync. That a disk is full is said elsewhere."""
    with contextlib.suppress(OSError):
        write_whole(folder / PROGRESS, msgspec.json.encode(_Noted(time.time(), progress)), durable=False)


def noted(folder: Path, *, now: float) -> Progress | None:
    """Read the picture of a run that goes on; None where there is none of the last moments."""
    try:
        found = decode((folder / PROGRESS).read_bytes(), _Noted)
    except (OSError, msgspec.MsgspecError):
        return None
    return found.progress if 0 <= now - found.at <= FRESH_S else None


def drop(folder: Path) -> None:
    """Delete the picture."""
    with contextlib.suppress(OSError):
        (folder / PROGRESS).unlink(missing_ok=True)
