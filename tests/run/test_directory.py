"""A run directory: its name, the lock on it, and files in it that are refused."""

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.run.directory import LOCK, is_locked, lock, run_folder
from pipeline.system.files import write_whole
from tests.support.fakes import job
from tests.support.processes import python, running

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)  # a Friday: its week is the last of 2026

as_root = hasattr(os, "getuid") and os.getuid() == 0


@pytest.mark.parametrize(
    ("run", "now", "name"),
    [
        pytest.param("{name}", NOON, "job", id="name"),
        pytest.param("{name}-{date}", NOON, "job-2026-11-21", id="date"),
        pytest.param("{name}-{week}", NOON, "job-2026-W47", id="week"),
        pytest.param("{name}-{week}", NEW_YEAR, "job-2026-W53", id="week-over-new-year"),
        pytest.param("{name}-{month}", NOON, "job-2026-11", id="month"),
        pytest.param("{name}-{month}", NEW_YEAR, "job-2027-01", id="month-over-new-year"),
        pytest.param("nightly", NOON, "nightly", id="no-word"),
    ],
)
def test_run_is_named_by_its_template_and_period(run: str, now: datetime, name: str, tmp_path: Path) -> None:
    spec = job(tmp_path, output={"dir": "out", "run": run})
    assert run_folder(spec, now=now) == tmp_path / "out" / name
    assert not (tmp_path / "out").exists()


def test_same_period_is_the_same_run_and_the_next_one_starts_anew(tmp_path: Path) -> None:
    spec = job(tmp_path, output={"run": "{name}-{date}"})
    run_folder(spec, now=NOON).mkdir(parents=True)
    assert run_folder(spec, now=NOON.replace(hour=23)) == run_folder(spec, now=NOON)
    assert run_folder(spec, now=NOON.replace(day=22)).name == "job-2026-11-22"


@pytest.mark.parametrize(
    ("there", "current", "new"),
    [
        pytest.param([], "job", "job", id="none"),
        pytest.param(["job"], "job", "job.2", id="first"),
        pytest.param(["job", "job.2", "job.3"], "job.3", "job.4", id="third"),
        pytest.param(["job", "job.9", "job.10"], "job.10", "job.11", id="tenth"),
        pytest.param(["job.2"], "job.2", "job.3", id="first-deleted"),
        pytest.param(["job", "job.old", "job.2x", "job.²", "job-2", "jobs.7"], "job", "job.2", id="other-folders"),
    ],
)
def test_new_takes_the_next_number_and_without_it_the_newest_goes_on(
    there: list[str], current: str, new: str, tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert run_folder(job(tmp_path), now=NOON).name == current
    assert run_folder(job(tmp_path), now=NOON, new=True).name == new


def test_file_with_a_runs_name_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "job.7").touch()
    assert run_folder(job(tmp_path), now=NOON).name == "job"


@pytest.mark.parametrize("place", ["runs", ""], ids=["itself", "above it"])
def test_a_file_where_run_directories_are_to_lie_is_named(place: str, tmp_path: Path) -> None:
    spec = job(tmp_path / "jobs")
    in_the_way = tmp_path / "jobs" / place
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.touch()
    with pytest.raises(SpecError, match=f"{re.escape(str(in_the_way))} is no folder, and run directories lie in one"):
        run_folder(spec, now=NOON)


def test_a_place_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to("runs")
    with pytest.raises(SpecError, match=r"(cannot be looked at|is no folder).*; name another place"):
        run_folder(job(tmp_path), now=NOON)


# --- the lock ---


def test_a_look_whether_a_run_goes_on_makes_no_folder(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "never-run")
    assert list(tmp_path.iterdir()) == []


HOLDER = """
import sys
from pathlib import Path
from pipeline.run.directory import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def locked_elsewhere(tmp_path: Path):
    """A run directory that another process has locked; its process."""
    folder = tmp_path / "run"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with running(python(HOLDER, folder), stdin=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == "held\n"
        yield folder, process


@pytest.mark.proofs
def test_second_holder_is_refused_and_told_who_holds_it(locked_elsewhere) -> None:
    folder, process = locked_elsewhere
    for _ in range(2):  # asking does not disturb what is written there
        with (
            pytest.raises(RunLocked, match=rf"in use by another process \(pid {process.pid} on ") as caught,
            lock(folder),
        ):
            raise AssertionError("two processes hold one run")
        assert caught.value.exit_code == 6


@pytest.mark.proofs
def test_run_whose_holder_was_killed_is_free(locked_elsewhere) -> None:
    folder, process = locked_elsewhere
    process.kill()
    process.wait()
    with lock(folder):
        assert json.loads((folder / LOCK).read_text())["pid"] == os.getpid()


def test_run_is_free_again_after_its_holder_ends(tmp_path: Path) -> None:
    for _ in range(2):
        with lock(tmp_path / "run"):
            pass
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "run"):
        raise ZeroDivisionError
    with lock(tmp_path / "run"):
        pass


@pytest.mark.parametrize("text", ["", "{}", "[1]", "no JSON", '{"pid": "x"}'])
def test_lock_that_does_not_say_who_is_no_obstacle_to_saying_it_is_held(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.run.directory.LOCK_WAIT_S", 0.02)
    with lock(tmp_path):
        (tmp_path / LOCK).write_text(text)
        with pytest.raises(RunLocked, match="in use by another process; wait"), lock(tmp_path):
            pass


def test_run_directory_is_only_for_its_owner(tmp_path: Path) -> None:
    with lock(tmp_path / "a" / "run"):
        assert stat.S_IMODE((tmp_path / "a" / "run").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "a" / "run" / LOCK).stat().st_mode) == 0o600
        assert [path.name for path in (tmp_path / "a" / "run").iterdir()] == [LOCK]


@pytest.mark.skipif(as_root, reason="nothing is unwritable for root")
def test_folder_that_cannot_be_written_is_refused_before_anything_is_paid(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match=r"cannot be written.*check the disk and the permissions"), lock(tmp_path):
        pass


def test_file_in_the_place_of_the_run_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(JournalError, match="cannot be written"), lock(tmp_path / "run"):
        pass


@pytest.mark.skipif(not as_root, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(JournalError, match="cannot be written"), lock(tmp_path):
        pass


def test_what_a_killed_run_left_half_written_is_swept_by_the_next(tmp_path: Path) -> None:
    """Also the 16 MB that it had set aside; what another process writes at this moment stays."""
    names = (".report.html.new", ".summary.json.new", ".open.jsonl.new", ".spec.yaml.new", "..identity.new")
    names += (".results.jsonl.new", ".journal.sqlite.new", ".journal.sqlite.new-journal", ".report.html.x_1b2czd.part")
    for name in (*names, ".probe-4194304", "..probe-4194304.new", ".ballast", ".mine.new"):
        (tmp_path / name).write_bytes(b"half")

    def meanwhile() -> Iterator[bytes]:
        with lock(tmp_path):
            left = {path.name for path in tmp_path.iterdir() if path.name.startswith(".")}
            assert left == {".mine.new", ".report.html.new"}
        yield b"whole"

    write_whole(tmp_path / "report.html", meanwhile())
    assert (tmp_path / "report.html").read_bytes() == b"whole"


def test_a_look_whether_a_folder_is_locked_leaves_nothing_in_it(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not list(tmp_path.iterdir())
