"""A job of many machines is run by no machine for itself, and each machine finds the one run there is."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.journal.places import SPLIT
from pipeline.run.directory import run_folder
from pipeline.run.local import run_job

NIGHT = datetime(2026, 11, 27, 23, 59, tzinfo=UTC)
MORNING = datetime(2026, 11, 28, 0, 1, tzinfo=UTC)

JOB = """\
version: 1
name: many
images: [{url: 'https://cdn.example.com/1.jpg'}]
api: {base_url: sandbox}
cluster: {shared: shared}
output: {run: '{name}-{date}'}
"""


def job_in(folder: Path) -> JobSpec:
    (folder / "job.yaml").write_text(JOB)
    return load_job(folder / "job.yaml")


def split(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / SPLIT).write_text("{}")
    return folder


def test_no_machine_runs_a_job_of_many_machines_by_itself(tmp_path: Path) -> None:
    job_in(tmp_path)
    with pytest.raises(SpecError) as refused:
        run_job(tmp_path / "job.yaml")
    [line] = refused.value.lines
    assert "for many machines" in line
    assert "pipeline cluster run" in line
    assert "--set cluster=null" in line
    assert {one.name for one in tmp_path.iterdir()} == {"job.yaml"}


def test_a_rehearsal_of_it_is_run_by_one_machine(tmp_path: Path) -> None:
    assert job_in(tmp_path).rehearsed().cluster is None


def test_its_run_lies_in_the_folder_that_the_machines_share(tmp_path: Path) -> None:
    assert run_folder(job_in(tmp_path), now=NIGHT) == tmp_path / "shared" / "many-2026-11-27"


def test_a_machine_that_joins_after_midnight_finds_the_run_that_was_split_before(tmp_path: Path) -> None:
    spec = job_in(tmp_path)
    before = split(run_folder(spec, now=NIGHT))
    assert run_folder(spec, now=MORNING) == before
    assert run_folder(spec, now=MORNING, new=True).name == "many-2026-11-28"


def test_of_several_runs_the_newest_goes_on(tmp_path: Path) -> None:
    spec = job_in(tmp_path)
    for name in ("many-2026-11-25", "many-2026-11-26", "many-2026-11-26.2", "many-2026-11-26.10", "other-2026-11-27"):
        split(tmp_path / "shared" / name)
    assert run_folder(spec, now=NIGHT).name == "many-2026-11-26.10"
