"""Ctrl-C and SIGTERM, once and twice, at the five moments that differ: nothing is lost, the exit code is right."""

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, run_job
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.faults.conftest import child
from tests.support.jobs import ACCOUNT, job, lines, vendor

ITEMS = 14
LATE_S = 0.8

RUN = "sys.exit(cli.run(sys.argv[1:]))"
SLOW_COMMIT = f"""
import time
from pathlib import Path
sync, count = os.fdatasync, [0]

def slow(fd):
    count[0] += 1
    if count[0] == 3:
        Path("now").touch()
        time.sleep({LATE_S})
    sync(fd)

os.fdatasync = slow
{RUN}
"""
SLOW_INTAKE = f"""
import time
from pathlib import Path
from pipeline.engine import intake
read, count = intake._next_batch, [0]
intake.BATCH = 4

def slow(source):
    count[0] += 1
    if count[0] == 3:
        Path("now").touch()
        time.sleep({LATE_S})
    return read(source)

intake._next_batch = slow
{RUN}
"""


@dataclass(frozen=True)
class Moment:
    """Where a signal meets a run: the vendor's part, the child's, and how the test knows that it has come."""

    settings: Callable[[], dict[str, Any]]
    code: str
    came: Callable[[SandboxServer, Path], bool]


def late(*rules: str) -> Callable[[], dict[str, Any]]:
    return lambda: {"faults": FaultPlan(rules=FaultPlan.parse(",".join(rules)).rules, late_s=LATE_S)}


MOMENTS = {
    "search": Moment(late("search:late@5-9"), RUN, lambda server, _: server.stats.calls("search") >= 6),
    "create": Moment(late("create:late@3-9"), RUN, lambda server, _: server.stats.calls("create") >= 4),
    "commit": Moment(dict, SLOW_COMMIT, lambda _, folder: (folder / "now").exists()),
    "token": Moment(
        lambda: {**late("token:late@2")(), "token_lifetime_s": 3},
        RUN,
        lambda server, _: server.stats.calls("token") >= 2,
    ),
    "intake": Moment(dict, SLOW_INTAKE, lambda _, folder: (folder / "now").exists()),
}


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_loses_nothing(tmp_path: Path, moment: str, number: signal.Signals, twice: bool) -> None:
    at = MOMENTS[moment]
    run = tmp_path / "runs/job"
    with vendor(tmp_path, **at.settings()) as server:
        # Slow enough that a refresh of the token falls into the run.
        path = job(tmp_path, url=server.url, pictures=ITEMS, api={"qps": 4 if moment == "token" else 40})
        process = child(at.code, "run", path, "--quiet", cwd=tmp_path)
        _wait_for(process, lambda: at.came(server, tmp_path))
        process.send_signal(number)
        if twice:
            time.sleep(0.15)
            process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 128 + number, said
        assert "Traceback" not in said
        tasked, doubts = _records(run)
        created = [task.task_id for task in read_tasks(tmp_path / "vendor")]
        if not twice:
            assert doubts == 0
        # What the vendor made is recorded, or in doubt; what is recorded, the vendor made; and nothing twice.
        assert len(set(tasked)) == len(tasked)
        assert set(tasked) <= set(created)
        assert len(created) - len(tasked) <= doubts
        summary = run_job(path, overrides=["api.qps=1000"], options=RunOptions(environment=ACCOUNT))
    assert summary.items["settled"] + summary.items["in_doubt"] == ITEMS, summary.exit_reason
    assert summary.items["in_doubt"] == doubts
    created = [task.task_id for task in read_tasks(tmp_path / "vendor")]
    assert len(created) - summary.items["tasked"] <= doubts
    assert len(created) <= ITEMS


def _records(run: Path) -> tuple[list[str], int]:
    """The ids of the recorded tasks, and how many items are in doubt."""
    tasked = [record["task"]["task_id"] for record in lines(run / "results.jsonl")]
    return tasked, sum(record["status"] == "in_doubt" for record in lines(run / "open.jsonl"))


def _wait_for(process: subprocess.Popen[str], came: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not came():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
