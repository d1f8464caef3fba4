"""A machine takes part in a run with the same version and the same time, or it is told why not in one line."""

import dataclasses
import json
import time
from pathlib import Path

import pytest

from pipeline.cluster.joining import ASKED, join, note_question
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.machines import PROGRESS
from pipeline.cluster.split import SPLIT, split_job
from pipeline.errors import JournalError, SpecError
from pipeline.job.load import load_job
from pipeline.run.cluster_runs import LEASES
from pipeline.run.load import SANDBOX_CREDENTIALS, Job
from pipeline.version import __version__

JOB = "version: 1\nname: many\nimages: [{url: 'https://cdn.example.com/1.jpg'}]\ncluster: {shared: shared}\n"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Write a job whose shared folder is there, and is empty, as that of a file system that is not mounted."""
    (tmp_path / "shared").mkdir(mode=0o700)
    (tmp_path / "job.yaml").write_text(JOB)
    return Job(load_job(tmp_path / "job.yaml"), SANDBOX_CREDENTIALS, file=tmp_path / "job.yaml")


def of_version(folder: Path, version: str) -> None:
    split = json.loads((folder / SPLIT).read_bytes())
    (folder / SPLIT).write_text(json.dumps(split | {"program": version}))


def test_who_joins_takes_part_in_the_run_that_was_split(job: Job, tmp_path: Path) -> None:
    folder, split = split_job(job.spec)
    assert join(job, say=pytest.fail) == (folder, split, str(tmp_path / "shared" / LEASES))


def test_nobody_joins_a_run_that_is_not_there_and_nothing_is_made(job: Job, tmp_path: Path) -> None:
    """A worker that split for itself would pay for everything anew, beside machines that have mounted the folder."""
    with pytest.raises(JournalError) as refused:
        join(job, say=pytest.fail)
    [line] = refused.value.args
    assert "`pipeline split JOB` (or `pipeline cluster run JOB`) was not run yet" in line
    assert "the folder that the machines share is not mounted" in line
    assert (line.fix, refused.value.exit_code) == (f"pipeline cluster check {tmp_path}/job.yaml", 5)
    assert list((tmp_path / "shared").iterdir()) == []


def test_another_run_in_the_folder_is_no_reason_to_split_this_one(job: Job, tmp_path: Path) -> None:
    split_job(job.spec.model_copy(update={"name": "other"}))
    with pytest.raises(JournalError, match="no run that was split is here"):
        join(job, say=pytest.fail)
    assert not (tmp_path / "shared" / "many").exists()


@pytest.mark.parametrize("named", ["", "api: {leases: leases}\n"])
def test_leases_that_are_not_there_are_refused_and_never_begun_anew(tmp_path: Path, job: Job, named: str) -> None:
    (tmp_path / "job.yaml").write_text(JOB + named)
    job = dataclasses.replace(job, spec=load_job(tmp_path / "job.yaml"))
    split_job(job.spec)
    place = tmp_path / ("leases" if named else f"shared/{LEASES}")
    if not named:
        place.rmdir()
    with pytest.raises(JournalError, match="the folder for the leases is not here, although the run is") as refused:
        join(job, say=pytest.fail)
    assert refused.value.exit_code == 5
    assert not place.exists()


def test_another_version_is_refused_in_one_line(job: Job) -> None:
    folder, _ = split_job(job.spec)
    of_version(folder, "0.0.1")
    with pytest.raises(SpecError) as refused:
        join(job, say=pytest.fail)
    [line] = refused.value.lines
    assert f"belongs to version 0.0.1 of this program, and this is {__version__}" in line


def test_after_an_upgrade_of_all_machines_a_split_says_so(job: Job) -> None:
    folder, _ = split_job(job.spec)
    of_version(folder, "0.0.1")
    assert split_job(job.spec, upgrade=True)[1].program == __version__
    assert join(job, say=pytest.fail).split.program == __version__


def test_no_upgrade_while_workers_of_the_other_version_are_at_work(job: Job) -> None:
    folder, _ = split_job(job.spec)
    of_version(folder, "0.0.1")
    worker = folder / WORKERS / "machine-1"
    worker.mkdir(parents=True)
    (worker / PROGRESS).write_text(json.dumps({"at": time.time()}))
    with pytest.raises(SpecError, match=r"are at work on this run \(machine-1\)") as refused:
        split_job(job.spec, upgrade=True, words=["k 2.yaml"])
    assert "run `pipeline cluster down 'k 2.yaml' machine-1`" in refused.value.lines[0]


@pytest.mark.parametrize("apart_s", [6.0, -6.0])
def test_a_clock_that_is_far_from_the_folders_is_refused(job: Job, apart_s: float) -> None:
    split_job(job.spec)
    with pytest.raises(SpecError, match=r"clock is [56]\.\d s (ahead|behind) of the shared folder's"):
        join(job, say=pytest.fail, wall=lambda: time.time() + apart_s)


@pytest.mark.parametrize("apart_s", [3.0, -3.0])
def test_a_clock_that_is_a_little_apart_is_said(job: Job, apart_s: float) -> None:
    said: list[str] = []
    split_job(job.spec)
    join(job, say=said.append, wall=lambda: time.time() + apart_s)
    assert ["this machine's clock is" in line for line in said] == [True]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("search: {limit: 7}\n", "search.limit was 7, is now "),
        ("api: {base_url: 'https://eu.example.com'}\n", "this run directory belongs to "),
    ],
    ids=["question", "vendor"],
)
def test_once_workers_have_begun_a_job_that_asks_something_else_is_refused_though_their_shards_are_done(
    job: Job, tmp_path: Path, changed: str, said: str
) -> None:
    folder, _ = split_job(job.spec)
    before = tmp_path / "before.yaml"
    before.write_text(JOB + changed)
    as_before = dataclasses.replace(job, spec=load_job(before))
    note_question(join(as_before, say=pytest.fail), as_before)  # nothing was asked yet, so it may ask what it likes
    note_question(join(as_before, say=pytest.fail), job)  # noted once
    with pytest.raises(SpecError) as refused:
        join(job, say=pytest.fail)
    [line] = refused.value.lines
    assert said in line
    assert "nothing was sent" in line
    assert line.fix == f"pipeline split {tmp_path}/job.yaml --new"
    assert join(as_before, say=pytest.fail)
    (folder / ASKED).write_bytes(b"{")
    assert join(job, say=pytest.fail)
