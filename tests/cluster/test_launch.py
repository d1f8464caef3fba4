"""Workers that die are started again, those that know why they ended are not, and a stop drains all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cluster import launch
from pipeline.cluster.launch import RESTARTS, Supervision
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.machines import PROGRESS


class Worker:
    """A worker that ends with a code after some looks; None goes on until it is drained."""

    def __init__(self, name: str, code: int | None) -> None:
        self.name = name
        self.code = code
        self.drained = 0

    def poll(self) -> int | None:
        return self.code

    def drain(self) -> None:
        self.drained += 1
        self.code = 143


class Starts:
    one_machine = False

    def __init__(self, codes: list[int | None]) -> None:
        self.codes = codes
        self.started: list[str] = []
        self.workers: list[Worker] = []

    def start(self, name: str) -> Worker:
        self.started.append(name)
        self.workers.append(Worker(name, self.codes.pop(0)))
        return self.workers[-1]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Starts, int], tuple[int, list[str]]]:
    monkeypatch.setattr(launch, "_LOOK_S", 0.0)
    monkeypatch.setattr(launch, "PAUSE_S", 0.01)

    def watch(starts: Starts, count: int) -> tuple[int, list[str]]:
        said: list[str] = []
        names = [f"w{n}" for n in range(count)]
        return Supervision(starts, names, tmp_path, say=said.append).watch(), said

    return watch


def test_who_died_is_started_again_under_its_name(watched: Callable[..., tuple[int, list[str]]]) -> None:
    starts = Starts([0, -9, 0])
    code, said = watched(starts, 2)
    assert (code, starts.started) == (0, ["w0", "w1", "w1"])
    assert said == ["worker w1 died (exit -9); started again"]


def test_who_knows_why_it_ended_is_not_started_again(watched: Callable[..., tuple[int, list[str]]]) -> None:
    starts = Starts([1, 4, 0])
    assert watched(starts, 3)[0] == 4
    assert starts.started == ["w0", "w1", "w2"]


def test_one_that_dies_again_and_again_is_left_alone(watched: Callable[..., tuple[int, list[str]]]) -> None:
    starts = Starts([70] * (RESTARTS + 1))
    code, said = watched(starts, 1)
    assert (code, len(starts.started)) == (70, RESTARTS + 1)
    assert said[:3] == [f"worker w0 died (exit 70); started again{pause}" for pause in ("", " in 0.01 s", " in 0.02 s")]
    assert "it is left alone" in said[-1]


def test_one_that_is_to_be_started_again_is_not_once_all_are_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = Starts([-9, -9])
    said: list[str] = []

    def nap(_: float) -> None:
        if "in 2 s" in "".join(said) and len(said) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(launch.time, "sleep", nap)
    with pytest.raises(KeyboardInterrupt):
        Supervision(starts, ["w0"], tmp_path, say=said.append).watch()
    assert len(starts.started) == 2


def test_one_that_brings_shards_to_their_end_may_die_more_often(
    watched: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    folder = tmp_path / WORKERS / "w0"
    folder.mkdir(parents=True)
    starts = Starts([-9] * 12 + [0])
    start = starts.start

    def with_a_shard(name: str) -> Worker:
        (folder / PROGRESS).write_text(json.dumps({"shards_done": len(starts.started) + 1}))
        return start(name)

    starts.start = with_a_shard  # type: ignore[method-assign]
    assert watched(starts, 1)[0] == 0


def test_the_first_stop_drains_all_and_waits_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = Starts([None, None])
    naps = iter([KeyboardInterrupt(), None, None])

    def nap(_: float) -> None:
        if (stop := next(naps)) is not None:
            raise stop

    monkeypatch.setattr(launch.time, "sleep", nap)
    with pytest.raises(KeyboardInterrupt):
        Supervision(starts, ["w0", "w1"], tmp_path, say=lambda _: None).watch()
    assert [worker.drained for worker in starts.workers] == [1, 1]


@pytest.mark.parametrize("one_machine", [True, False])
def test_what_ends_one_worker_of_a_machine_for_all_ends_the_others_at_once(
    watched: Callable[..., tuple[int, list[str]]], one_machine: bool
) -> None:
    """Else each would wait for a dead vendor after the other, ten minutes at a time."""
    starts = Starts([4, None if one_machine else 0])
    starts.one_machine = one_machine
    code, said = watched(starts, 2)
    assert code == 4
    assert [worker.drained for worker in starts.workers] == [0, int(one_machine)]
    assert len([line for line in said if "would meet the same" in line]) == one_machine


def test_a_budget_that_ends_one_worker_does_not_end_the_others_which_may_hold_the_rest_of_it(
    watched: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    (tmp_path / WORKERS / "w0").mkdir(parents=True)
    (tmp_path / WORKERS / "w0" / PROGRESS).write_text(json.dumps({"ended": True, "ended_by": "budget"}))
    starts = Starts([4, 0])
    code, said = watched(starts, 2)
    assert (code, [worker.drained for worker in starts.workers]) == (4, [0, 0])
    assert not [line for line in said if "would meet the same" in line]
