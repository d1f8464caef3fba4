"""The examples in samples/library run, and do what they say."""

import asyncio
import csv
import importlib.util
import io
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.results.records import read_records
from pipeline.sandbox.resources import resource
from tests.support.processes import completed, python

KINDS = ("search", "create", "upload", "details", "query")
LIBRARY = Path(__file__).parent.parent.parent / "samples" / "library"


def sample(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LIBRARY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of twelve shipped products, in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for picture in sorted(resource("products").glob("*.jpg"))[:12]:
        shutil.copy(picture, tmp_path / "photos")
    spec = {
        "version": 1,
        "name": "twelve",
        "images": [{"path": "photos", "labels": {"client": "acme"}}],
        "upload": {"public": True},
        "search": {"limit": 5},
        "task": {"report": "wait"},
        "details": {"top": 5, "above": 0},
        "api": {"base_url": "sandbox", "qps": dict.fromkeys(KINDS, 100), "max_in_flight": 2},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(spec))
    return tmp_path / "job.yaml"


def test_every_sample_has_its_test() -> None:
    assert sorted(path.stem for path in LIBRARY.glob("*.py")) == [
        "as_they_come",
        "cancel",
        "screen_folder",
        "to_pandas",
    ]


@pytest.mark.proofs
def test_a_folder_is_screened(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = sample("screen_folder").screen(job.parent / "photos")
    assert (summary.exit_code, summary.items["tasked"]) == (0, 12)
    assert "12 pictures, 36 calls, 0 made fit before the upload" in capsys.readouterr().out


@pytest.mark.proofs
def test_results_become_a_table_with_and_without_pandas(job: Path) -> None:
    assert sample("cancel").with_deadline(str(job), 600.0).exit_code == 0
    run = job.parent / "runs" / "twelve"
    module = sample("to_pandas")
    rows = list(module.rows(run))
    assert len(rows) == 12 * 5
    assert {row["client"] for row in rows} == {"acme"}
    assert set(rows[0]) == set(module.COLUMNS)
    assert any(row["owner"] for row in rows)
    assert all(0 <= row["compared"] <= 1 for row in rows if row["compared"] is not None)
    code = f"import runpy, sys; runpy.run_path({str(LIBRARY / 'to_pandas.py')!r}, run_name='__main__')"
    without = completed(python(code.replace("sys;", "sys; sys.modules['pandas'] = None;"), run))
    assert without.returncode == 0, without.stderr
    assert len(list(csv.DictReader(io.StringIO(without.stdout)))) == 12 * 5
    done = completed(python(code, run))
    assert done.returncode == 0, done.stderr
    best = {record.item: max(hit["score"] for hit in record.hits) for record in read_records(run)}
    shown = dict(
        line.split() for line in done.stdout.splitlines() if line.count(".") == 1 and not line.startswith("Name")
    )
    assert {item: float(score) for item, score in shown.items()} == pytest.approx(best)


@pytest.mark.proofs
def test_records_are_taken_as_they_come_and_enough_of_them_end_the_run(job: Path) -> None:
    summary, strong = sample("as_they_come").watched(str(job))
    assert len(strong) >= 3
    assert summary.items["settled"] >= 3
    assert summary.exit_code in (0, 1)


@pytest.mark.proofs
def test_a_run_is_cancelled_from_a_thread_and_from_a_task(job: Path) -> None:
    module = sample("cancel")
    assert module.with_deadline(str(job), 0.0).exit_code == 1

    async def enough_after_one() -> int:
        enough = asyncio.Event()
        run = asyncio.create_task(module.beside(str(job), enough))
        results = job.parent / "runs" / "twelve" / "results.jsonl"
        while not run.done() and not (results.is_file() and results.stat().st_size):
            await asyncio.sleep(0.01)
        enough.set()
        summary = await run
        return int(summary.exit_code)

    assert asyncio.run(enough_after_one()) in (0, 1)
    assert module.with_deadline(str(job), 600.0).exit_code == 0
    assert len(list(read_records(job.parent / "runs" / "twelve"))) == 12
