"""Lines that a damaged results.jsonl still holds: those that this run wrote, as it wrote them."""

import shutil
from pathlib import Path

import pytest

from pipeline.journal.places import RESULTS
from pipeline.journal.sql import changes
from pipeline.journal.sql.admission import admit
from pipeline.journal.storage import open_disk
from pipeline.models import Calls, Task, Work
from pipeline.offline.repair import repair
from pipeline.outcomes import Tasked
from pipeline.results.hits import choose
from pipeline.results.record import RecordLines
from tests.support.fakes import NOW, hits, item, job, records

TASK = b"task-1"


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """A run directory whose run died between writing the line of its one task and committing it."""
    folder = tmp_path / "run"
    folder.mkdir()
    disk = open_disk(folder, now=NOW)
    admit(disk.db, [item(1), item(2)], generation=1, accept_changes=False)
    changes.intend(disk.db, 1, request_id="asked", at=NOW, calls=Calls(0, 1, 1), hits=None)
    choice = choose(hits(), min_score=0, max_hits=100)
    assert choice is not None
    outcome = Tasked(hits(), choice, Task(TASK.decode(), NOW))
    _, line, _ = RecordLines(job(tmp_path), "0" * 64).settled(Work(1, item(1), Calls(0, 1, 1)), outcome)
    disk.results.append([line])
    shutil.copytree(folder, tmp_path / "dead")
    disk.close(clean=False)
    return tmp_path / "dead"


def test_line_beyond_the_last_commit_is_kept_as_it_was_written(dead: Path) -> None:
    repair(dead, job="job")
    assert [record["task"]["task_id"] for record in records(dead)] == [TASK.decode()]


def test_line_beyond_the_last_commit_that_was_changed_is_left_out(dead: Path) -> None:
    """It is still a record of an item that waits; only its check tells."""
    (dead / RESULTS).write_bytes((dead / RESULTS).read_bytes().replace(TASK, b"task-3"))
    repair(dead, job="job")
    assert records(dead) == []
