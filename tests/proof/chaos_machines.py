"""Machines of a chaos campaign, and the vendor that outlives them: processes that are hurt, and started again.

A machine is a `pipeline work` with a state folder, a name, and a link to the vendor of its own, which is its proxy. A
file beside it cuts it off from the leases: its store then fails, loses answers or hangs, as network file systems do.
"""

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cli.commands import work  # noqa: F401 - what a worker imports is there when it is forked
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.proof.jobs import CACHE
from tests.support.accounts import known_account
from tests.support.jobs import ACCOUNT
from tests.support.links import Link
from tests.support.processes import PATIENCE_S
from tests.support.workers import COMMAND

STORE_CUTS = ("fails", "loses answers", "hangs")
OVER = (0, 1)  # exit codes of a worker that found no shard left
# It was killed, asked to end (also before it could hear that), or met a vendor or a store that was away.
AGAIN = (-signal.SIGKILL, -signal.SIGTERM, 128 + signal.SIGTERM, 2, 4, 5)

_FORKS = multiprocessing.get_context("forkserver")

# The store of a machine whose way to it is cut, while the file `NAME.cut` says how.
_CUT = """
import time
from pipeline.leases import folder_store
from pipeline.leases.store import StoreUnknown
cut = Path(sys.argv[2] + ".cut")
def way():
    try:
        return cut.read_text()
    except FileNotFoundError:
        return ""
def through(method):
    def reached(self, *arguments):
        while (how := way()) == "hangs":
            time.sleep(0.02)
        if how == "fails":
            raise StoreUnknown("cut off")
        answer = method(self, *arguments)
        if how == "loses answers" and way():
            raise StoreUnknown("the answer was lost")
        return answer
    return reached
for name in ("put_new", "read", "newest", "drop"):
    setattr(folder_store.FolderStore, name, through(getattr(folder_store.FolderStore, name)))
"""


def warm_up() -> None:
    """Start the process that workers and vendors are forked from, with everything imported."""
    _FORKS.set_forkserver_preload(["tests.proof.chaos_machines"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # it looks nowhere else for what it is to import
        forkserver.ensure_running()


def _end_with(campaign: Connection) -> None:
    """Let this process end when the campaign does, however that comes about."""

    def wait() -> None:
        with suppress(EOFError, OSError):
            campaign.recv()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _serve(campaign: Connection, folder: Path, faults: str, seed: int, port: int) -> None:
    """Serve a vendor, in a process of its own."""
    plan = FaultPlan.parse(faults, seed=seed)
    settings = SandboxSettings(folder=folder, cache_dir=CACHE, latency_s=(0.05, 0.4), faults=plan)
    with SandboxServer(settings, port=port) as server:
        campaign.send(server.url)
        with suppress(EOFError):
            campaign.recv()


def _work(campaign: Connection, folder: Path, code: str, arguments: list[str], environment: dict[str, str]) -> None:
    """Work as a worker, in a process of its own."""
    _end_with(campaign)
    os.chdir(folder)
    os.environ.update(environment)
    said = os.open(f"{arguments[1]}.err", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.argv = ["-c", *arguments]
    try:
        exec(compile(code, "worker", "exec"), {"os": os, "sys": sys, "cli": cli})
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 70)


class Vendor:
    """The sandbox in a process of its own; what it executed it remembers, whatever becomes of it."""

    def __init__(self, folder: Path, faults: str, seed: int) -> None:
        self._folder, self._faults, self._seed = folder, faults, seed
        self._process: ForkServerProcess | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """The address of the vendor itself, which no machine uses."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it where it was before, and wait until it listens."""
        self._seed += 1  # else the same calls would go wrong after each start
        self._line, other = _FORKS.Pipe()
        how = (other, self._folder, self._faults, self._seed, self.port)
        self._process = _FORKS.Process(target=_serve, args=how)
        self._process.start()
        other.close()
        self.port = int(self._line.recv().rpartition(":")[2])

    def kill(self) -> None:
        """Kill it in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join(PATIENCE_S)
            self._line.close()
        self._process = None

    @property
    def is_up(self) -> bool:
        """True while it serves."""
        return self._process is not None


class Machine:
    """A worker, and what was done to it.

    done     it came to the end of its work
    codes    all its exit codes
    frozen   it is stopped by SIGSTOP
    start_at when its supervisor starts it again (`time.monotonic`); None while it runs or is done
    """

    def __init__(self, folder: Path, name: str, url: str, link: Link, code: str) -> None:
        self.name, self.link, self._folder = name, link, folder
        self._code = COMMAND.replace("MORE", _CUT + code)
        self._state = folder / f"{name}.state"
        self._cut = folder / f"{name}.cut"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(self._state))
            known_account(url, ACCOUNT)
        self.process: ForkServerProcess | None = None
        self.done = self.frozen = False
        self.codes: list[int] = []
        self.start_at: float | None = 0.0

    def start(self, *more: str) -> None:
        """Start its worker; what that says is added to `NAME.err`."""
        arguments = [f"{self.name}.sent", self.name, *more]
        self.start_at, self.frozen = None, False
        self._line, other = _FORKS.Pipe()
        environment = {**ACCOUNT, "XDG_STATE_HOME": str(self._state), "PATSNAP_PROXY": self.link.url}
        self.process = _FORKS.Process(target=_work, args=(other, self._folder, self._code, arguments, environment))
        self.process.start()
        other.close()

    @property
    def lives(self) -> bool:
        """True while its worker is there, frozen or not."""
        return self.process is not None and self.process.exitcode is None

    @property
    def has_called(self) -> bool:
        """True once a call of its workers has left."""
        return (self._folder / f"{self.name}.sent").exists() and (self._folder / f"{self.name}.sent").stat().st_size > 0

    @property
    def is_cut_off(self) -> bool:
        """True while it does not reach the leases."""
        return self._cut.exists()

    def ended(self) -> int | None:
        """Return the exit code of a worker that has ended, once."""
        if self.process is None or (code := self.process.exitcode) is None:
            return None
        self._line.close()
        self.process = None
        self.codes.append(code)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its worker, if that is there."""
        if self.process is not None and self.process.pid is not None and self.lives:
            os.kill(self.process.pid, number)
            if number in (signal.SIGSTOP, signal.SIGCONT):
                self.frozen = number == signal.SIGSTOP

    def cut_off(self, how: str) -> None:
        """Cut it off from the leases."""
        draft = self._cut.with_suffix(".draft")
        draft.write_text(how)
        draft.rename(self._cut)

    def reconnect(self) -> None:
        """Let it reach the leases again."""
        self._cut.unlink(missing_ok=True)

    def end(self) -> None:
        """End its worker at once."""
        if self.process is not None:
            self.process.kill()
            self.process.join(PATIENCE_S)
            self._line.close()

    def last_words(self) -> str:
        """Return the end of what its workers said."""
        return (self._folder / f"{self.name}.err").read_text(errors="replace")[-300:]
