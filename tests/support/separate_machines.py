"""Machines of a kind on one machine: each has its own mounts, and sees the shared folder through one that can be cut.

They live in namespaces of processes that a test starts, so that nothing is left of them when these are gone.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cuttable_folder import HANG
from tests.support.jobs import ACCOUNT
from tests.support.processes import running, until_said
from tests.support.workers import WORKER

ROOT = Path(__file__).parents[2]
STORE = "store"  # the folder that all machines have as `shared`
SERVING = [sys.executable, "-m", "tests.support.cuttable_folder"]
MOUNTS, NET = ["--mount", "--propagation", "private"], ["--net"]

_ENDS = 'sys.exit(working.work(load(Path("job.yaml")), options))'
_ENDS_IN_A_LINE = f"""
from pipeline.errors import PipelineError
try:
    {_ENDS}
except PipelineError as error:  # as the command line ends
    say(error)
    sys.exit(error.exit_code)
"""


def require_namespaces(*, fuse: bool = False) -> None:
    """Skip a test where namespaces or FUSE cannot be had; where they can, nothing is skipped."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root on Linux: namespaces as machines")
    made = subprocess.run(["unshare", *MOUNTS, *NET, "true"], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no namespaces here: {made.stderr.strip()}")
    if not fuse and shutil.which("ip") is None:
        pytest.skip("needs ip (Debian: iproute2)")
    if fuse and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no /dev/fuse here: the shared folder cannot be cut")


@dataclass
class Machine:
    """A machine: `inside` begins every command that runs on it."""

    folder: Path  # of the test
    name: str
    holder: subprocess.Popen[str]
    options: tuple[str, ...] = ()  # of its namespaces

    @property
    def inside(self) -> list[str]:
        net = NET if "--net" in self.options else []
        return ["nsenter", f"--target={self.holder.pid}", "--mount", *net, f"--wd={self.folder}"]

    @property
    def sent(self) -> Path:
        """The calls of its worker."""
        return self.folder / f"{self.name}.sent"

    @property
    def state(self) -> Path:
        return self.folder / f"{self.name}.state"

    @contextmanager
    def worker(self, *, more: str = "", environment: Mapping[str, str] = {}) -> Iterator[subprocess.Popen[str]]:
        """Start a worker on it."""
        code = "import os, sys\n" + WORKER.replace("MORE", more).replace(_ENDS, _ENDS_IN_A_LINE)
        command = [*self.inside, sys.executable, "-c", code, self.sent, self.name]
        own = {"XDG_STATE_HOME": str(self.state), "PYTHONPATH": str(ROOT)}
        with running(command, cwd=self.folder, env={**os.environ, **ACCOUNT, **own, **environment}) as process:
            yield process

    # --- the shared folder ---

    @property
    def _cut(self) -> Path:
        return self.folder / f"{self.name}.cut"

    def cut(self, said: int | str = errno.EIO) -> None:
        """Let every call to the shared folder fail with an error."""
        draft = self._cut.with_suffix(".draft")
        draft.write_text(str(said))
        draft.rename(self._cut)

    def hang(self) -> None:
        """Let every call to the shared folder hang."""
        self.cut(HANG)

    def heal(self) -> None:
        """Let calls to the shared folder be answered again."""
        self._cut.unlink(missing_ok=True)


@contextmanager
def machine(folder: Path, name: str, *, mounted: bool = True, net: bool = False) -> Iterator[Machine]:
    """Have a machine whose `shared` is the store of the test, through a mount of its own."""
    options = [*MOUNTS, *(NET if net else [])]
    holding = ["unshare", *options, "sh", "-c", "echo there >&2; exec sleep infinity"]
    with ExitStack() as opened:
        one = Machine(folder, name, opened.enter_context(running(holding)), tuple(options))
        until_said(one.holder, "there")
        if mounted:
            (folder / STORE).mkdir(exist_ok=True)
            (folder / "shared").mkdir(exist_ok=True)
            paths = [folder / STORE, folder / "shared", one._cut]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            server = opened.enter_context(running([*one.inside, *SERVING, *paths], env=environment))
            assert server.stdout is not None
            assert server.stdout.readline() == "mounted\n", server.communicate()
        yield one


@contextmanager
def machines(folder: Path, count: int) -> Iterator[list[Machine]]:
    """Have so many machines, named w0, w1 and so on."""
    with ExitStack() as opened:
        yield [opened.enter_context(machine(folder, f"w{n}")) for n in range(count)]
