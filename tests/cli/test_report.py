"""`pipeline report`: page and figures of a run at any time, which say as of when they are, and of which state."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, started, vendor
from tests.support.processes import ended, until_lines
from tests.support.told import faults_in


def report(folder: Path, of: Path) -> list[str]:
    done = pipeline("report", of, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def status(folder: Path) -> dict[str, Any]:
    done = pipeline("status", folder / "runs" / "job", "--json", cwd=folder)
    assert done.returncode == 0
    return dict(json.loads(done.stdout))


class Seen:
    """What a person finds in a run directory."""

    def __init__(self, folder: Path) -> None:
        run = folder / "runs" / "job"
        self.page = (run / "report.html").read_text()
        self.summary = json.loads((run / "summary.json").read_text())
        self.open = [record["item"] for record in lines(run / "open.jsonl")]
        self.ids = re.findall(r"<h3><bdi>(.*?)</bdi>", self.page)
        self.as_of = re.search(r"As of .*", self.page)[0]  # type: ignore[index]

    def assert_agrees(self) -> None:
        """The page, the summary and open.jsonl say the same."""
        items = self.summary["items"]
        assert len(self.open) == items["open"]
        assert len(self.ids) == items["settled"] + items["open"]
        assert f'<p class="total"><b>{items["all"]}</b>' in self.page


@pytest.mark.proofs
def test_after_a_kill_the_files_are_old_until_report_makes_them_anew(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["68300010"]}), latency_s=0.05) as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 2})
        assert pipeline("run", path, "-q", "--limit", "3", cwd=tmp_path, **ACCOUNT).returncode == 1
        before = Seen(tmp_path)
        assert "the run had come to its end" in before.as_of
        assert status(tmp_path)["page"] == ""
        run = tmp_path / "runs" / "job"
        with started("run", path, "-q", cwd=tmp_path, **ACCOUNT) as process:
            until_lines(run / "results.jsonl", 6, by=process)
            process.send_signal(signal.SIGKILL)
            ended(process)
        assert Seen(tmp_path).page == before.page
        assert status(tmp_path)["page"].startswith("report.html is older than the results; `pipeline report ")
        calls = server.stats.calls("search"), server.stats.calls("create")

        said = report(tmp_path, path)
        now = Seen(tmp_path)
        now.assert_agrees()
        assert "interrupted before it came to its end" in now.as_of
        assert "interrupted before it came to its end" in said[0]
        assert (now.summary["state"], now.summary["as_of"] > before.summary["as_of"]) == ("interrupted", True)
        assert now.summary["items"]["settled"] >= 6
        found = status(tmp_path)
        assert (found["page"], found["items"]) == ("", now.summary["items"])
        assert "never came to its end" in found["now"]
        assert (server.stats.calls("search"), server.stats.calls("create")) == calls
        pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT)
    last = Seen(tmp_path)
    last.assert_agrees()
    assert (last.summary["state"], "the run had come to its end" in last.as_of) == ("finished", True)


@pytest.mark.proofs
def test_beside_a_run_that_goes_on_the_page_says_so_and_the_run_is_not_disturbed(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.1) as server:
        path = job(tmp_path, url=server.url, pictures=40, api={"max_in_flight": 1})
        run = tmp_path / "runs" / "job"
        with started("run", path, "-q", cwd=tmp_path, **ACCOUNT) as process:
            until_lines(run / "results.jsonl", 2, by=process)
            process.send_signal(signal.SIGSTOP)  # so that the run is under way however slow the machine is
            try:
                said = report(tmp_path, run)
                during = Seen(tmp_path)
            finally:
                process.send_signal(signal.SIGCONT)
            assert process.poll() is None
            assert "the run was still going on" in during.as_of
            assert "still going on" in said[0]
            assert (during.summary["state"], during.summary["exit_reason"]) == ("running", "the run is still going on")
            during.assert_agrees()
            assert ended(process) == ("", "")
            assert process.returncode == 0
    last = Seen(tmp_path)
    last.assert_agrees()
    assert (last.summary["state"], last.summary["items"]["settled"], status(tmp_path)["page"]) == ("finished", 40, "")


@pytest.mark.proofs
def test_a_run_that_ended_keeps_its_reason_and_its_code(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2, api={"budget": {"search_calls": 1}})
        assert pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT).returncode == 4
    before = Seen(tmp_path).summary
    (tmp_path / "runs" / "job" / "report.html").unlink()
    report(tmp_path, path)
    after = Seen(tmp_path).summary
    assert before.pop("as_of") <= after.pop("as_of")
    assert after == before


@pytest.mark.proofs
@pytest.mark.parametrize("wrong", ["no-such-folder", "."])
def test_what_is_no_run_is_named(tmp_path: Path, wrong: str) -> None:
    done = pipeline("report", wrong, cwd=tmp_path)
    assert (done.returncode, len(faults_in(done.stderr)), done.stdout) == (2, 1, "")


@pytest.mark.proofs
def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT)
    page = tmp_path / "runs" / "job" / "report.html"
    page.unlink()
    page.mkdir()
    done = pipeline("report", path, cwd=tmp_path)
    assert (done.returncode, "report.html" in done.stderr) == (5, True)
