"""Workers on the nodes of a Ray cluster, as `launch` watches over them: one on each, elsewhere when a node goes."""

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.cluster.detached import Order
from pipeline.cluster.launch import FINAL
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.ray import ABSENT, ENDED, NO_HEAD_S, HeadLost, RayMachines, RayWorker
from pipeline.cluster.telling import DOWN
from pipeline.errors import JournalError

_EVERY_S = 1.0  # between two looks at the cluster


class RayLauncher:
    """The nodes of a cluster as a launcher; `command` is that of a worker, without Python and without its name."""

    one_machine = False

    def __init__(self, machines: RayMachines, run: Path, command: Sequence[str], *, say: Callable[[str], None]) -> None:
        self.machines = machines
        self.run = run
        self._command = tuple(command)
        self._say = say
        self.over = False  # once a worker came to its end: it does so when nothing is left to begin, or nobody may
        self._taken: dict[str, str] = {}  # places, by the name of the worker that has them
        self._free: list[str] = []
        self._looked = self._head_seen = time.monotonic() - _EVERY_S

    def start(self, name: str) -> "NodeWorker":
        """Start a worker on a node that has none, now or as soon as there is one."""
        self._taken.pop(name, None)
        worker = NodeWorker(self, name)
        worker.poll()
        if worker.waits:
            self._say(f"{name} waits for a node without a worker")
        return worker

    def begin(self, name: str) -> RayWorker | None:
        """Start a worker on a free node; None where there is none."""
        self.look()
        free = [place for place in self._free if place not in self._taken.values()]
        if not free:
            return None
        self._taken[name] = free[0]
        on_node = self.machines.name_of(free[0])
        self._say(f"{name} is {on_node}")
        command = (*self._command, "--name", on_node)
        return self.machines.start(
            free[0], Order(str(self.run), on_node, command, str(Path.cwd()), secrets.token_hex(8))
        )

    def say_absent(self, name: str) -> None:
        """Say that a worker was not started, because its node does not see the run."""
        self._say(f"{name} was not started: {self.run} is not on its machine, where the shared folder is not mounted")

    def look(self) -> None:
        """Look at the cluster again, where that was a moment ago. Raises HeadLost."""
        now = time.monotonic()
        if now - self._looked < _EVERY_S:
            return
        self._looked = now
        if self.machines.has_head():
            self._free, self._head_seen = self.machines.places(), now
        elif now - self._head_seen > NO_HEAD_S:
            raise HeadLost(
                "the head of the Ray cluster is gone. Workers need none and go on; `pipeline status` shows them. Start "
                "a head and its nodes, then this command again: it finds them"
            )


class NodeWorker:
    """A worker on a node, or one that waits for a node."""

    def __init__(self, launcher: RayLauncher, name: str) -> None:
        self.name = name
        self._launcher = launcher
        self._worker: RayWorker | None = None
        self._drained = False

    @property
    def waits(self) -> bool:
        """True while there is no node for it."""
        return self._worker is None

    def poll(self) -> int | None:
        """Return its exit code, LOST when its node went; None while it goes on. Raises HeadLost."""
        self._launcher.look()
        if self._worker is None:
            if self._drained:
                return ENDED
            if self._launcher.over:
                return 0
            self._worker = self._launcher.begin(self.name)
            if self._worker is not None:
                self.name = self._worker.name
            return None
        code = self._worker.poll()
        if code == ABSENT:
            self._launcher.say_absent(self.name)
            code = JournalError.exit_code
        self._launcher.over |= code in FINAL
        return code

    def drain(self) -> None:
        """Ask it to end in good order."""
        self._drained = True
        if self._worker is None:
            return
        if self._launcher.machines.has_head():
            self._worker.drain()
        else:  # the folder that it looks at reaches it without Ray, later
            (self._launcher.run / WORKERS / self._worker.name / DOWN).touch(mode=0o600)
