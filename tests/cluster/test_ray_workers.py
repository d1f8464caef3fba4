"""Workers on nodes: one on each, elsewhere when a node goes, and what is said when the head is gone."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster import launch, ray_workers
from pipeline.cluster.detached import LOST, Order
from pipeline.cluster.launch import Supervision
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.ray import ABSENT, ENDED, HeadLost
from pipeline.cluster.ray_workers import NodeWorker, RayLauncher


class Worker:
    def __init__(self, place: str, order: Order) -> None:
        self.place, self.name, self.order = place, order.name, order
        self.code: int | None = None
        self.asked = 0

    def poll(self) -> int | None:
        return self.code

    def drain(self) -> None:
        self.asked += 1


class Machines:
    """Nodes without Ray."""

    def __init__(self, *places: str) -> None:
        self.there = list(places)
        self.head = True
        self.started: list[Worker] = []

    def places(self) -> list[str]:
        return self.there

    def has_head(self) -> bool:
        return self.head

    def name_of(self, place: str) -> str:
        return f"host-{place}"

    def start(self, place: str, order: Order) -> Worker:
        self.started.append(Worker(place, order))
        return self.started[-1]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_workers, "_EVERY_S", 0.0)
    monkeypatch.setattr(launch, "_LOOK_S", 0.0)


def launcher(machines: Any, run: Path) -> tuple[RayLauncher, list[str]]:
    said: list[str] = []
    return RayLauncher(machines, run, ["-m", "pipeline", "work", "job.yaml"], say=said.append), said


def test_each_node_gets_one_worker_and_the_rest_waits(tmp_path: Path) -> None:
    machines = Machines("a", "b")
    start, said = launcher(machines, tmp_path)
    workers = [start.start(name) for name in ("one", "two", "three")]
    assert [worker.place for worker in machines.started] == ["a", "b"]
    assert machines.started[0].order.arguments == ("-m", "pipeline", "work", "job.yaml", "--name", "host-a")
    assert [worker.waits for worker in workers] == [False, False, True]
    assert said[-1] == "three waits for a node without a worker"
    machines.there.append("c")
    assert workers[2].poll() is None
    assert (workers[2].waits, workers[2].name) == (False, "host-c")


def test_the_worker_of_a_lost_node_begins_elsewhere(tmp_path: Path) -> None:
    machines = Machines("a", "b")
    start, said = launcher(machines, tmp_path)
    watch = Supervision(start, ["one"], tmp_path, say=said.append)
    machines.there = ["b"]
    machines.started[0].code = LOST

    def places() -> list[str]:
        if len(machines.started) == 2:
            machines.started[1].code = 0
        return machines.there

    machines.places = places  # type: ignore[method-assign]
    assert watch.watch() == 0
    assert [worker.place for worker in machines.started] == ["a", "b"]
    assert "died (exit -9); started again" in "\n".join(said)


def test_a_node_that_does_not_see_the_run_is_named_and_its_worker_is_not_started_again(tmp_path: Path) -> None:
    machines = Machines("a")
    start, said = launcher(machines, tmp_path)
    watch = Supervision(start, ["one"], tmp_path, say=said.append)
    machines.started[0].code = ABSENT
    assert watch.watch() == 5
    assert len(machines.started) == 1
    assert f"host-a was not started: {tmp_path} is not on its machine" in said[-1]


def test_no_two_orders_have_one_number(tmp_path: Path) -> None:
    machines = Machines("a", "b")
    start, _ = launcher(machines, tmp_path)
    start.start("one")
    start.start("two")
    assert len({worker.order.number for worker in machines.started}) == 2


def test_one_that_waits_for_a_node_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    start, _ = launcher(Machines(), tmp_path)
    worker = start.start("one")
    worker.drain()
    assert worker.poll() == ENDED


def test_nobody_waits_for_a_node_when_all_is_done(tmp_path: Path) -> None:
    machines = Machines("a")
    start, said = launcher(machines, tmp_path)
    watch = Supervision(start, ["one", "two"], tmp_path, say=said.append)
    machines.started[0].code = 0
    assert watch.watch() == 0
    assert len(machines.started) == 1


def test_without_a_head_workers_go_on_and_a_person_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = Machines("a")
    start, _ = launcher(machines, tmp_path)
    worker = start.start("one")
    machines.head = False
    assert worker.poll() is None, "a head may be slow for a moment"
    monkeypatch.setattr(ray_workers, "NO_HEAD_S", -1.0)
    with pytest.raises(HeadLost, match=r"the head of the Ray cluster is gone\. Workers need none and go on") as caught:
        worker.poll()
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("head", [True, False])
def test_a_worker_is_asked_to_end_by_ray_or_by_the_shared_folder(tmp_path: Path, head: bool) -> None:
    machines = Machines("a")
    start, _ = launcher(machines, tmp_path)
    worker = start.start("one")
    assert isinstance(worker, NodeWorker)
    (tmp_path / WORKERS / "host-a").mkdir(parents=True)
    machines.head = head
    worker.drain()
    assert (machines.started[0].asked, (tmp_path / WORKERS / "host-a" / "down").exists()) == (int(head), not head)
