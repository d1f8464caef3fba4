"""Fixtures of every test: no test reads or leaves anything in the person's own folders, or sees their credentials."""

import contextlib
import gc
import importlib
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from pipeline.calls import account
from pipeline.sandbox.resources import resource
from pipeline.system import masking
from pipeline.system.interpreter import GARBAGE, EventLoop
from tests.support.lengths import THOROUGH

# Read when numpy is imported, here and in every process that a test starts. The sandbox multiplies small matrices; with
# a thread for each core that takes four times as much of the processor (measured: 8.4 s, not 2.0, for the gallery).
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# Tests read what commands say in English, whatever the language of the person who runs them.
os.environ.pop("PIPELINE_LANG", None)

# Under nohup a process is born deaf to SIGHUP, in the background of a script to SIGINT, and so is all that it starts:
# tests that wait for the effect of such a signal would fail, or wait for ever.
for number, heard in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, heard)


NUMBERS = itertools.count()
QUIET, NO_QUIET = account.Part.quiet_s, lambda *_, **__: 0.0
# Folders whose tests are all proofs, and the one that `make lint` runs: the rules of the code, and what documents say.
THEMES = ("faults", "proof", "threats")
HOUSE = "house"
MEMORY, ROOM = "/dev/shm", 4 << 30
WAITING = ("test_ray.py", "test_ray_jobs.py", "test_chaos.py", "test_cut_networks.py", "test_many_machines.py")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests' files in memory where there is room: a fifth of the time of `make test` was waiting for syncs.

    `make thorough` has them on the disk, and so does a TMPDIR that is set. The workers of pytest-xdist go by this one.
    """
    given = "TMPDIR" in os.environ or config.option.basetemp is not None
    if not given and not THOROUGH and _has_room(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = MEMORY


def _has_room(folder: str) -> bool:
    """Return whether programs can be run from a folder, as some tests do, and there is much room in it."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > ROOM and os.access(folder, os.W_OK)


@pytest.hookimpl(trylast=True)  # what is imported before pytest-cov has begun counts as not covered
def pytest_sessionstart(session: pytest.Session) -> None:
    """Import a part of the test modules, each of several workers another one, before each collects them all.

    pytest rewrites a module's asserts when it is imported, and keeps the outcome on the disk. Workers that collect in
    step would all do that for each module, the first time and after every change: a quarter of the time of `make test`.
    """
    gc.disable()  # until all tests are collected: they are a million objects, and none is garbage
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    if workers == 1 or sys.dont_write_bytecode or session.config.args != session.config.getini("testpaths"):
        return
    root = session.config.rootpath
    files = [
        file for file in sorted((root / "tests").rglob("test_*.py")) if not _is_left_out(file.parent, session.config)
    ]
    for file in files[int(worker.removeprefix("gw")) :: workers]:
        with contextlib.suppress(Exception):  # collecting it says what is wrong
            importlib.import_module(".".join(file.relative_to(root).with_suffix("").parts))


def _is_left_out(folder: Path, config: pytest.Config) -> bool:
    """Return whether `make test` has no test in this folder; to collect it all the same takes a third of the time."""
    return (
        folder.name in (*THEMES, HOUSE)
        and config.option.markexpr == "not proofs"
        and config.args == config.getini("testpaths")
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return _is_left_out(collection_path, config) or None


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent.name in THEMES:
        item.add_marker(pytest.mark.proofs)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that wait most first: the last of them would be alone at the end, with the other workers idle."""
    items.sort(key=lambda item: item.path.name not in WAITING)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Search for garbage from now on, as seldom as a run does; what was collected is taken for old without a look.

    Six thousand tests lie in memory, and are gone through at each search of all. They are not left frozen: a run would
    have to count them, since it lets a program's frozen objects be (system/interpreter.py), and that takes as long.
    """
    collected = yield
    gc.freeze()
    gc.unfreeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()
    return collected


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Answer `-n auto`: three workers for two cores, since tests of servers wait now and then; proofs more."""
    of_two_cores = 4 if config.option.markexpr == "proofs" else 3
    return of_two_cores * (os.cpu_count() or 1) // 2 or 1


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test as pytest does, but send what matters of it alone from a worker: its outcome, and any failure.

    pytest-xdist sends six messages for each test, four of which say that all is well before and after it: for most
    tests that takes longer than the test. A list of the slowest (`--durations`) is made of them, and gets them all.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or item.config.option.durations is not None:
        return None
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"loop_factory": EventLoop}


@pytest.fixture(autouse=True)
def as_alone(own_home: Path) -> Iterator[None]:
    """Let each test begin as if it were the only one: one fixture for all that, since seven thousand tests pay for it.

    - A state folder of its own. What is known of an account is kept by the vendor's address, and a port of this machine
      is given out again: with one folder for all, a test's new account was the known one of an earlier test.
    - The masks of the session, and none is left: others read what a test hides.
    - Jobs may run twice without the second of quiet that a run keeps after another one on its account. Processes that a
      test starts keep it, and tests of the promise itself have `quiet_second`.
    """
    lasting, passing, longest = masking._lasting, masking._passing, masking._longest_first
    masking._lasting, masking._passing = set(lasting), deque(passing, passing.maxlen)
    os.environ["XDG_STATE_HOME"] = str(own_home / f"state-{next(NUMBERS)}")
    account.Part.quiet_s = NO_QUIET  # type: ignore[method-assign]
    yield
    masking._lasting, masking._passing, masking._longest_first = lasting, passing, longest


@pytest.fixture
def quiet_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs keep the second of quiet after another one on their account."""
    monkeypatch.setattr(account.Part, "quiet_s", QUIET)


@pytest.fixture(scope="session")
def small_gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawings, for tests that are about anything but the gallery."""
    folder = tmp_path_factory.mktemp("gallery")
    for drawing in sorted(resource("gallery").iterdir())[:12]:
        shutil.copy(drawing, folder)
    return folder


@pytest.fixture
def product() -> bytes:
    """A shipped product picture."""
    return (resource("products") / "bag-0.jpg").read_bytes()


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set up a home of the session's own, without credentials; fixtures that tests share keep their state there.

    Workers of one session share the cache, so that the gallery is indexed once and not by each of them.
    """
    home = tmp_path_factory.mktemp("home")
    shared = home.parent.parent if "PYTEST_XDIST_WORKER" in os.environ else home
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        for name in ("CLIENT_ID", "CLIENT_SECRET", "API_KEY", "PROXY"):
            patch.delenv(f"PATSNAP_{name}", raising=False)
        yield home
