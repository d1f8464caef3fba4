"""A disk that fills up or breaks under a run: nothing paid is lost, nothing is paid twice, one clear line, exit 5."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.errors import JournalError
from pipeline.journal import emergency
from pipeline.journal.emergency import BALLAST, BALLAST_BYTES, ITEM_BYTES, SPARE_BYTES, ballast, require_room
from pipeline.sandbox.tasks import read_tasks
from tests.support.fixtures import Mount
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.lengths import THOROUGH
from tests.support.told import faults_in

ITEMS = 40
# `happen` is called by the journal's own thread, between a group of lines and the next, once so many are on the disk.
_AFTER_SOME = """
from pathlib import Path
sync, folder, waiting = os.fdatasync, Path(sys.argv.pop()), [True]

def syncing(fd):
    sync(fd)
    results = folder / "results.jsonl"
    if waiting and results.exists() and results.read_bytes().count(b"\\n") >= 6:
        waiting.clear()
        happen()

os.fdatasync = syncing
sys.exit(cli.run(sys.argv[1:]))
"""
# A disk that takes nothing more: files may not grow beyond what the results have, and the checks of as many kept lines.
SQUEEZE = f"""
import resource

def happen():
    size = (folder / "results.jsonl").stat().st_size * 5 // 4
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
{_AFTER_SOME}"""
# A disk that somebody else fills to the last byte.
FILL = f"""
def happen():
    Path("ballast").write_text(str((folder / ".ballast").stat().st_blocks * 512))
    with (folder.parent / "filler").open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass
{_AFTER_SOME}"""
# fdatasync, and with FSYNC also fsync, fails from the nth call on; every call after the first failure is told.
BROKEN = """
import errno
real, calls = {name: getattr(os, name) for name in ("fdatasync", "fsync")}, []

