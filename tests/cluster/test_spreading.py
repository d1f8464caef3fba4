"""A first pass whose processes or nodes fail: it ends with the same result, or in one line that says where."""

import errno
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cluster import ray as module
from pipeline.cluster.all_cores import on_all_cores
from pipeline.cluster.prepared import Part
from pipeline.cluster.ray import HeadLost, RayMachines
from pipeline.errors import SpecError


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    found = [Part(str(tmp_path), number, str(tmp_path)) for number in range(7)]
    for part in found:
        part.list.write_text("".join(json.dumps(f"{part.number}-{name}.jpg") + "\n" for name in "ab"))
    return found


def dies_once(part: Part) -> int:
    """End the process at the first sight of the fourth part."""
    mark = Path(part.folder, "died")
    if part.number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return part.number


def always_dies(part: Part) -> int:
    if part.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    Path(part.folder, f"done-{part.number}").touch()
    return part.number


@pytest.mark.proofs
def test_a_process_that_is_killed_costs_no_part(parts: list[Part]) -> None:
    assert sorted(on_all_cores(dies_once, parts)) == list(range(7))


@pytest.mark.proofs
def test_a_part_that_ends_every_process_is_named_in_one_line(parts: list[Part], tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        list(on_all_cores(always_dies, parts))
    [line] = refused.value.lines
    assert "a process that looks at 2 pictures from '3-a.jpg' to '3-b.jpg' dies each time" in line
    assert str(parts[3].list) in line


class RayFailed(Exception):
    """What Ray raises for a task that has no outcome."""


class TaskFailed(RayFailed):
    """What Ray raises for an exception of the function: pages, with the traceback of the node."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"ray::look_over()\n  File somewhere, line 1\n{type(cause).__name__}: {cause}")
        self.cause = cause


class Ray:
    """Ray, whose tasks are done at once, where there is a head."""

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(RayError=RayFailed, RayTaskError=TaskFailed)
        self.asked: dict[str, Any] = {}
        self.most = self.now = 0

    def remote(self, **asked: Any) -> Any:
        self.asked = asked
        return lambda function: SimpleNamespace(remote=lambda part: self._begin(function, part))

    def _begin(self, function: Any, part: Part) -> Any:
        self.now += 1
        self.most = max(self.most, self.now)
        return lambda: function(part)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def wait(self, tasks: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        return tasks[:1], tasks[1:]

    def get(self, task: Any) -> Any:
        self.now -= 1
        return task()


@pytest.fixture
def machines() -> RayMachines:
    found = RayMachines.__new__(RayMachines)
    found.ray = Ray()
    return found


def test_all_parts_are_spread_over_the_cores_and_few_wait_for_them(machines: RayMachines, parts: list[Part]) -> None:
    assert sorted(machines.spread(lambda part: part.number, parts)) == list(range(7))
    assert machines.ray.most == 4
    assert machines.ray.asked["scheduling_strategy"] == "SPREAD"
    assert machines.ray.asked["max_retries"] > 1


def failing(error: Exception) -> Any:
    def function(part: Part) -> int:
        if part.number == 3:
            raise error
        return part.number

    return function


def test_a_part_that_ends_every_process_of_the_cluster_is_named_in_one_line(
    machines: RayMachines, parts: list[Part]
) -> None:
    with pytest.raises(SpecError) as refused:
        list(machines.spread(failing(RayFailed("pages\nof it\nthe worker died")), parts))
    [line] = refused.value.lines
    assert "a process that looks at 2 pictures from '3-a.jpg' to '3-b.jpg' dies each time" in line
    assert "(the worker died)" in line
    assert "pages" not in line


def test_a_full_folder_is_the_same_error_as_on_one_machine(machines: RayMachines, parts: list[Part]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/mnt/seen-0003")
    with pytest.raises(OSError, match="No space") as failed:
        list(machines.spread(failing(TaskFailed(full)), parts))
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, "/mnt/seen-0003")
    assert not isinstance(failed.value, RayFailed), "its text would be pages"


def test_a_node_of_another_version_is_one_line(machines: RayMachines, parts: list[Part]) -> None:
    with pytest.raises(SpecError) as refused:
        list(machines.spread(failing(TaskFailed(ModuleNotFoundError("No module named 'pipeline.cluster'"))), parts))
    [line] = refused.value.lines
    assert "has another version of the program: ModuleNotFoundError: No module named" in line
    assert str(parts[3].list) in line


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_pass_ends_where_the_head_is_gone_for_long(
    machines: RayMachines, parts: list[Part], monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    """Ray would end the process with pages of its own after a minute; one that is away for a moment is waited for."""
    clock, looks = [0.0], [0]

    def wait(tasks: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        clock[0] += 6.0
        looks[0] += 1
        return ([], tasks) if looks[0] % 3 or not comes_back else (tasks[:1], tasks[1:])

    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(RayMachines, "has_head", lambda _: comes_back and looks[0] % 2 == 0)
    machines.ray.wait = wait
    if comes_back:
        assert sorted(machines.spread(lambda part: part.number, parts)) == list(range(7))
        return
    with pytest.raises(HeadLost, match="the head of the Ray cluster is gone, and no more pictures"):
        list(machines.spread(lambda part: part.number, parts))
