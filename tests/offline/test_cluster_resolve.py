"""Decisions about items in doubt of a cluster run: in the right shard, all or none, and in nobody else's."""

import shutil
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.claims import Claims, GivenBack
from pipeline.cluster.directories import directories
from pipeline.cluster.layout import cluster_run
from pipeline.cluster.split import read_split
from pipeline.journal.places import run_directories
from pipeline.leases.opening import open_store
from pipeline.offline.shards.status import read_cluster_status
from tests.support.jobs import lines
from tests.support.sharded import Sharded, doubtful

TASK = "t-0123456789"

pytestmark = pytest.mark.proofs


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards of three items; in the first and in the last an item is in doubt."""
    made = doubtful(tmp_path_factory.mktemp("ran"), 1, 6)
    assert cli.run(["report", str(made.folder)]) == 0
    return made


@pytest.fixture
def run(ran: Sharded, tmp_path: Path) -> Path:
    """A copy of the cluster run with its leases."""
    shutil.copytree(ran.folder.parent, tmp_path / "shared")
    return tmp_path / "shared" / "job"


def doubts(run: Path) -> list[str]:
    assert cli.run(["report", str(run)]) == 0
    return [one["item"] for one in lines(run / "open.jsonl") if one["status"] == "in_doubt"]


def epochs(run: Path) -> list[str]:
    return [one.name for one in run_directories(run)]


def test_a_decision_takes_effect_in_the_shard_of_its_item(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doubts(run) == ["P0001", "P0006"]
    assert cli.run(["resolve", str(run), "--created", "P0006", TASK]) == 0
    assert "1 decided, 1 still in doubt" in capsys.readouterr().out
    assert epochs(run) == ["e1", "e1", "e3"]  # 2 is the entry with which the first owner gave it back
    assert doubts(run) == ["P0001"]
    [settled] = [one for one in lines(run_directories(run)[2] / "results.jsonl") if one["item"] == "P0006"]
    assert settled["task"]["task_id"] == TASK
    assert [one["item"] for one in lines(run / "shards/0002/e1/results.jsonl")] == ["P0007", "P0008"]


def test_all_in_doubt_of_all_shards_are_decided_at_once(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["resolve", str(run), "--all", "not-created"]) == 0
    assert "2 decided, 0 still in doubt" in capsys.readouterr().out
    status = read_cluster_status(directories(run))
    assert (status.items["in_doubt"], status.items["not_started"], status.shards["interrupted"]) == (0, 2, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--created", "P0001", TASK, "--not-created", "nobody"], "no item 'nobody'"),
        (["--created", "P0001", TASK, "--not-created", "P0004"], "'P0004' is not in doubt, it is tasked"),
        (["--created", "P0001", TASK, "--created", "P0006", TASK], f"task {TASK} is the one of"),
    ],
)
def test_one_decision_that_cannot_be_applied_stops_those_of_all_shards(
    run: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["resolve", str(run), *words]) == 2
    assert said in capsys.readouterr().err
    assert epochs(run) == ["e1", "e1", "e1"]


def test_a_task_of_an_item_in_another_shard_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = lines(run / "shards/0001/e1/results.jsonl")[0]["task"]["task_id"]
    assert cli.run(["resolve", str(run), "--created", "P0001", other]) == 2
    assert f"task {other} is the one of 'P000" in capsys.readouterr().err


def test_a_doubt_that_nobody_was_shown_is_not_decided(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "open.jsonl").unlink()
    (run / "shards/0000/e1/open.jsonl").unlink()
    assert cli.run(["resolve", str(run), "--not-created", "P0001"]) == 2
    assert f"pipeline report {run}" in capsys.readouterr().err
    assert doubts(run) == ["P0001", "P0006"]
    assert cli.run(["resolve", str(run), "--not-created", "P0001"]) == 0


def test_a_shard_that_was_decided_about_is_open_to_workers_again(run: Path) -> None:
    assert cli.run(["resolve", str(run), "--not-created", "P0001"]) == 0
    first, *_ = Claims(open_store(str(run.parent / ".leases")), read_split(run)).look()
    assert (first.state, first.base, first.worker) == (GivenBack.OPEN, 3, "")
    found = cluster_run(run)
    assert found is not None
    assert [shard.epoch for shard in found.shards] == [3, 1, 1]


@pytest.mark.parametrize("words", [["resolve", "--all", "retry"], ["report"], ["retry", "--only", "failed"]])
def test_the_directory_of_a_shard_alone_is_refused(
    run: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([words[0], str(run / "shards/0000/e1"), *words[1:]]) == 2
    assert f"fix: pipeline {words[0]} {run}" in capsys.readouterr().err
