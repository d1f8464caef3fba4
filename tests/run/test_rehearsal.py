"""Rehearsals: a job for a real vendor runs on the sandbox, and drawn pictures stand for its URLs."""

import json
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.results.records import read_records
from pipeline.run.load import folder_of, load, load_again
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from tests.support.jobs import ACCOUNT, job, lines, vendor
from tests.support.pages import Page

URLS = [f"https://cdn.example.com/p/{n}.jpg" for n in range(40)]
REHEARSE = RunOptions(rehearse=True, environment={})


def test_nothing_reaches_the_vendor_or_a_proxy_and_no_credentials_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PATSNAP_API_KEY=\xff\xfe\n")  # reading it would raise
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=URLS[:3], api={"proxy": "http://127.0.0.1:9"})
        summary = run_job(path, options=RunOptions(rehearse=True, environment={"PATSNAP_PROXY": "http://127.0.0.1:9"}))
        assert (summary.exit_code, summary.items["tasked"]) == (0, 3)
        assert server.stats.outcomes == {}


def test_a_job_that_was_only_rehearsed_is_called_so_by_what_looks_at_its_run(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.patsnap.com", pictures=URLS[:1])
    run_job(path, options=REHEARSE)
    rehearsal = tmp_path / "runs" / "job-rehearsal"
    with pytest.raises(SpecError, match="rehearsed, and not run yet") as refused:
        folder_of(path, environment={})
    assert str(rehearsal) in str(refused.value)
    assert folder_of(rehearsal) == rehearsal


def test_every_line_the_summary_and_the_page_say_that_it_was_a_rehearsal(tmp_path: Path) -> None:
    missing = "https://sandbox.invalid/products/none.jpg"
    path = job(tmp_path, url="https://connect.example.com", pictures=[URLS[0], missing])
    summary = run_job(path, options=REHEARSE)
    folder = tmp_path / "runs/job-rehearsal"
    assert (summary.exit_code, summary.vendor, summary.rehearsal) == (1, "sandbox", True)
    written = [*lines(folder / "results.jsonl"), *lines(folder / "open.jsonl")]
    assert [(line["vendor"], line["rehearsal"]) for line in written] == [("sandbox", True)] * 2
    assert [record.rehearsal for record in read_records(folder)] == [True]
    assert any("this is a rehearsal" in text for text in json.loads((folder / "summary.json").read_text())["warnings"])
    page = Page(folder / "report.html")
    assert page.run["rehearsal"]
    assert len(page.small) >= 2  # the stand-in, and a hit


@pytest.mark.proofs
def test_a_url_is_always_the_same_drawn_picture_and_different_ones_differ(tmp_path: Path) -> None:
    path = job(tmp_path, url="sandbox", pictures=[*URLS, *URLS[:5]])
    run_job(path, options=REHEARSE)
    first = {record.image.source: [hit["patent_id"] for hit in record.hits] for record in read_records(run(tmp_path))}
    run_job(path, options=RunOptions(rehearse=True, new=True, environment={}))
    again = read_records(tmp_path / "runs/job-rehearsal.2")
    assert all([hit["patent_id"] for hit in record.hits] == first[record.image.source] for record in again)
    assert len({tuple(ids) for ids in first.values()}) > 10


@pytest.mark.proofs
def test_a_rehearsal_never_mixes_with_the_paid_run(tmp_path: Path) -> None:
    with vendor(tmp_path, stand_ins=True) as server:
        path = job(tmp_path, url=server.url, pictures=URLS[:4])
        run_job(path, options=REHEARSE)
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert server.stats.executed == {"token": 1, "search": 4, "create": 4}
    assert (summary.run, summary.rehearsal) == ("job", False)
    assert all("rehearsal" not in line for line in lines(tmp_path / "runs/job/results.jsonl"))


@pytest.mark.proofs
def test_a_rehearsal_goes_on_where_it_stopped_and_stays_one_when_it_is_retried(tmp_path: Path) -> None:
    path = job(tmp_path, url="https://connect.example.com", pictures=URLS[:6])
    assert run_job(path, options=RunOptions(rehearse=True, limit=2, environment={})).items["not_started"] == 4
    assert run_job(path, options=REHEARSE).items["tasked"] == 6
    (tmp_path / ".env").write_bytes(b"PATSNAP_API_KEY=\xff\xfe\n")
    again = load_again(run(tmp_path), environment={})
    assert again.spec.rehearsal
    with pytest.raises(SpecError, match="rehearse"):
        load_again(run(tmp_path), overrides=["api.rehearse=false"], environment={})


def test_a_job_file_may_ask_for_it_on_the_sandbox_alone(tmp_path: Path) -> None:
    path = job(tmp_path, url="sandbox", pictures=URLS[:1], api={"rehearse": True})
    assert load(path, environment={}).spec.rehearsal
    path = job(tmp_path, url="https://connect.example.com", pictures=URLS[:1], api={"rehearse": True})
    with pytest.raises(SpecError, match=r"api\.rehearse: only with base_url: sandbox"):
        load(path, environment=ACCOUNT)


def run(folder: Path) -> Path:
    return folder / "runs/job-rehearsal"
