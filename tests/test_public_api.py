"""The public names: which they are, what loading them costs, and that their examples are true."""

import doctest
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline import run_job
from tests.support.processes import completed, python

NAMES = [
    "JournalError",
    "Observer",
    "PipelineError",
    "Plan",
    "Progress",
    "RecordView",
    "RunLocked",
    "RunOptions",
    "RunSummary",
    "SpecError",
    "Stop",
    "__version__",
    "plan_job",
    "read_records",
    "run_job",
]
JOB = """version: 1
name: portfolio
images:
  - {id: A, url: "https://sandbox.invalid/gallery/bag-0-1.png"}
  - {id: B, url: "https://sandbox.invalid/gallery/bag-0-2.png"}
  - {id: C, url: "https://sandbox.invalid/gallery/bag-1-1.png"}
search: {limit: 20}
api: {base_url: sandbox, qps: 1000, max_in_flight: 1}
"""


def test_the_public_names_are_these() -> None:
    assert sorted(NAMES) == NAMES == pipeline.__all__
    assert {*NAMES} <= {*dir(pipeline)}
    assert all(getattr(pipeline, name) for name in NAMES)
    with pytest.raises(AttributeError, match="no attribute 'run_jobs'"):
        pipeline.run_jobs  # noqa: B018


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys; before = {*sys.modules}; import pipeline; print(*({*sys.modules} - before))"
    loaded = set(completed(python(code)).stdout.split())
    ours = {name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names}
    assert ours == {"pipeline", "pipeline.version"}
    assert not loaded & {"asyncio", "sqlite3", "ssl", "http", "email", "json", "pathlib", "dataclasses"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job that was run, as the examples have it."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "portfolio.yaml").write_text(JOB)
    assert run_job(folder / "portfolio.yaml").exit_code == 0
    return folder


@pytest.mark.parametrize("name", ["pipeline", *(name for name in NAMES if name != "__version__")])
def test_every_public_name_has_an_example_that_is_true(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(folder)
    what = pipeline if name == "pipeline" else getattr(pipeline, name)
    module = sys.modules[getattr(what, "__module__", "pipeline")]
    finder = doctest.DocTestFinder(recurse=False)
    [found] = finder.find(what, name, module=module, globs={})
    assert found.examples, f"{name} has no example"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=said.append)
    assert "".join(said) == ""
