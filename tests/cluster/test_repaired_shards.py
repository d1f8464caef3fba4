"""A shard that cannot be read, from its damage to its end: set aside, repaired, gone on with, nothing paid twice."""

import signal
from pathlib import Path

import pytest

from pipeline.cluster.claims import Claims, GivenBack
from pipeline.cluster.split import read_split
from pipeline.journal.places import run_directories
from pipeline.leases.folder_store import FolderStore
from pipeline.run.cluster_runs import LEASES
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.lengths import some
from tests.support.processes import ended, until
from tests.support.workers import split, truth_of, workers

pytestmark = pytest.mark.proofs

SLOW = {"max_in_flight": 1}
KILLED = """
from pipeline.offline.shards import repair
repair.STEP = lambda *_, **__: os.kill(os.getpid(), 9)
sys.exit(cli.run())
"""


def states(folder: Path) -> list[GivenBack]:
    run = folder / "shared" / "job"
    return [one.state for one in Claims(FolderStore.open(folder / "shared" / LEASES), read_split(run)).look()]


@pytest.mark.parametrize("how", some(["smashed", "gone"], "smashed"))
def test_a_shard_that_was_set_aside_goes_on_after_a_repair_and_nothing_is_paid_twice(tmp_path: Path, how: str) -> None:
    run = tmp_path / "shared" / "job"
    with vendor(tmp_path, latency_s=0.1) as server:
        job(tmp_path, url=server.url, pictures=24, cluster={"shared": "shared", "shards": 1, "lease_s": 2}, api=SLOW)
        split(tmp_path)
        with workers(tmp_path, 1) as [process]:  # ends in good order in the middle of a shard
            until(lambda: len(lines(tmp_path / "vendor" / "tasks.jsonl")) >= 3, by=process)
            process.terminate()
            ended(process)
        [damaged] = [one for one in run_directories(run) if _is_half(one)]
        _damage(damaged / "journal.sqlite", how)
        with workers(tmp_path, 1) as [process]:
            said = ended(process)[1]
        number = int(damaged.parent.name)
        assert states(tmp_path)[number] is GivenBack.ASIDE
        assert f"shard {number:04} is set aside" in said
        before = run_directories(run)
        for step in ("_mended", "_decided"):  # in the middle of its making, and before it is given back
            code = KILLED.replace("STEP", step)
            killed = pipeline("repair", "shared/job", cwd=tmp_path, code=code, **ACCOUNT)
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            assert (run_directories(run) == before) is (step == "_mended")
        done = pipeline("repair", "shared/job", cwd=tmp_path, **ACCOUNT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("1 shard is whole (0000)")
        # What may have been created is for a person, who asks the vendor: here nothing but the records was.
        known = {record["item"] for record in lines(run_directories(run)[number] / "results.jsonl")}
        work = pipeline("work", "job.yaml", "--set-aside", cwd=tmp_path, **ACCOUNT)
        assert work.returncode == 1, work.stderr
        assert states(tmp_path) == [GivenBack.DONE]
        found = truth_of(tmp_path, run)
        assert (found.twice, found.untracked, found.settled + found.in_doubt) == ([], [], 24)
        assert known <= {record["item"] for record in lines(run_directories(run)[number] / "results.jsonl")}
        assert pipeline("report", "shared/job", cwd=tmp_path, **ACCOUNT).returncode == 0
        decided = pipeline("resolve", "shared/job", "--all", "not-created", cwd=tmp_path, **ACCOUNT)
        assert decided.returncode == 0, decided.stderr
        assert pipeline("work", "job.yaml", cwd=tmp_path, **ACCOUNT).returncode == 0
    assert truth_of(tmp_path, run) == ([], [], 24, 0, 0)
    assert len(lines(tmp_path / "vendor" / "tasks.jsonl")) == 24


def _is_half(run: Path) -> bool:
    listed = len((run.parent / "items.jsonl").read_bytes().splitlines())
    return len(lines(run / "results.jsonl")) < listed


def _damage(journal: Path, how: str) -> None:
    if how == "gone":
        journal.unlink()
        return
    data = bytearray(journal.read_bytes())
    data[4096:20_000] = b"\xff" * (min(20_000, len(data)) - 4096)
    journal.write_bytes(data)
