"""Something takes a file away while a run goes on: it stops, no task id is lost, and nothing is created twice."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.journal.kept_lines import kept_lines
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.jobs import ACCOUNT, job, lines, pipeline, started, vendor
from tests.support.processes import ended, until_lines
from tests.support.told import faults_in

ITEMS = 40
Take = Callable[[Path], object]


class Taken:
    """A run from which something was taken away: how it ended, and what may be done then."""

    def __init__(self, folder: Path, server: SandboxServer, *, qps: int = 30) -> None:
        self.folder, self.run = folder, folder / "runs/job"
        self.path = job(folder, url=server.url, pictures=ITEMS, api={"qps": qps, "max_in_flight": 6})
        self.code, self.said = 0, ""

    def goes_on_until(self, take: Take) -> None:
        """Run the job, take something away in the middle, and wait for its end."""
        with started("run", self.path, "--quiet", cwd=self.folder, **ACCOUNT) as process:
            until_lines(self.run / "results.jsonl", 6, by=process)
            take(self.run)
            _, self.said = ended(process)
        self.code = process.returncode

    def command(self, *arguments: str | Path) -> tuple[int, str]:
        done = pipeline(*arguments, cwd=self.folder, **ACCOUNT)
        return done.returncode, done.stderr

    def created(self) -> Counter[str]:
        return Counter(task.task_id for task in read_tasks(self.folder / "vendor"))

    def assert_stopped(self, name: str) -> None:
        """It ended at once, with one fault, at that file, and every task that exists is in some file."""
        assert self.code == 5, self.said
        [told] = faults_in(self.said)
        assert name in told.at, self.said  # the directory, or what was looked at in it
        assert "while this run went on" in self.said
        assert self.created().total() < ITEMS - 6
        files = [*self.folder.rglob("results.jsonl*"), *self.folder.rglob("*emergency-*.jsonl")]
        known = {json.loads(line)["task"]["task_id"] for line in kept_lines(files)}
        assert set(self.created()) <= known

    def assert_goes_on(self, *, doubts: int) -> None:
        """The next run ends: one record for every task, one task for every picture; at most so many in doubt."""
        code, said = self.command("run", self.path, "--quiet")
        records = lines(self.run / "results.jsonl")
        assert Counter(record["task"]["task_id"] for record in records) == self.created()
        assert len({record["item"] for record in records}) == len(records)
        assert len(records) >= ITEMS - doubts, said
        assert code == (0 if len(records) == ITEMS else 1), said


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[Taken]:
    with vendor(tmp_path, latency_s=0.02) as server:
        yield Taken(tmp_path, server)


def removed(run: Path) -> None:
    gone = run.rename(run.with_name("gone"))
    shutil.rmtree(gone)


def test_a_run_that_was_moved_away_can_be_put_back_after_another_one_was_refused(taken: Taken) -> None:
    moved = taken.run.with_name("moved")
    taken.goes_on_until(lambda run: run.rename(moved))
    code, said = taken.command("run", taken.path, "--quiet")
    assert (code, "put the directory back" in said) == (5, True)
    assert not taken.run.exists()
    moved.rename(taken.run)
    taken.assert_goes_on(doubts=6)


def replaced(run: Path) -> None:
    """Save the file anew, as editors and sync tools do."""
    shutil.copy(run / "results.jsonl", run / ".saved")
    os.replace(run / ".saved", run / "results.jsonl")


def test_a_run_whose_directory_is_removed_stops_and_keeps_every_task_beside_it(taken: Taken) -> None:
    taken.goes_on_until(removed)
    taken.assert_stopped("runs/job")
    [kept] = taken.run.parent.glob("job.emergency-*.jsonl")
    assert str(kept) in taken.said
    created = taken.created()
    for command in ("run", "plan"):  # a fresh start would pay for everything again
        code, said = taken.command(command, taken.path)
        assert code == 5, said
        assert f"pipeline repair {taken.run}" in said
    assert taken.command("repair", taken.run)[0] == 0
    taken.assert_goes_on(doubts=ITEMS)
    assert taken.created() == created
    assert not kept.exists()


def test_a_run_goes_on_when_its_directory_is_put_back(taken: Taken) -> None:
    taken.goes_on_until(lambda run: run.rename(run.with_name("moved")))
    taken.assert_stopped("runs/job")
    taken.run.with_name("moved").rename(taken.run)
    taken.assert_goes_on(doubts=6)


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(replaced, id="replaced"),
        pytest.param(lambda run: (run / "results.jsonl").unlink(), id="removed"),
    ],
)
def test_a_run_whose_results_are_replaced_stops_and_a_repair_brings_all_together(taken: Taken, take: Take) -> None:
    taken.goes_on_until(take)
    taken.assert_stopped("results.jsonl")
    assert f"pipeline repair {taken.run}" in taken.said
    assert list(taken.run.glob("emergency-*.jsonl"))
    assert taken.command("repair", taken.run)[0] == 0
    taken.assert_goes_on(doubts=6)


@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
def test_a_run_whose_journal_is_removed_stops(taken: Taken, name: str) -> None:
    taken.goes_on_until(lambda run: (run / name).unlink())
    taken.assert_stopped(name)
    assert taken.command("repair", taken.run)[0] == 0
    created = taken.created()
    taken.assert_goes_on(doubts=ITEMS)
    if name == "journal.sqlite":
        assert taken.created() == created  # nobody knows any more what was on its way


def test_a_removed_lock_lets_no_second_run_in(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        taken = Taken(tmp_path, server, qps=1)
        with started("run", taken.path, "--quiet", cwd=taken.folder, **ACCOUNT) as process:
            until_lines(taken.run / "results.jsonl", 2, by=process)
            (taken.run / "lock").unlink()
            for command in (["run", taken.path], ["repair", taken.run]):
                code, said = taken.command(*command)
                assert code == 6, said
                assert "has its journal.sqlite open although its file lock was removed" in said
            assert "running" in pipeline("status", taken.run, cwd=tmp_path).stdout
            process.terminate()
            ended(process)
            assert process.returncode == 143
        assert {record["task"]["task_id"] for record in lines(taken.run / "results.jsonl")} == set(taken.created())
        code, said = taken.command("run", taken.path, "--quiet", "--set", "api.qps=1000")
        assert (code, said) == (0, "")
        assert Counter(record["task"]["task_id"] for record in lines(taken.run / "results.jsonl")) == taken.created()
        assert taken.created().total() == ITEMS
