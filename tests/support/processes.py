"""Processes that a test starts, and waiting for what they do: nothing here depends on how fast the machine is.

Whoever waits goes on as soon as the event comes or the process that should bring it about ends. `PATIENCE_S` only keeps
a broken test from waiting for ever.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.warm_starts import WarmProcess, can_be_warm

PATIENCE_S = 300.0
_POLL_S = 0.02


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] = os.environ,
    **options: Any,
) -> Iterator[subprocess.Popen[str]]:
    """Run a command while the block lasts; afterwards it is dead and its pipes are closed."""
    words = list(map(str, command))
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    start = WarmProcess if can_be_warm(words, env, pipes) else subprocess.Popen
    with start(words, cwd=cwd, env=env, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def python(code: str, *arguments: str | Path) -> list[str]:
    """The command that runs `code` with these arguments."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def completed(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with running(command, cwd=cwd, env=env) as process:
        out, err = ended(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end of a process; return what it wrote to stdout and stderr and nobody has read yet."""
    return process.communicate(timeout=PATIENCE_S)


def command_lines() -> bytes:
    """Return the command lines of all processes of this machine; of those that end meanwhile, none."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(file.read_bytes())
    return b"\n".join(found)


def until(happened: Callable[[], object], *, by: subprocess.Popen[str] | None = None) -> None:
    """Wait until something has happened; fail at once when `by`, the process that should bring it about, has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        over = by is not None and by.poll() is not None
        if over and not happened():
            assert by is not None
            raise AssertionError(f"the process ended before, with {by.returncode}: {ended(by)}")
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(_POLL_S)


def until_lines(path: Path, at_least: int = 1, *, by: subprocess.Popen[str]) -> None:
    """Wait until a file has so many whole lines, which `by` writes."""
    until(lambda: path.exists() and path.read_bytes().count(b"\n") >= at_least, by=by)


def until_logged(run: Path, event: str, *, by: subprocess.Popen[str]) -> None:
    """Wait until the log of a run directory names an event."""
    log = run / "run.log.jsonl"
    until(lambda: log.exists() and event.encode() in log.read_bytes(), by=by)


def until_said(process: subprocess.Popen[str], words: str) -> None:
    """Wait until the next line that a process writes to stderr, which has to hold these words."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert words in line, line
