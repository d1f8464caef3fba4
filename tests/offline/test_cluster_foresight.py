"""What plan, doctor, clean and an archive's readers say of a job for many machines: its own next step, never `run`."""

import json
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.split import split_job
from pipeline.job.load import load_job
from tests.support.jobs import job, pipeline

pytestmark = pytest.mark.proofs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    return job(tmp_path, url="sandbox", pictures=2, cluster={"shared": "shared", "shards": 2})


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    cli.run([str(word) for word in words])
    out, err = capsys.readouterr()
    return " ".join((out + err).split())


def test_plan_names_the_commands_of_many_machines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "plan", file)
    assert f"it is not split yet: `pipeline split {file}` makes its shards" in text
    assert f"`pipeline cluster run {file} --local 2` does both on this one" in text
    folder, _ = split_job(load_job(file))
    text = said(capsys, "plan", file)
    assert f"it is split: `pipeline work {file}` on each machine goes on with it; 0 items have come to an end" in text
    assert f"`pipeline status {folder}` says what is left" in text
    assert "pipeline run" not in text


def test_the_next_step_names_what_changed_the_job_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else it finds no run, or another one."""
    other = ("--set", "name=other")
    assert f"`pipeline work {file} --set name=other`" in said(capsys, "plan", file, *other)
    assert f"`pipeline work {file} --set name=other`" in said(capsys, "doctor", file, *other)
    text = said(capsys, "split", file, *other)
    assert f"Next: pipeline work {file} --set name=other on each machine" in text
    assert f"or pipeline cluster run {file} --set name=other --local 2 here" in text
    done = pipeline("cluster", "run", file.name, *other, "--yes", cwd=file.parent)
    assert done.stdout.endswith(f"Next: pipeline status {file.parent / 'shared' / 'other'}\n")


def test_doctor_names_the_commands_of_many_machines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"it is not split yet: `pipeline split {file}`" in said(capsys, "doctor", file)
    split_job(load_job(file))
    assert f"it is split: `pipeline work {file}` on each machine goes on with it" in said(capsys, "doctor", file)


def test_doctor_takes_a_shared_folder_on_a_network_and_refuses_one_that_is_not_there(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.offline.doctor.job.network_file_system", lambda _: "nfs")
    assert "lies on a network" not in said(capsys, "doctor", file)
    (file.parent / "shared").rmdir()
    assert "is not there; a file system that is not mounted looks the same" in said(capsys, "doctor", file)


def test_a_split_leaves_a_copy_of_its_file(file: Path) -> None:
    folder, _ = split_job(load_job(file))
    assert (folder / "shards" / "split.json").read_bytes() == (folder / "split.json").read_bytes()


def test_clean_keeps_a_run_that_was_split_and_not_begun(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = split_job(load_job(file))
    for path in (file, file.parent / "shared"):
        text = said(capsys, "clean", path, "--older", "0h", "--yes")
        assert "stays: 1 shard is not finished: 0000" in text
    assert folder.is_dir()
    assert "this is a run directory itself" in said(capsys, "clean", folder)


@pytest.mark.parametrize("words", [["pack"], ["repair"], ["collect"], ["bill"]])
def test_an_archive_is_said_to_be_one(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "job.zip"
    archive.write_bytes(b"PK\x03\x04")
    assert cli.run([*words, str(archive)]) == 2
    assert "an archive of a run is only looked at" in capsys.readouterr().err


def test_plan_still_tells_programs_the_same_fields(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["plan", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["refused"] == []
