"""`retry` and `collect` over the shards of a run that workers made: within the leased account, paid once each."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.directories import directories
from pipeline.journal.places import run_directories
from pipeline.offline.shards.status import read_cluster_status
from tests.support.fates import tasks_fail
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, vendor
from tests.support.sharded import doubtful

BROKEN = "68300010"  # the vendor refuses this picture

pytestmark = pytest.mark.proofs


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


def made(folder: Path, url: str, *, code: int, **parts: Any) -> Path:
    """A run of eight items in three shards, worked on by one worker; return its folder."""
    shared = folder / "shared"
    shared.mkdir()
    cluster = {"shared": str(shared), "shards": 3}
    path = job(folder, url=url, pictures=8, cluster=cluster, **parts)
    assert cli.run(["split", str(path)]) == 0
    assert cli.run(["work", str(path), "--quiet"]) == code
    [run] = [split.parent for split in shared.glob("*/split.json")]
    return run


def items(run: Path) -> dict[str, int]:
    return read_cluster_status(directories(run)).items


def test_failed_items_of_all_shards_are_paid_for_once_more_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = {"search": ["", BROKEN, "", "", BROKEN, "", BROKEN]}
    with vendor(tmp_path, faults=FaultPlan.scripted(script)) as server:
        run = made(tmp_path, server.url, code=1, api={"max_in_flight": 1})
        assert items(run)["failed"] == 3
        sent = server.stats.calls("search"), server.stats.calls("create")
        assert cli.run(["retry", str(run), "--only", "failed", "--limit", "2", "--yes", "-q"]) == 0
        assert items(run)["failed"] == 1
        assert cli.run(["retry", str(run), "--only", "failed", "--yes", "-q"]) == 0
        now = items(run)
        assert (now["failed"], now["tasked"], now["all"]) == (0, 8, 8)
        assert (server.stats.calls("search"), server.stats.calls("create")) == (sent[0] + 3, sent[1] + 3)
        assert "3 items that are failed" not in capsys.readouterr().err
        assert cli.run(["retry", str(run), "--only", "failed", "--yes", "-q"]) == 0
        assert "no item of this run is failed" in capsys.readouterr().err
    assert len({one["task"]["task_id"] for run in run_directories(run) for one in lines(run / "results.jsonl")}) == 8


def test_a_doubt_that_nobody_was_shown_is_refused_and_its_shard_called_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = doubtful(tmp_path, 1, each=1)
    (made.run(1) / "open.jsonl").unlink()
    retry = ["retry", str(made.folder), "--only", "in-doubt", "--yes", "-q"]
    assert cli.run(retry) == 2
    said = capsys.readouterr().err
    assert "1 item is in doubt that nobody was shown: P0001" in said
    assert f"fix: pipeline report {made.folder}" in said
    assert "cannot be read" not in said


def test_what_retry_leaves_is_gone_on_with_by_workers(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["", "lost"]})) as server:
        run = made(tmp_path, server.url, code=1, api={"max_in_flight": 1})
        assert items(run)["in_doubt"] == 1
        assert cli.run(["report", str(run)]) == 0
        assert cli.run(["resolve", str(run), "--all", "not-created"]) == 0
        assert (items(run)["in_doubt"], items(run)["not_started"]) == (0, 1)
        assert cli.run(["work", str(tmp_path / "job.yaml"), "--quiet"]) == 0
        assert items(run)["tasked"] == 8


def test_reports_of_all_shards_are_collected(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run = made(tmp_path, server.url, code=0, task={"report": "later"})
        assert (items(run)["tasked"], read_cluster_status(directories(run)).unread) == (8, 8)
        assert cli.run(["collect", str(run), "-q"]) == 0
        assert (items(run)["reported"], read_cluster_status(directories(run)).unread) == (8, 0)
        creates = server.stats.calls("create")
        assert cli.run(["collect", str(run), "-q"]) == 0
        assert server.stats.calls("create") == creates == 8


def test_nobody_advises_a_retry_that_is_refused_for_reports_that_were_collected_in_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks_fail(monkeypatch)
    with vendor(tmp_path) as server:
        run = made(tmp_path, server.url, code=0, task={"report": "later"})
        assert cli.run(["collect", str(run), "-q"]) == 1
        said = read_cluster_status(directories(run), named=run).open_items
        said += [one["todo"] for shard in run_directories(run) for one in lines(shard / "open.jsonl")]
        assert len(said) == 16
        assert not [one for one in said if "pipeline retry" in one or "shards/" in one]
        creates = server.stats.calls("create")
        assert cli.run(["retry", str(run), "--only", "report-failed", "--yes", "-q"]) != 0
        assert server.stats.calls("create") == creates


def test_a_run_that_waits_for_no_reports_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path) as server:
        run = made(tmp_path, server.url, code=0)
    assert cli.run(["collect", str(run), "-q"]) == 2
    assert "waits for no reports" in capsys.readouterr().err
