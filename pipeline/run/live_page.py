"""The page of a run that goes on: another process writes its counts every few minutes, and disturbs the run in nothing.

That process reads the journal alone, and the system lets it run only while nobody else wants the processor. It may use
a hundredth of the run's time: the next one starts the later, the more the last one took.
"""

import contextlib
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import anyio

EVERY_S = 180.0
SHARE = 0.01  # of the run's time, at most
_WRITER = "pipeline.offline.counts_page"

_log = logging.getLogger(__name__)


def pause_after(used_s: float, *, every_s: float = EVERY_S) -> float:
    """Return how long to wait after a writer that used so many seconds of a processor."""
    return max(every_s, used_s / SHARE)


async def keep_counts(folder: Path, *, every_s: float = EVERY_S) -> None:
    """Have the counts of a run written every few minutes, until cancelled; a writer that is under way is then ended."""
    pause = every_s
    while True:
        await anyio.sleep(pause)
        before = _used_s()
        await _write(folder)
        pause = pause_after(_used_s() - before, every_s=every_s)


async def _write(folder: Path) -> None:
    try:
        writer = await anyio.to_thread.run_sync(_start, folder)
    except OSError as exc:
        _log.warning("page.not_written error=%s", exc.strerror)
        return
    try:
        code = await anyio.to_thread.run_sync(writer.wait, abandon_on_cancel=True)
        if code:
            _log.warning("page.not_written code=%s", code)
    finally:
        with contextlib.suppress(OSError):
            writer.kill()  # one that has ended takes no harm
        writer.wait()


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    """Start a writer, in a thread: it may take the system a few milliseconds, and calls go out meanwhile."""
    return subprocess.Popen(  # noqa: S603 - this program, and a path
        [sys.executable, "-m", _WRITER, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("PATSNAP_")},
        process_group=0,  # a Ctrl-C is for the run
    )


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
