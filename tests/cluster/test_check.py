"""`pipeline cluster check`: the shared folder, the clock, the user, versions, one line each, and the code that fits."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.commands.cluster_check import cluster_check_command
from pipeline.cluster import check
from pipeline.cluster.check import View, compare, look, question_of, scratch
from pipeline.cluster.put_once import NAMES, RACERS, race, take
from pipeline.cluster.split import split_job
from pipeline.errors import JournalError, SpecError
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.opening import open_store
from pipeline.leases.store import Store
from pipeline.run.load import load_spec
from pipeline.system.fault import Fault


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Write a job whose shared folder is there."""
    (tmp_path / "shared").mkdir(mode=0o700)
    file = tmp_path / "job.yaml"
    file.write_text(
        "version: 1\nname: checked\nimages: [{url: 'https://sandbox.invalid/products/a.jpg'}]\n"
        "cluster: {shared: shared}\napi: {base_url: sandbox}\n"
    )
    return file


def viewed(job: Path) -> View:
    question = question_of(job, ())
    with scratch(question):
        return look(question)


def test_a_folder_that_is_ready_says_so_and_is_left_as_it_was(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster_check_command(job, [], quick=True, ray=None) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"leases: {job.parent}/shared/.leases: {RACERS} racers, {NAMES} names, one winner each" in "\n".join(lines)
    for word in ("job", "folder", "run", "clock", "owner", "room", "leases"):
        assert sum(f"  {word}: " in line for line in lines) == 1, word
    assert lines[-1] == f"ready for many machines: {job.parent}/shared"
    assert list((job.parent / "shared").iterdir()) == []


def test_a_folder_that_is_not_there_ends_with_5_and_a_line_to_type(job: Path) -> None:
    (job.parent / "shared").rmdir()
    with pytest.raises(JournalError, match="is not there; a file system that is not mounted looks the same") as caught:
        cluster_check_command(job, [], quick=True, ray=None)
    assert isinstance(caught.value.args[0], Fault)
    assert caught.value.args[0].fix.startswith("mkdir -p -m 700 ")
    assert caught.value.exit_code == 5


@pytest.mark.proofs
def test_it_says_whether_the_run_is_split_already(job: Path) -> None:
    [run] = [seen for seen in viewed(job).seen if seen.name == "run"]
    assert (run.verdict, "is not split yet" in run.text) == ("warn", True)
    split_job(load_spec(job))
    [run] = [seen for seen in viewed(job).seen if seen.name == "run"]
    assert (run.verdict, run.text) == ("pass", f"{job.parent}/shared/checked is split")


def test_a_machine_that_sees_another_folder_at_the_path_is_found(job: Path) -> None:
    """An empty mount point is such a folder: the check was typed where the file system is mounted."""
    before = list((job.parent / "shared").iterdir())
    [bad] = [seen for seen in look(question_of(job, ())).seen if seen.bad]
    assert (bad.name, bad.storage) == ("folder", True)
    assert "another folder here than where the check was typed: it is not mounted on this machine" in bad.text
    assert list((job.parent / "shared").iterdir()) == before


def test_a_job_of_one_machine_is_refused_with_what_to_write(job: Path) -> None:
    job.write_text(job.read_text().replace("cluster: {shared: shared}\n", ""))
    with pytest.raises(SpecError, match="names no folder that machines share"):
        cluster_check_command(job, [], quick=True, ray=None)


def test_a_fault_of_the_job_comes_first(job: Path) -> None:
    job.write_text(job.read_text().replace("version: 1", "version: 1\nimage: x"))
    with pytest.raises(SpecError, match="image"):
        cluster_check_command(job, [], quick=True, ray=None)


class Generous(FolderStore):
    """A store that lets everybody have every name, as a file system without hard links that are exclusive would."""

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        super().put_new(series, number, value)
        return True


@pytest.mark.proofs
def test_a_place_that_gives_a_name_twice_is_found(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "open_store", lambda place: Generous.open(Path(place)))
    [bad] = [seen for seen in viewed(job).seen if seen.bad]
    assert (bad.name, bad.storage) == ("leases", True)
    assert f"a name was given {RACERS} times" in bad.text
    with pytest.raises(JournalError):
        cluster_check_command(job, [], quick=True, ray=None)


def test_one_of_eight_gets_each_name(tmp_path: Path) -> None:
    store: Store = open_store(str(tmp_path))
    assert race(store, "check/x") == [1] * NAMES
    assert store.newest("check") == {}, "nothing is left behind"


@pytest.mark.parametrize(("apart", "verdict"), [(0.0, "pass"), (2.0, "warn"), (6.0, "FAIL")])
def test_a_clock_that_is_not_the_folder_s_is_found(
    job: Path, monkeypatch: pytest.MonkeyPatch, apart: float, verdict: str
) -> None:
    now = check.time.time
    monkeypatch.setattr(check.time, "time", lambda: now() + apart)
    [clock] = [seen for seen in viewed(job).seen if seen.name == "clock"]
    assert clock.verdict == verdict


def test_too_little_room_is_found(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(job.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10 << 20))
    with pytest.raises(JournalError, match=r"0\.0 GB free"):
        cluster_check_command(job, [], quick=True, ray=None)


def test_files_that_a_server_hands_to_somebody_else_are_found(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    [bad] = [seen for seen in viewed(job).seen if seen.bad]
    assert "files of user 4242 belong to" in bad.text


@pytest.mark.proofs
def test_missing_credentials_are_said_and_no_secret_is(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job.write_text(job.read_text().replace("base_url: sandbox", "base_url: 'https://connect.patsnap.com'"))
    monkeypatch.setenv("PATSNAP_API_KEY", "k-never-shown-to-anybody")
    view = viewed(job)
    assert "k-never-shown-to-anybody" not in repr(view)
    assert len(view.account) == 64
    monkeypatch.delenv("PATSNAP_API_KEY")
    assert [seen.name for seen in viewed(job).seen if seen.bad] == ["credentials"]


# --- several machines ---


@pytest.fixture
def views(job: Path) -> list[View]:
    """Look from three machines."""
    question = question_of(job, ())
    with scratch(question):
        return [look(question)._replace(host=f"m{number}") for number in range(3)]


def test_machines_that_go_together_pass(views: list[View]) -> None:
    assert [seen.verdict for seen in compare(views)] == ["pass"] * 6


DIFFERENCES: list[tuple[dict[str, Any], str, str]] = [
    ({"version": "0.1"}, "program", "m1 0.1"),
    ({"python": "3.9.1"}, "Python", "m1 3.9"),
    ({"user": 7}, "user", "m1 7"),
    ({"account": ""}, "account", "m1 none"),
    ({"ahead_s": 30.0}, "clocks", "30.0 s between machines"),
    ({"won": [f"name-{number:02}" for number in range(NAMES)]}, "put once", f"{NAMES} went to two machines"),
]


def test_what_differs_is_named(views: list[View]) -> None:
    for change, name, said in DIFFERENCES:
        [bad] = [seen for seen in compare([views[0], views[1]._replace(**change), views[2]]) if seen.bad]
        assert bad.name == name
        assert said in bad.text


def test_each_name_goes_to_one_machine(tmp_path: Path) -> None:
    first, second = take(tmp_path), take(tmp_path)
    assert (len(first), second) == (NAMES, [])
