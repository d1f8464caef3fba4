"""Run directories that cannot be trusted: read-only, another's, linked, on a network, or changed by others."""

import json
import logging
import os
import shutil
import sys
from pathlib import Path

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.errors import JournalError
from pipeline.journal.places import JOURNAL
from pipeline.journal.storage import open_disk
from pipeline.run.directory import lock
from tests.support.fakes import NOW, rows
from tests.support.fixtures import Mount
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.processes import completed
from tests.support.told import faults_in

NOBODY = 65534


def go_on(path: Path, *overrides: str) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT))


# --- who may write here ---


def test_a_read_only_disk_is_refused_before_anything_is_sent(tmp_path: Path, mount: Mount) -> None:
    disk = mount("disk", megabytes=1, options="ro")
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        done = pipeline("run", path, "--set", f"output.dir={disk}", "-q", cwd=tmp_path, **ACCOUNT)
        assert server.stats.calls("search") == server.stats.calls("token") == 0
    assert done.returncode == 5
    [told] = faults_in(done.stderr)
    assert "Read-only file system; check the disk and the permissions" in told.error


def test_a_folder_without_permission_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "job"
    folder.mkdir(parents=True)
    folder.chmod(0o500)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        command = [*powerless(), sys.executable, "-m", "pipeline", "run", path, "-q"]
        done = completed(command, cwd=tmp_path, env={**os.environ, **ACCOUNT})
        assert server.stats.calls("search") == server.stats.calls("token") == 0
    assert done.returncode == 5, done.stderr
    [told] = faults_in(done.stderr)
    assert "Permission denied; check the disk and the permissions" in told.error


@pytest.mark.parametrize("name", ["journal.sqlite", "results.jsonl"])
def test_a_file_that_this_user_may_not_read_is_told_as_that_and_no_repair_touches_it(tmp_path: Path, name: str) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        run_job(path, options=RunOptions(environment=ACCOUNT))
    run = tmp_path / "runs" / "job"
    (run / name).chmod(0)
    for command in (["status", run, "--verify"], ["repair", run]):
        call = [*powerless(), sys.executable, "-m", "pipeline", *command]
        done = completed(call, cwd=tmp_path, env={**os.environ, **ACCOUNT})
        assert done.returncode == 5, done.stderr
        [told] = faults_in(done.stderr)
        assert "Permission denied" in told.error
        assert told.fix == ""
    assert not [*run.glob("*.damaged-*"), *run.glob(".repairing")]


def powerless() -> list[str]:
    """What a command begins with so that root, too, may only read and write what permissions say."""
    if os.getuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", NOBODY, NOBODY)
    with pytest.raises(JournalError, match="it belongs to another user"), lock(tmp_path / "run"):
        pass


# --- links ---


def test_a_linked_run_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="is a link"), lock(tmp_path / "run"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["results.jsonl", "journal.sqlite", "journal.sqlite-wal", "run.log.jsonl", "lock", "spool", "open.jsonl"]
)
def test_a_linked_file_in_it_is_refused_and_what_it_points_to_is_left_alone(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        (tmp_path / "runs/job").mkdir(parents=True)
        (tmp_path / "runs/job" / name).symlink_to(victim)
        with pytest.raises(JournalError, match="this is a link") as refused:
            go_on(path)
        assert ("remove it" in str(refused.value)) is (
            name in ("run.log.jsonl", "lock", "open.jsonl")
        )  # the rest is paid
        assert server.stats.calls("search") == 0
    assert victim.read_text() == "precious"


def test_a_pipe_in_it_is_refused_and_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "run.log.jsonl")
    with pytest.raises(JournalError, match="no regular file"), lock(tmp_path / "run"):
        pass


# --- network file systems ---


def test_on_a_network_file_system_there_is_no_write_ahead_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also for a journal that had one: a run directory that was copied there."""
    open_disk(tmp_path, now=NOW).close()
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        disk = open_disk(tmp_path, now=NOW, mounts=lambda: f"server:/ {tmp_path} nfs4 rw 0 0\n")
    try:
        modes = [disk.db.do(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "locking_mode")]
        assert modes == ["truncate", "exclusive"]
        disk.db.set_meta("a", "b")
        assert not (tmp_path / f"{JOURNAL}-wal").exists()
        assert not (tmp_path / f"{JOURNAL}-shm").exists()
        assert "journal.network_file_system no write-ahead log on nfs4" in caplog.text
    finally:
        disk.close()
    back = open_disk(tmp_path, now=NOW)
    assert back.db.do("PRAGMA journal_mode").fetchone()[0] == "wal"
    back.close()


def test_a_whole_run_works_without_the_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.journal.storage.network_file_system", lambda *_, **__: "nfs4")
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=6)
        assert go_on(path).exit_code == 0
        assert go_on(path).calls_this_run["search"] == 0
    assert "journal.network_file_system" in (tmp_path / "runs/job/run.log.jsonl").read_text()
    assert pipeline("status", "runs/job", "--json", cwd=tmp_path).returncode == 0


# --- results.jsonl changed by others ---


def test_whole_lines_of_nobody_beyond_the_end_are_cut(tmp_path: Path) -> None:
    results = tmp_path / "runs/job/results.jsonl"
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=4)
        go_on(path, "api.qps=999", "output.hits=1")
        before = results.read_bytes()
        foreign = {**lines(results)[0], "item": "nobody's"}
        with results.open("ab") as file:
            file.write(json.dumps(foreign).encode() + b'\n{"a": 1}\nrubbish\n')
        summary = go_on(path, "output.hits=1")
    assert summary.exit_code == 0
    assert results.read_bytes() == before
    log = (tmp_path / "runs/job/run.log.jsonl").read_text()
    assert "adopted=0" in log.splitlines()[-2] or "adopted=0" in log


def test_a_line_again_of_an_item_that_is_settled_is_cut(tmp_path: Path) -> None:
    results = tmp_path / "runs/job/results.jsonl"
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        go_on(path)
        before = results.read_bytes()
        results.write_bytes(before + before.splitlines(keepends=True)[0])
        assert go_on(path).exit_code == 0
    assert results.read_bytes() == before
    assert [row[0] for row in rows(tmp_path / "runs/job", "seq")] == [0, 1, 2] or len(lines(results)) == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda data: b'{"a":1}\n' + data, "line 3 is not what was written", id="a line before"),
        pytest.param(lambda data: data.replace(b'"tasked"', b'"TASKED"'), "is not what was written", id="a word"),
        pytest.param(lambda data: data[:-20], "shortened", id="the end gone"),
        pytest.param(lambda _: b"", "shortened", id="emptied"),
    ],
)
def test_foreign_bytes_inside_stop_the_run_before_anything_is_sent(tmp_path: Path, change: object, said: str) -> None:
    results = tmp_path / "runs/job/results.jsonl"
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=5)
        run_job(path, options=RunOptions(environment=ACCOUNT, limit=3))
        changed = change(results.read_bytes())  # type: ignore[operator]
        results.write_bytes(changed)
        done = pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT)
        assert server.stats.calls("search") == 3
    assert done.returncode == 5
    [told] = faults_in(done.stderr)
    assert told.at == str(results)
    assert said in told.error
    assert "file back" in told.error
    assert told.fix.startswith("pipeline repair ")
    assert results.read_bytes() == changed  # nothing is mended behind anyone's back
