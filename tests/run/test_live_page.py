"""The page of a run that goes on: its counts, written by another process that disturbs the run in nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from pipeline.offline.counts_page import write_counts
from pipeline.run import live_page
from pipeline.run.live_page import EVERY_S, SHARE, keep_counts, pause_after
from tests.support.jobs import ACCOUNT, job, pipeline, started, vendor
from tests.support.pages import Page
from tests.support.processes import ended, until_lines


def test_a_writer_takes_a_hundredth_of_the_time_at_most() -> None:
    assert pause_after(0.4) == EVERY_S
    for used in (2.0, 30.0, 600.0):
        assert used <= SHARE * pause_after(used) * 1.0001


@pytest.mark.proofs
def test_a_run_that_goes_on_has_a_page_of_counts_and_a_whole_page_keeps_its_products(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.1) as server:
        path = job(tmp_path, url=server.url, pictures=40, api={"max_in_flight": 1})
        run = tmp_path / "runs" / "job"
        with started("run", path, "-q", cwd=tmp_path, **ACCOUNT) as process:
            until_lines(run / "results.jsonl", 2, by=process)
            process.send_signal(signal.SIGSTOP)
            try:
                write_counts(run)
                counts = Page(run / "report.html")
                calls = server.stats.calls("search")
                assert pipeline("report", run, cwd=tmp_path).returncode == 0
                whole = Page(run / "report.html")
                writer = [sys.executable, "-m", "pipeline.offline.counts_page", str(run)]
                assert subprocess.run(writer, cwd=tmp_path, check=False).returncode == 0
                again = Page(run / "report.html")
            finally:
                process.send_signal(signal.SIGCONT)
            assert ended(process) == ("", "")
        assert server.stats.calls("search") >= calls
    settled = counts.run["counts"]["tasked"]
    assert (counts.products, counts.run["state"], settled >= 1) == ([], "running", True)
    assert sum(counts.run["counts"].values()) == 40
    assert len(whole.products) == len(again.products) == whole.run["counts"]["tasked"]
    assert again.now["asOf"] > whole.now["asOf"] == whole.run["asOf"] == again.run["asOf"]
    last = Page(run / "report.html")
    assert (len(last.products), last.run["state"]) == (40, "finished")


def test_a_writer_is_ended_with_the_run_and_its_failure_is_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writers: list[subprocess.Popen[bytes]] = []
    code = "import sys, time; time.sleep(600 if sys.argv[1] == 'slow' else 0); sys.exit(3)"

    def start(folder: Path) -> "subprocess.Popen[bytes]":
        writers.append(subprocess.Popen([sys.executable, "-c", code, folder.name]))
        return writers[-1]

    monkeypatch.setattr(live_page, "_start", start)

    async def until_started(name: str, number: int) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: keep_counts(tmp_path / name, every_s=0.01))
            while len(writers) < number:
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(until_started, "failing", 2)
    assert "page.not_written code=3" in caplog.text
    anyio.run(until_started, "slow", len(writers) + 1)
    assert writers[-1].returncode == -signal.SIGKILL
