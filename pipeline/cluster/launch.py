"""The start of workers, and the watch over them: who died is started again, who came to an end is not.

It does not know Ray: a `Launcher` starts a worker somewhere, and a `Handle` says whether it ended.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from pipeline.calls.account import Busy
from pipeline.cluster.machines import workers_in
from pipeline.errors import Code
from pipeline.system.fault import settings

RESTARTS = 5  # of one worker without a shard that came to its end meanwhile
# Before the second restart, and twice as long before each that follows: what ends a worker may be over by then, as for
# the half of a minute in which Ray starts workers on a node that is gone.
PAUSE_S = 2.0
SHOWN_EVERY_S = 5.0
_LOOK_S = 0.2
FINAL = range(8)  # exit codes of a worker that knows why it ended
_MEETS_ALL = (3, 4)  # of those: credentials that are refused, or a vendor, budget or limit that ends a run
_ENDED_BY_SIGNAL = (129, 130, 143)  # in good order, because it was asked to


class Handle(Protocol):
    """A worker that was started; `name` is what it tells of itself under."""

    @property
    def name(self) -> str:
        """Its name in the run."""

    def poll(self) -> int | None:
        """Return its exit code; None while it goes on, a negative one when it died or its machine went."""

    def drain(self) -> None:
        """Ask it to end in good order; return at once."""


class Launcher(Protocol):
    """A way to start workers; `one_machine` where all are on one, and what its network or account meets meets all."""

    one_machine: bool

    def start(self, name: str) -> Handle:
        """Start a worker of this name."""


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A worker in a process of this machine, in a session of its own: Ctrl-C on the terminal does not reach it."""

    name: str
    process: subprocess.Popen[bytes]

    def poll(self) -> int | None:
        """Return its exit code; None while it goes on."""
        return self.process.poll()

    def drain(self) -> None:
        """Ask it to end in good order."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)


class LocalProcesses:
    """Workers in processes of this machine; `command` is what each runs, behind its name."""

    one_machine = True

    def __init__(self, command: Sequence[str], *, errors: IO[str] | None = None) -> None:
        self._command = list(command)
        self._errors = errors or sys.stderr

    def start(self, name: str) -> LocalProcess:
        """Start a worker."""
        own = os.name == "posix"
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*self._command, "--name", name], stdin=subprocess.DEVNULL, stderr=self._errors, start_new_session=own
        )
        return LocalProcess(name, process)


def worker_command(job: Path, overrides: Sequence[str], *, busy: Busy) -> list[str]:
    """Return the command of a worker of a job; `busy` is what it does while another process uses the account."""
    options = [*settings(overrides), *(["--busy", busy] if busy != "exit" else [])]
    return [sys.executable, "-m", "pipeline", "work", str(job.resolve()), *options]


class Supervision:
    """The watch over the workers of one run; `run` is its folder."""

    def __init__(self, launcher: Launcher, names: Sequence[str], run: Path, *, say: Callable[[str], None]) -> None:
        self._launcher = launcher
        self._run = run
        self._say = say
        self._going = {name: launcher.start(name) for name in names}
        self._restarts = dict.fromkeys(names, 0)
        self._done = dict.fromkeys(names, 0)  # shards, when it was started last
        self._due: dict[str, float] = {}  # workers that died, and when each is started again
        self._codes: list[int] = []
        self._draining = False

    def watch(self) -> int:
        """Watch until no worker is left; return the exit code that says most. The first Ctrl-C drains all.

        Raises the KeyboardInterrupt once they have ended, at the second Ctrl-C without waiting.
        """
        due, shown = time.monotonic() + SHOWN_EVERY_S, ""
        stopped: KeyboardInterrupt | None = None
        while self._going or self._due:
            try:
                time.sleep(_LOOK_S)
                self._look()
                if time.monotonic() >= due:
                    due = time.monotonic() + SHOWN_EVERY_S
                    if (line := self._progress()) != shown:  # while all wait, the same line says nothing
                        self._say(line)
                        shown = line
            except KeyboardInterrupt as stop:
                self._drain()
                if stopped is not None:
                    self._drain()  # the second signal: each worker ends at once
                    raise
                stopped = stop
                self._say("stopping: the workers end in good order; again to end them at once")
        if stopped is not None:
            raise stopped
        return max((code for code in self._codes if code != 1), default=0) or max(self._codes, default=0)

    def _drain(self) -> None:
        self._draining = True
        for worker in self._going.values():
            worker.drain()

    def _look(self) -> None:
        for name, due in list(self._due.items()):
            if self._draining:
                self._codes.append(1)
            elif time.monotonic() >= due:
                self._going[name] = self._launcher.start(name)
            else:
                continue
            del self._due[name]
        for name, worker in list(self._going.items()):
            if (code := worker.poll()) is None:
                continue
            del self._going[name]
            if code in FINAL or code in _ENDED_BY_SIGNAL or self._draining:
                self._codes.append(code if code in FINAL else 1)
                if code in _MEETS_ALL and not self._draining and self._meets_others(worker.name):
                    self._say(f"worker {name} ended (exit {code}), and the others would meet the same: they end, too")
                    self._drain()
            else:
                self._start_again(name, worker.name, code)

    def _meets_others(self, told_as: str) -> bool:
        """Return whether what ended a worker ends all: a budget does not, of which the others may hold the rest."""
        mine = [one.ended_by for one in workers_in(self._run) if one.name == told_as]
        return self._launcher.one_machine and bool(self._going) and Code.BUDGET not in mine

    def _start_again(self, name: str, told_as: str, code: int) -> None:
        """Start a worker that died, unless it dies again and again without bringing a shard to its end."""
        done = sum(one.shards_done for one in workers_in(self._run) if one.name == told_as)
        if done > self._done[name]:
            self._restarts[name], self._done[name] = 0, done
        self._restarts[name] += 1
        if self._restarts[name] > RESTARTS:
            self._say(f"worker {name} ended {RESTARTS + 1} times without a shard (exit {code}); it is left alone")
            self._codes.append(70 if code > 0 else 1)
            return
        pause_s = PAUSE_S * 2 ** (self._restarts[name] - 2) if self._restarts[name] > 1 else 0.0
        again = f"started again in {pause_s:g} s" if pause_s else "started again"
        self._say(f"worker {name} died (exit {code}); {again}")
        self._due[name] = time.monotonic() + pause_s

    def _progress(self) -> str:
        """Write how far all workers are, as they tell themselves."""
        told = list(workers_in(self._run))
        settled, open_ = sum(one.settled for one in told), sum(one.open for one in told)
        per_s = sum(sum(one.per_s.values()) for one in told if one.is_there(now=time.time()))
        done = sum(one.shards_done for one in told)
        return (
            f"{len(self._going)} at work: {settled:,} settled, {open_:,} open, {done:,} shards done, "
            f"{per_s:.1f} calls a second"
        )
