"""The log of tasks: written before an answer, whole after a kill."""

import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from pipeline.sandbox.tasks import LIFETIME_S, TaskLog, read_tasks
from pipeline.sandbox.validate import Creation
from tests.support.fixtures import Clock
from tests.support.sandbox_calls import NOON, PRODUCT, creation, message


@contextmanager
def log(folder: Path, clock: Clock) -> Iterator[TaskLog]:
    with closing(TaskLog(folder, clock=clock)) as tasks:
        yield tasks


def request(*patent_ids: str) -> Creation:
    fields = creation(patent_messages=[message(patent_id=patent_id) for patent_id in patent_ids], country=["US"])
    return msgspec.convert(fields, Creation)


def test_every_creation_can_be_read_back_whole(tmp_path: Path, clock: Clock) -> None:
    with log(tmp_path, clock) as tasks:
        first = tasks.add(request("a", "b"), request=b"one")
        second = tasks.add(request("c"), request=b"two")
        assert list(read_tasks(tmp_path)) == [first, second]
    assert first.task_id != second.task_id
    assert first.patent_ids == ("a", "b")
    assert first.urls == (PRODUCT,)
    assert first.at.timestamp() == NOON
    assert first.request_sha256 != second.request_sha256


def test_a_folder_without_a_log_has_no_tasks(tmp_path: Path) -> None:
    assert list(read_tasks(tmp_path)) == []


def test_a_task_is_found_again_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    with log(tmp_path, clock) as tasks:
        tasks.add(request("a"), request=b"")
        task = tasks.add(request("b"), request=b"")
    with log(tmp_path, clock) as tasks:
        assert tasks.find(task.task_id) == task
        later = tasks.add(request("c"), request=b"")
        assert tasks.find(later.task_id) == later
        assert tasks.find("no-such-task") is None
    assert len(list(read_tasks(tmp_path))) == 3


def test_a_task_is_gone_after_eight_hours(tmp_path: Path, clock: Clock) -> None:
    with log(tmp_path, clock) as tasks:
        task = tasks.add(request("a"), request=b"")
        clock.now = NOON + LIFETIME_S - 1
        assert tasks.find(task.task_id) == task
        clock.now = NOON + LIFETIME_S
        assert tasks.find(task.task_id) is None


@pytest.mark.parametrize("tail", [b'{"task_id": "cut', b"{"], ids=["half", "one byte"])
def test_a_line_torn_by_a_kill_is_cut_and_the_next_one_is_whole(tail: bytes, tmp_path: Path, clock: Clock) -> None:
    with log(tmp_path, clock) as tasks:
        first = tasks.add(request("a"), request=b"")
    with (tmp_path / "tasks.jsonl").open("ab") as file:
        file.write(tail)
    assert list(read_tasks(tmp_path)) == [first]
    with log(tmp_path, clock) as tasks:
        second = tasks.add(request("b"), request=b"")
        assert tasks.find(second.task_id) == second
    assert list(read_tasks(tmp_path)) == [first, second]


def test_the_log_is_its_owners_alone(tmp_path: Path, clock: Clock) -> None:
    with log(tmp_path, clock):
        assert stat.S_IMODE((tmp_path / "tasks.jsonl").stat().st_mode) == 0o600
