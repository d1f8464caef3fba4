"""The end of a run: a page that cannot be written as it should takes nothing from the run."""

import logging
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.job.schema import JobSpec
from pipeline.journal.storage import reading_only
from pipeline.results.decisions import DECISIONS
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary
from pipeline.run.load import load_spec
from pipeline.run.outputs import write_outputs
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.pages import Page


@pytest.fixture
def ended(tmp_path: Path) -> tuple[JobSpec, Path, RunSummary]:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3, api={"max_in_flight": 1})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
    return load_spec(path), tmp_path / "runs/job", summary


def outputs(spec: JobSpec, folder: Path, summary: RunSummary) -> None:
    with reading_only(folder) as db:
        write_outputs(folder, db, RecordLines(spec, "0" * 64), summary)


@pytest.mark.proofs
@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(b"no JSON at all", id="no JSON"),
        pytest.param(b"\xff\xfe", id="no UTF-8"),
        pytest.param(b'{"item": 7}', id="no record"),
        pytest.param(b"[" * 100_000, id="wildly nested"),
        pytest.param(b"", id="empty"),
    ],
)
def test_the_page_skips_and_logs_a_line_that_it_cannot_read(
    ended: tuple[JobSpec, Path, RunSummary], foreign: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    spec, folder, summary = ended
    one, _, three = (folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "results.jsonl").write_bytes(one + foreign + b"\n" + three)
    (folder / "report.html").unlink()
    with caplog.at_level(logging.ERROR):
        outputs(spec, folder, summary)
    page = Page(folder / "report.html")
    assert {one.item for one in page.products} == {"P0000", "P0002"}
    assert page.run["unreadable"] == 1
    assert "report.line_unreadable results.jsonl:2: " in caplog.text


def test_a_page_that_fails_for_any_reason_is_logged_and_the_run_stands(
    ended: tuple[JobSpec, Path, RunSummary], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, folder, summary = ended
    before = (folder / "report.html").read_bytes()

    def broken(_: str) -> bytes | None:
        raise RuntimeError("no such picture store")

    with caplog.at_level(logging.ERROR):
        monkeypatch.setattr("pipeline.run.pictures.hit_picture", lambda *_: broken)
        outputs(spec, folder, summary)
    assert "report.failed error=RuntimeError no such picture store" in caplog.text
    assert (folder / "report.html").read_bytes() == before


def test_a_page_that_is_not_written_is_said_with_what_to_type(ended: tuple[JobSpec, Path, RunSummary]) -> None:
    spec, folder, summary = ended
    (spec.folder / DECISIONS).write_bytes(b"\xbf\xff\x00 is no text")
    said: list[str] = []
    with reading_only(folder) as db:
        write_outputs(folder, db, RecordLines(spec, "0" * 64), summary, say=said.append)
    [told] = said
    assert told.startswith(f"note: the page was not written: {spec.folder / DECISIONS}: this is not CSV")
    assert told.endswith(f"run `pipeline report {folder}`")


def test_an_ended_run_leaves_no_log_of_sqlite_beside_its_journal(ended: tuple[JobSpec, Path, RunSummary]) -> None:
    assert not list(ended[1].glob("journal.sqlite-*"))


def test_the_units_that_the_vendor_billed_are_summed_up_over_all_runs_of_a_directory(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        first = run_job(path, options=RunOptions(environment=ACCOUNT, limit=1))
        second = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert (first.units_billed, second.units_billed, server.stats.units) == (2, 4, 4)
