"""A worker of this machine that outlives whoever started it, followed by its process id and the code it leaves.

Ray ends its own processes when its driver dies, or thinks that the machine is lost. A worker has paid calls under
way then, so it belongs to nobody: a shell that is no child of ours waits for it and writes its exit code down.

    <state folder>/workers/<run>/<name>/process   process id, and its start in ticks of the system's clock
    <state folder>/workers/<run>/<name>/code      its exit code, once it has ended
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pipeline.system.folders import state_folder

T = TypeVar("T")
_LOOK_S = 0.2
_SHELL_S = 10.0  # for the shell to write a line

LOST = -9  # the code of a worker that left none: it was killed, or its machine is gone

# $1 is the folder, $2 the log; the rest is the command. The start tells the process from a later one of the same id.
_SHELL = """
folder=$1; log=$2; shift 2
( trap '' HUP; umask 077
  "$@" 2>>"$log" &
  worker=$!
  echo "$worker $(cut -d' ' -f22 "/proc/$worker/stat")" >"$folder/process.new"
  mv "$folder/process.new" "$folder/process"
  wait "$worker"
  echo $? >"$folder/code.new"
  mv "$folder/code.new" "$folder/code" ) &
"""


class Order(NamedTuple):
    """The order to start a worker: plain words, and no secret among them; those are in each machine's environment.

    run        the folder of the run, the same on every machine
    name       the worker's own name in that run
    arguments  the command, behind this machine's Python
    folder     the folder it starts in
    number     its own, so that a wish to end is never taken for one of an order before
    """

    run: str
    name: str
    arguments: tuple[str, ...]
    folder: str
    number: str


class Process(NamedTuple):
    """A process of this machine, told from a later one of the same id by its start."""

    id: int
    started: str

    @property
    def runs(self) -> bool:
        """True while it is there."""
        return _start_of(self.id) == self.started


class Detached:
    """A worker of this machine by its name, whoever started it."""

    def __init__(self, run: str, name: str) -> None:
        self.name = name
        self._folder = _folder_of(run) / name

    def begin(self, command: Sequence[str], *, folder: str, log: Path) -> None:
        """Start it unless it is there already; it goes on without us."""
        if self.runs:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("process", "code"):
            (self._folder / name).unlink(missing_ok=True)
        environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        shell = ["/bin/sh", "-c", _SHELL, "sh", str(self._folder), str(log), *command]
        # A pipe of ours would be open as long as the worker goes on, and whoever reads it would wait for that.
        subprocess.run(  # noqa: S603 - a command of ours
            shell,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )

    @property
    def process(self) -> Process | None:
        """Its process, also one that has ended; None before it has begun."""
        try:
            number, _, started = (self._folder / "process").read_text(encoding="ascii").strip().partition(" ")
            return Process(int(number), started)
        except (OSError, ValueError):
            return None

    @property
    def runs(self) -> bool:
        """True while it goes on."""
        return (process := self.process) is not None and process.runs

    def ask_to_end(self, number: str) -> None:
        """Ask for the end of what an order with this number started, or is about to: in good order, twice: at once."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "asked").open("a", encoding="ascii") as file:
            file.write(f"{number}\n")

    def asked_to_end(self, number: str) -> int:
        """Count how often the end was asked for."""
        try:
            return (self._folder / "asked").read_text(encoding="ascii").split().count(number)
        except OSError:
            return 0

    def follow(self, asked: Callable[[], int] = lambda: 0) -> int:
        """Wait for its end; return its exit code, LOST where it left none. Each time it is `asked` it gets SIGTERM."""
        if not _soon(lambda: self.process):
            return LOST
        told = 0
        while (process := self.process) is not None and process.runs:
            if asked() > told:
                told += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.id, signal.SIGTERM)
            time.sleep(_LOOK_S)
        return LOST if (code := _soon(self._code)) is None else code

    def _code(self) -> int | None:
        try:
            return int((self._folder / "code").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def going(run: str) -> Iterator[Detached]:
    """Yield the workers of a run that go on on this machine."""
    with contextlib.suppress(OSError):
        for folder in sorted(_folder_of(run).iterdir()):
            worker = Detached(run, folder.name)
            if worker.runs:
                yield worker


def _soon(found: Callable[[], T | None]) -> T | None:
    """Return what the shell writes down in the next moments; None where it is gone, too."""
    until = time.monotonic() + _SHELL_S
    while (value := found()) is None and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return value


def _folder_of(run: str) -> Path:
    place = state_folder() or Path(tempfile.gettempdir()) / f"infringement-pipeline-{os.getuid()}"
    return place / "workers" / hashlib.sha256(run.encode()).hexdigest()[:16]


def _start_of(process: int) -> str:
    """Return when a process started, in the system's ticks; "" when it is gone, or dead and not yet buried."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if told[0] == "Z" else told[19]
