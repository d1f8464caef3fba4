"""Fixtures of the sources' tests: a job with the given images."""

from pathlib import Path

import pytest

from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from tests.support.fixtures import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Make a job with the given images, one YAML text each; uploads are allowed unless `more` says otherwise."""

    def job(*images: str, more: str = "upload: {public: true}") -> JobSpec:
        listed = "".join(f"  - {image}\n" for image in images)
        (tmp_path / "job.yaml").write_text(f"version: 1\nname: a\nimages:\n{listed}{more}\n")
        return load_job(tmp_path / "job.yaml")

    return job
