"""Fixtures of the job's tests: a job from a text, and the faults of a bad one."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from tests.support.fixtures import Faults, Load


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a job from a text (or bytes), as a file named job.yaml."""

    def load(text: str | bytes, **more: Any) -> JobSpec:
        file = tmp_path / "job.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_job(file, **more)

    return load


@pytest.fixture
def faults(load: Load, tmp_path: Path) -> Faults:
    """Return the lines of the SpecError that a text causes, without the file's folder; each is printable."""

    def faults(text: str | bytes, **more: Any) -> list[str]:
        with pytest.raises(SpecError) as refusal:
            load(text, **more)
        lines = [line.removeprefix(f"{tmp_path}/") for line in refusal.value.lines]
        assert lines
        assert all(line.startswith("job.yaml:") and line.isprintable() for line in lines), lines
        return lines

    return faults
