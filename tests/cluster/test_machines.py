"""The workers of a run as they tell of themselves: who has which shard, and who had it before a death."""

from pathlib import Path

from pipeline.cluster.machines import FRESH_S, Held, WorkerStatus, held_by, holder_of

NOW = 1_800_000_000.0


def worker(name: str, *held: Held, silent_s: float = 0.0) -> WorkerStatus:
    return WorkerStatus(name=name, at=NOW - silent_s, shards=list(held))


def holder(run: str, *workers: WorkerStatus) -> str:
    return holder_of(Path("run/shards") / run, held_by(list(workers), now=NOW))


def test_a_shard_is_that_of_the_worker_that_tells_of_it() -> None:
    assert holder("0003/e1", worker("w1", Held(3, 1)), worker("w2", Held(4, 1))) == "w1"
    assert holder("0003/e1", worker("w1", Held(3, 2))) == "w1", "it makes its folder yet"
    assert holder("0005/e1", worker("w1", Held(3, 1))) == ""
    assert holder("0003/e1", worker("w1", Held(3, 1), silent_s=FRESH_S + 1)) == ""


def test_a_worker_that_died_a_moment_ago_has_no_shard_that_another_took_over() -> None:
    dead = worker("w1", Held(3, 1), silent_s=5)
    assert holder("0003/e2", dead) == "", "the other one is done with it"
    for workers in ((dead, worker("w2", Held(3, 2))), (worker("w0", Held(3, 2)), dead)):
        assert holder("0003/e2", *workers) in ("w0", "w2")
