"""`pipeline report`: page and figures of a run at any time, which say as of when they are, and of which state."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, started, vendor
from tests.support.pages import Page
from tests.support.processes import ended, until_lines
from tests.support.told import faults_in


def report(folder: Path, of: Path, *options: str | Path) -> list[str]:
    done = pipeline("report", of, *options, cwd=folder)
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
        self.page = Page(run / "report.html")
        self.summary = json.loads((run / "summary.json").read_text())
        self.open = [record["item"] for record in lines(run / "open.jsonl")]
        self.ids = [one.item for one in self.page.products]
        self.state = self.page.run["state"]

    def assert_agrees(self) -> None:
        """The page, the summary and open.jsonl say the same."""
        items = self.summary["items"]
        assert len(self.open) == items["open"]
        assert len(self.ids) == items["settled"] + items["open"]
        assert sum(self.page.run["counts"].values()) == items["all"]
        assert self.page.run["asOf"] == self.page.now["asOf"] == self.summary["as_of"]


@pytest.mark.proofs
def test_after_a_kill_the_files_are_old_until_report_makes_them_anew(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["68300010"]}), latency_s=0.05) as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 2})
        assert pipeline("run", path, "-q", "--limit", "3", cwd=tmp_path, **ACCOUNT).returncode == 1
        before = Seen(tmp_path)
        assert before.state == "finished"
        assert status(tmp_path)["page"] == ""
        run = tmp_path / "runs" / "job"
        with started("run", path, "-q", cwd=tmp_path, **ACCOUNT) as process:
            until_lines(run / "results.jsonl", 6, by=process)
            process.send_signal(signal.SIGKILL)
            ended(process)
        assert Seen(tmp_path).page.text == before.page.text
        assert status(tmp_path)["page"].startswith("report.html is older than the results; `pipeline report ")
        calls = server.stats.calls("search"), server.stats.calls("create")

        said = report(tmp_path, path)
        now = Seen(tmp_path)
        now.assert_agrees()
        assert now.state == "interrupted"
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
    assert (last.summary["state"], last.state) == ("finished", "finished")


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
            assert during.state == "running"
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


@pytest.mark.proofs
def test_wishes_are_for_this_page_and_wrong_ones_are_named(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2, report={"title": "Autumn", "at_least": 0.5})
        pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT)
    assert (Seen(tmp_path).page.run["title"], Seen(tmp_path).page.run["atLeast"]) == ("Autumn", 5000)
    one_file = report(tmp_path, path, "--lang", "zh", "--at-least", "0.25", "--one-file")
    assert one_file[-1].endswith(" MB)")
    assert (Seen(tmp_path).page.run["lang"], Seen(tmp_path).page.run["atLeast"]) == ("zh", 2500)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"report": {"title": "As it is called now"}}))
    report(tmp_path, path)
    assert Seen(tmp_path).page.run["title"] == "As it is called now"
    for wrong in (["--lang", "fr"], ["--at-least", "2"], ["--client", "nobody"], ["--decisions", "none.csv"]):
        done = pipeline("report", path, *wrong, cwd=tmp_path)
        assert done.returncode == 2, wrong


@pytest.mark.proofs
def test_decisions_beside_the_job_and_of_a_file_are_on_the_page(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        pipeline("run", path, "-q", cwd=tmp_path, **ACCOUNT)
    [hit, *_] = Seen(tmp_path).page.product("P0000").hits
    head = "\ufeffITEM;Patent_PN;Decision;at\r\n"
    (tmp_path / "decisions.csv").write_text(f"{head}P0000;{hit.number};WATCH;2026-11-01\r\n", encoding="utf-8")
    report(tmp_path, path)
    assert Seen(tmp_path).page.index["decisions"][0][:5] == ["P0000", hit.number, "watch", "", "2026-11-01"]
    later = tmp_path / "saved.csv"
    later.write_text(f"item,patent_pn,decision,at\nP0000,{hit.number},dismiss,2026-11-02\nP0001,,escalate,2026-11-02\n")
    report(tmp_path, path, "--decisions", later)
    decided = {(one[0], one[1]): one[2] for one in Seen(tmp_path).page.index["decisions"]}
    assert decided == {("P0000", hit.number): "dismiss", ("P0001", ""): "escalate"}
    (tmp_path / "decisions.csv").write_text("id,decision,task_id\nP0000,not-created,\n")  # one for `resolve`
    report(tmp_path, path)
    assert Seen(tmp_path).page.index["decisions"] == []
