"""A worker that belongs to nobody: it outlives who started it, and is found again by its name."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cluster import detached
from pipeline.cluster.detached import LOST, Detached, going
from tests.support.processes import completed, python, until

WAITS = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\nsys.exit(4)"


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Detached]:
    """Name a worker whose notes lie in a folder of the test; it is dead afterwards."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(detached, "_LOOK_S", 0.01)
    one = Detached("/shared/run", "one")
    yield one
    if (process := one.process) is not None and one.runs:
        os.kill(process.id, signal.SIGKILL)


def begin(worker: Detached, tmp_path: Path, code: str = WAITS) -> None:
    worker.begin(python(code, tmp_path / "go"), folder=str(tmp_path), log=tmp_path / "log")
    until(lambda: worker.process)


def test_its_exit_code_is_known_though_nobody_waited_for_it(worker: Detached, tmp_path: Path) -> None:
    begin(worker, tmp_path)
    assert worker.runs
    (tmp_path / "go").touch()
    assert worker.follow() == 4
    assert not worker.runs


def test_a_second_start_follows_the_first(worker: Detached, tmp_path: Path) -> None:
    begin(worker, tmp_path)
    first = worker.process
    begin(worker, tmp_path, "raise SystemExit(1)")
    assert worker.process == first
    assert [one.name for one in going("/shared/run")] == ["one"]
    assert list(going("/shared/other")) == []
    (tmp_path / "go").touch()
    assert worker.follow() == 4


def test_it_outlives_the_process_that_started_it(worker: Detached, tmp_path: Path) -> None:
    starting = (
        "import sys, pathlib\nfrom pipeline.cluster.detached import Detached\nhere = pathlib.Path(sys.argv[2])\n"
        "Detached('/shared/run', 'one').begin([sys.executable, '-c', sys.argv[1], str(here / 'go')], "
        "folder=str(here), log=here / 'log')"
    )
    done = completed(python(starting, WAITS, str(tmp_path)))
    assert done.returncode == 0, done.stderr
    until(lambda: worker.process)
    assert worker.runs
    (tmp_path / "go").touch()
    assert worker.follow() == 4


def test_a_killed_worker_is_told_from_one_that_ended(worker: Detached, tmp_path: Path) -> None:
    begin(worker, tmp_path)
    assert worker.process is not None
    os.kill(worker.process.id, signal.SIGKILL)
    assert worker.follow() == 128 + signal.SIGKILL


def test_without_a_word_of_its_shell_it_is_lost(worker: Detached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "_SHELL_S", 0.05)
    assert worker.follow() == LOST


def test_it_is_asked_to_end_in_good_order_once_for_each_time(worker: Detached, tmp_path: Path) -> None:
    worker.ask_to_end("of an order before")
    code = (
        "import os, signal, sys, time\nheard = []\ndef stop(*_):\n    heard.append(1)\n"
        "    open(sys.argv[1] + str(len(heard)), 'w').close()\n    len(heard) == 2 and os._exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\nopen(sys.argv[1] + '0', 'w').close()\nwhile True: time.sleep(600)"
    )
    begin(worker, tmp_path, code)
    until((tmp_path / "go0").exists)
    codes: list[int] = []
    following = threading.Thread(target=lambda: codes.append(worker.follow(lambda: worker.asked_to_end("1"))))
    following.start()
    worker.ask_to_end("1")
    until((tmp_path / "go1").exists)
    assert worker.runs, "one wish is one signal: the second one of a run ends it at once"
    worker.ask_to_end("1")
    following.join()
    assert codes == [143]


def test_what_it_says_is_kept_for_its_owner_alone(worker: Detached, tmp_path: Path) -> None:
    begin(worker, tmp_path, "import sys; sys.stderr.write('said\\n'); sys.exit(2)")
    assert worker.follow() == 2
    assert (tmp_path / "log").read_text() == "said\n"
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_what_ray_sets_for_its_own_processes_does_not_reach_it(
    worker: Detached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_ID", "1")
    monkeypatch.setenv("PATSNAP_API_KEY", "of-this-machine")
    begin(
        worker,
        tmp_path,
        "import os; raise SystemExit(11 * ('RAY_JOB_ID' in os.environ) + len(os.environ['PATSNAP_API_KEY']))",
    )
    assert worker.follow() == len("of-this-machine")
