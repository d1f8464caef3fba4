"""A machine takes part in a run with the same version and the same time, or it is told why not in one line."""

import json
import time
from pathlib import Path

import pytest

from pipeline.cluster.joining import LEASES, join
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.machines import PROGRESS
from pipeline.cluster.split import SPLIT, split_job
from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.version import __version__


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    (tmp_path / "job.yaml").write_text(
        "version: 1\nname: many\nimages: [{url: 'https://cdn.example.com/1.jpg'}]\ncluster: {shared: shared}\n"
    )
    return load_job(tmp_path / "job.yaml")


def of_version(folder: Path, version: str) -> None:
    split = json.loads((folder / SPLIT).read_bytes())
    (folder / SPLIT).write_text(json.dumps(split | {"program": version}))


def test_the_first_who_joins_splits_the_job_and_makes_the_place_of_leases(spec: JobSpec, tmp_path: Path) -> None:
    joined = join(spec, say=pytest.fail)
    assert joined.split.items == 1
    assert joined.leases == str(tmp_path / "shared" / LEASES)
    assert (tmp_path / "shared" / LEASES).is_dir()


def test_another_version_is_refused_in_one_line(spec: JobSpec) -> None:
    folder, _ = split_job(spec)
    of_version(folder, "0.0.1")
    with pytest.raises(SpecError) as refused:
        join(spec, say=pytest.fail)
    [line] = refused.value.lines
    assert f"belongs to version 0.0.1 of this program, and this is {__version__}" in line


def test_after_an_upgrade_of_all_machines_a_split_says_so(spec: JobSpec) -> None:
    folder, _ = split_job(spec)
    of_version(folder, "0.0.1")
    assert split_job(spec, upgrade=True)[1].program == __version__
    assert join(spec, say=pytest.fail).split.program == __version__


def test_no_upgrade_while_workers_of_the_other_version_are_at_work(spec: JobSpec) -> None:
    folder, _ = split_job(spec)
    of_version(folder, "0.0.1")
    worker = folder / WORKERS / "machine-1"
    worker.mkdir(parents=True)
    (worker / PROGRESS).write_text(json.dumps({"at": time.time()}))
    with pytest.raises(SpecError, match=r"are at work on this run \(machine-1\)"):
        split_job(spec, upgrade=True)


@pytest.mark.parametrize("apart_s", [6.0, -6.0])
def test_a_clock_that_is_far_from_the_folders_is_refused(spec: JobSpec, apart_s: float) -> None:
    with pytest.raises(SpecError, match=r"clock is [56]\.\d s (ahead|behind) of the shared folder's"):
        join(spec, say=pytest.fail, wall=lambda: time.time() + apart_s)


@pytest.mark.parametrize("apart_s", [3.0, -3.0])
def test_a_clock_that_is_a_little_apart_is_said(spec: JobSpec, apart_s: float) -> None:
    said: list[str] = []
    join(spec, say=said.append, wall=lambda: time.time() + apart_s)
    assert ["this machine's clock is" in line for line in said] == [True]
