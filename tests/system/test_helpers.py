"""Helper processes: what they return, and that they never outlive what they help."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.system.helpers import helpers
from tests.support.processes import until

ALONE = """\
import os, sys, time
from pipeline.system.helpers import helpers
if __name__ == "__main__":
    with helpers(1) as [one]:
        print(one.begin(os.getpid)(), flush=True)
        one.begin(time.sleep, 600 if "busy" in sys.argv else 0)
        time.sleep(600)
"""
OF_A_POOL = """\
import os, time
from pipeline.cluster.all_cores import on_all_cores

def at_work(part):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    list(on_all_cores(at_work, ["a part"]))
"""


def test_a_helper_calls_one_function_after_the_other_in_a_process_of_its_own() -> None:
    with helpers(2) as [one, other]:
        pids = [helper.begin(os.getpid)() for helper in (one, other, one)]
        assert one.begin(sorted, "cab")() == ["a", "b", "c"]
    assert pids[0] == pids[2] != pids[1]
    assert os.getpid() not in pids


def test_what_a_helper_cannot_do_has_no_outcome_and_the_next_has() -> None:
    with helpers(1) as [one]:
        assert one.begin(int, "no number")() is None
        assert one.begin(int, "7")() == 7


def test_a_helper_that_was_killed_has_no_outcome() -> None:
    with helpers(1) as [one]:
        pid = one.begin(os.getpid)()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert one.begin(int, "7")() is None
        assert one.begin(int, "7")() is None


def test_a_helper_ends_with_the_block_whatever_it_is_doing() -> None:
    with helpers(1) as [one]:
        pid = one.begin(os.getpid)()
        one.begin(signal.pause)
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("script", "words"), [(ALONE, ["busy"]), (ALONE, []), (OF_A_POOL, [])], ids=["at work", "waiting", "of all cores"]
)
def test_a_process_ends_when_the_one_that_it_helps_is_killed(script: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text(script)
    command = [sys.executable, "alone.py", *words]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_helper_takes_no_notice_of_ctrl_c() -> None:
    with helpers(1) as [one]:
        pid = one.begin(os.getpid)()
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        assert one.begin(os.getpid)() == pid
