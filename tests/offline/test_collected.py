"""Collected reports that lost their journal: every command that reads them says so, once and in words."""

import shutil
import threading
from pathlib import Path

import anyio
import pytest

from pipeline.cli import main as cli
from pipeline.errors import JournalError
from pipeline.journal.collected import has_collection, spent_beside
from pipeline.journal.places import REPORTS, RESULTS, collection_of
from pipeline.journal.storage import JOURNAL
from pipeline.offline.status import read_status
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from tests.support import fakes
from tests.support.fakes import FakeVendor, engine_of, item, open_journal
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.told import faults_in


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose one report was collected."""

    async def go() -> None:
        async with open_journal(tmp_path / "run") as journal:
            await (await engine_of(fakes.job(tmp_path), journal, FakeVendor(), [item(1)])).run()

    anyio.run(go)
    folder = tmp_path / "run"
    collection_of(folder).mkdir()
    shutil.copyfile(folder / JOURNAL, collection_of(folder) / JOURNAL)
    shutil.copyfile(folder / RESULTS, folder / REPORTS)
    return folder


def lose(run: Path, how: str) -> None:
    journal = collection_of(run) / JOURNAL
    journal.write_bytes(b"noise" * 10_000) if how == "damaged" else journal.unlink()


def test_verify_looks_at_both_journals(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", str(run), "--verify"]) == 0
    assert f"of {RESULTS}; verified" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_verify_names_the_repair_of_the_journal_of_reports(
    run: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    lose(run, how)
    assert cli.run(["status", str(run), "--verify"]) == 5
    [*notes, fault] = faults_in(capsys.readouterr().err)
    assert fault.fix == f"pipeline repair {collection_of(run)}"
    assert [note.error.startswith("note: without the reports that were collected: ") for note in notes] == [True]


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_status_without_the_collected_reports_says_so_once(
    run: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    lose(run, how)
    assert cli.run(["status", str(run)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: without the reports that were collected: ")
    assert f"pipeline repair {collection_of(run)}" in line
    assert read_status(run).items["tasked"] == 1


def test_nothing_is_paid_while_what_collecting_spent_is_not_known(run: Path) -> None:
    lose(run, "gone")
    with pytest.raises(JournalError, match="pipeline repair"):
        spent_beside(run)


def test_a_run_that_cannot_begin_for_it_leaves_no_thread_and_no_lock_in_the_process(tmp_path: Path) -> None:
    options = RunOptions(environment=ACCOUNT)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        run_job(path, options=options)
        folder = tmp_path / "runs/job"
        collection_of(folder).mkdir()
        lose(folder, "damaged")
        before = threading.enumerate()
        with pytest.raises(JournalError, match="pipeline repair"):
            run_job(path, options=options)
        assert set(threading.enumerate()) <= set(before)
        shutil.rmtree(collection_of(folder))
        assert run_job(path, options=options).exit_code == 0


@pytest.mark.parametrize("left", ["reports.jsonl", "reports.emergency-1.jsonl"])
def test_reports_whose_folder_is_gone_are_missed_as_long_as_anything_of_them_is_there(
    tmp_path: Path, left: str
) -> None:
    assert not has_collection(tmp_path)
    (tmp_path / left).write_text("x\n")
    with pytest.raises(JournalError, match=r"journal.sqlite is gone|it was taken away"):
        has_collection(tmp_path)


def test_of_a_folder_that_is_not_there_no_reports_were_collected(tmp_path: Path) -> None:
    assert not has_collection(tmp_path / "nowhere")