def failing(name):
    def call(fd):
        if name == "fdatasync":
            calls.append(fd)
        if len(calls) >= 6 and (name == "fdatasync" or os.environ.get("FSYNC")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real[name](fd)
    return call

for name in real:
    setattr(os, name, failing(name))
code = cli.run(sys.argv[1:])
print("synced", len(calls), file=sys.stderr)
sys.exit(code)
"""


def go_on(path: Path, *overrides: str) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT))


def executed(folder: Path) -> list[str]:
    return [task.task_id for task in read_tasks(folder / "vendor")]


def recorded(run: Path) -> list[str]:
    """Ids of tasks in every file of the run that holds records."""
    whole = [json.loads(line) for line in (run / "results.jsonl").read_bytes().split(b"\n")[:-1]]
    return [record["task"]["task_id"] for record in (*whole, *kept_in(run))]


def kept_in(run: Path) -> list[dict[str, Any]]:
    """The records that an emergency kept."""
    told = [line for file in run.glob("emergency-*.jsonl") for line in lines(file)]
    return [line["record"] for line in told if "record" in line]


def assert_nothing_paid_is_lost(folder: Path, run: Path, path: Path, *, in_doubt: int = 0) -> None:
    """The next run takes in what was kept, ends, and every task that the vendor made has its one record."""
    kept = {record["item"] for record in kept_in(run)}
    summary = go_on(path)
    tasked = [record["task"]["task_id"] for record in lines(run / "results.jsonl")]
    assert Counter(tasked) == Counter(executed(folder))
    assert summary.items["tasked"] + summary.items["in_doubt"] == ITEMS
    assert kept <= {record["item"] for record in lines(run / "results.jsonl")}
    assert not list(run.glob("emergency-*.jsonl"))
    # A create that never left is in doubt only where not even the emergency file could say so.
    assert summary.items["in_doubt"] <= in_doubt


def test_a_file_that_may_not_grow_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    run = tmp_path / "runs/job"
    with vendor(tmp_path, latency_s=0.02) as server:
        path = job(tmp_path, url=server.url, pictures=ITEMS, api={"qps": 100, "max_in_flight": 6})
        done = pipeline("run", path, "--quiet", run, cwd=tmp_path, code=SQUEEZE, **ACCOUNT)
        assert done.returncode == 5, done.stderr
        assert done.stdout == ""
        assert "the journal cannot be written" in done.stderr
        assert len(faults_in(done.stderr)) == 1
        assert set(executed(tmp_path)) <= set(recorded(run))
        assert_nothing_paid_is_lost(tmp_path, run, path)
        assert [path for path in run.glob("emergency-*") if path.stat().st_mode & 0o777 != 0o600] == []


def test_a_full_disk_gives_back_the_ballast_and_loses_nothing(tmp_path: Path, mount: Mount) -> None:
    disk = mount("disk", megabytes=120)
    run = disk / "job"
    with vendor(tmp_path, latency_s=0.02) as server:
        # Creates wait for their permits with their intents on the disk: they are in doubt unless somebody knows better.
        slowly = {"qps": {"search": 60, "create": 5}, "max_in_flight": 6}
        path = job(tmp_path, url=server.url, pictures=ITEMS, api=slowly)
        overrides = ["--set", f"output.dir={disk}"]
        done = pipeline("run", path, *overrides, "--quiet", run, cwd=tmp_path, code=FILL, **ACCOUNT)
        said = done.stderr
        assert done.returncode == 5, said
        assert int((tmp_path / "ballast").read_text()) >= BALLAST_BYTES
        assert "the disk is full" in said
        assert "free 80 MB" in said
        assert len(faults_in(said)) == 1
        assert not (run / BALLAST).exists()
        assert set(executed(tmp_path)) <= set(recorded(run))
        [kept] = run.glob("emergency-*.jsonl")
        assert kept.stat().st_mode & 0o777 == 0o600
        assert kept.name in said
        assert "creates that were not executed are noted in" in said
        (disk / "filler").unlink()
        spec = json.loads(path.read_text())
        path.write_text(json.dumps({**spec, "api": {**spec["api"], "qps": 1000}, "output": {"dir": str(disk)}}))
        assert_nothing_paid_is_lost(tmp_path, run, path)
        assert (run / f"{kept.name}.adopted").exists()


@pytest.mark.parametrize("fsync", ["", "too"], ids=["fdatasync", "fsync as well"])
def test_a_sync_that_failed_is_never_tried_again(tmp_path: Path, fsync: str) -> None:
    run = tmp_path / "runs/job"
    with vendor(tmp_path, latency_s=0.02) as server:
        path = job(tmp_path, url=server.url, pictures=ITEMS, api={"qps": 60, "max_in_flight": 6})
        done = pipeline("run", path, "--quiet", cwd=tmp_path, code=BROKEN, FSYNC=fsync, **ACCOUNT)
        said = done.stderr
        assert done.returncode == 5, said
        assert "Traceback" not in said
        assert "synced 6\n" in said
        assert "Input/output error" in said
        told = set(recorded(run)) | {line.rpartition("task_id=")[2].strip("'") for line in said.splitlines()}
        assert set(executed(tmp_path)) <= told
        assert ("not recorded: item=" in said) == bool(fsync)
        assert_nothing_paid_is_lost(tmp_path, run, path, in_doubt=8 if fsync else 0)


def test_a_job_that_will_not_fit_is_refused_before_anything_is_sent(tmp_path: Path, mount: Mount) -> None:
    disk = mount("disk", megabytes=40)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        done = pipeline("run", path, "--set", f"output.dir={disk}", cwd=tmp_path, **ACCOUNT)
        assert server.stats.calls("search") == server.stats.calls("token") == 0
    assert done.returncode == 5
    [told] = [told for told in faults_in(done.stderr) if not told.error.startswith("note: ")]
    assert "MB free and this job needs 64 MB" in told.error


def test_room_is_asked_for_the_items_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    small = os.statvfs_result((4096, 4096, 10**6, 100 * 256, 100 * 256, *tuple(real)[5:10]))  # 100 MB are free
    monkeypatch.setattr(os, "statvfs", lambda _: small)
    require_room(tmp_path, 9_000)
    with pytest.raises(JournalError, match=r"free 291 MB more; .*move the whole run directory"):
        require_room(tmp_path, 83_700)


def test_what_a_killed_run_had_set_aside_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(tmp_path)
    free = SPARE_BYTES + 100 * ITEM_BYTES - BALLAST_BYTES // 2
    small = os.statvfs_result((1, 1, free, free, free, *tuple(real)[5:10]))
    with ballast(tmp_path):
        monkeypatch.setattr(os, "statvfs", lambda _: small)
        require_room(tmp_path, 100)
    with pytest.raises(JournalError, match="free 8 MB more"):
        require_room(tmp_path, 100)


def test_only_what_is_to_be_sent_needs_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished job is looked at on a disk with next to nothing free; one more item needs room."""
    real = os.statvfs(tmp_path)
    small = os.statvfs_result((4096, 4096, 10**6, 256, 256, *tuple(real)[5:10]))  # 1 MB is free
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        assert go_on(path).exit_code == 0
        monkeypatch.setattr(os, "statvfs", lambda _: small)
        monkeypatch.setattr(emergency, "_reserve", lambda path: pytest.fail("nothing is set aside for no items"))
        assert go_on(path).exit_code == 0
        job(tmp_path, url=server.url, pictures=4)
        with pytest.raises(JournalError, match=r"needs 64 MB for 1 item: free 63 MB more"):
            go_on(path)


def test_a_run_whose_items_turn_out_too_many_ends_in_good_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count is known only once all sources are read: until then what is begun goes on."""

    def room(folder: Path, items: int) -> None:
        if items > 1:
            raise JournalError("too little room")

    monkeypatch.setattr("pipeline.run.heartbeat.require_room", room)
    with vendor(tmp_path, latency_s=0.1) as server:
        summary = go_on(job(tmp_path, url=server.url, pictures=60, api={"qps": 10}))
    assert (summary.exit_code, summary.exit_reason) == (5, "too little room")
    assert summary.items["tasked"] == len(executed(tmp_path))
    assert summary.items["not_started"] == 60 - summary.items["tasked"] > 0


def test_the_ballast_is_real_private_and_gone_in_the_end(tmp_path: Path) -> None:
    with ballast(tmp_path):
        status = (tmp_path / BALLAST).stat()
        assert status.st_blocks * 512 >= BALLAST_BYTES
        assert status.st_mode & 0o777 == 0o600
    assert not (tmp_path / BALLAST).exists()


def test_a_ballast_that_was_left_is_used_again(tmp_path: Path) -> None:
    (tmp_path / BALLAST).write_bytes(b"x" * 1000)
    with ballast(tmp_path):
        assert (tmp_path / BALLAST).stat().st_blocks * 512 >= BALLAST_BYTES


def test_no_room_for_the_ballast_is_one_clear_line(tmp_path: Path, mount: Mount) -> None:
    disk = mount("disk", megabytes=8)
    with pytest.raises(JournalError, match="cannot set 16 MB aside: No space left on device"), ballast(disk):
        pass
    assert list(disk.iterdir()) == []


def test_a_disk_that_is_full_at_the_very_start_is_named_as_such(tmp_path: Path, mount: Mount) -> None:
    """Wherever the making of a run directory stops for want of room: where, and what to do."""
    disk = mount("disk", megabytes=1)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        for free in range(0, 160, 8 if THOROUGH else 24):
            shutil.rmtree(disk / "job", ignore_errors=True)
            _fill(disk / "filler", free=free << 10)
            done = pipeline("run", path, "-q", "--set", f"output.dir={disk}", cwd=tmp_path, **ACCOUNT)
            said = done.stderr
            assert (done.returncode, len(faults_in(said))) == (5, 1), said
            assert "free " in said
            assert any(what in said for what in ("no space left on the device", "needs 64 MB", "the disk is full")), (
                said
            )
            assert str(disk / "job") in said or "the disk is full" in said, said
        assert server.stats.calls("search") == server.stats.calls("token") == 0


def test_a_full_folder_for_temporary_files_is_named_and_no_output_is_blamed(tmp_path: Path, mount: Mount) -> None:
    job(tmp_path, url="sandbox", images=[{"manifest": "-"}])
    (tmp_path / "urls").write_text("".join(f"https://cdn.example.com/{n}.jpg\n" for n in range(50_000)))
    small = mount("small", megabytes=1)
    command = [sys.executable, "-m", "pipeline", "check", "job.yaml"]
    with (tmp_path / "urls").open() as urls:
        done = subprocess.run(
            command, stdin=urls, cwd=tmp_path, env=os.environ | {"TMPDIR": str(small)}, capture_output=True, text=True
        )
    assert done.returncode == 5
    [told] = faults_in(done.stderr)
    assert (told.error, told.at) == ("No space left on device; mend it and run again", str(small))
    assert list(small.iterdir()) == []


def _fill(filler: Path, *, free: int) -> None:
    """Take all of a disk but so many bytes."""
    filler.unlink(missing_ok=True)
    disk = os.statvfs(filler.parent)
    filler.write_bytes(b"x" * (disk.f_bavail * disk.f_frsize - free))
