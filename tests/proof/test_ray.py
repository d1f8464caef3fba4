"""Workers on a real Ray cluster of three nodes: a machine dies, then the head. Judged by the vendor's own tasks."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cluster.detached import Detached, going
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.lengths import THOROUGH
from tests.support.processes import ended, python, running, until
from tests.support.ray_cluster import needs_ray, ray_cluster
from tests.support.workers import HELD, THREE_ARE_THERE, WORKER, after_lease, most_in_a_second, sent_in, truth_of

pytestmark = needs_ray

PICTURES = 2000 if THOROUGH else 150
QPS = 20
LEASE_S = 2
KINDS = ("search", "create")

# The command `cluster run --ray`, but for the worker: each notes its calls as they leave.
DRIVER = """
import sys
from pathlib import Path
from pipeline.cluster.launch import Supervision
from pipeline.cluster.ray import RayMachines
from pipeline.cluster.ray_workers import RayLauncher
address, run, worker = sys.argv[1:]
say = lambda line: print(line, file=sys.stderr, flush=True)
machines = RayMachines(address)
launcher = RayLauncher(machines, Path(run), ["-c", worker], say=say)
sys.exit(Supervision(launcher, ["one", "two", "three"], Path(run), say=say).watch())
"""
# All workers begin, and there is work left when the head dies, however long a node takes to start.
HOLDING = HELD.replace("UNTIL", f"{THREE_ARE_THERE} if len(begun) == 1 else Path('goes-on').exists()")
NAMED = "import sys\nsys.argv = ['', sys.argv[-1] + '.sent', sys.argv[-1]]\n"


def calls_of(folder: Path, worker: str) -> int:
    file = folder / f"{worker}.sent"
    return file.read_bytes().count(b"\n") if file.exists() else 0


@contextmanager
def no_worker_left(run: Path) -> Iterator[None]:
    """See to it that no worker outlives the block, however it ends."""
    try:
        yield
    finally:
        for worker in going(str(run)):
            kill(worker)


def kill(worker: Detached) -> None:
    assert worker.process is not None
    os.kill(worker.process.id, signal.SIGKILL)


def test_a_machine_and_the_head_that_die_cost_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run = tmp_path / "shared" / "job"
    (tmp_path / "shared").mkdir(mode=0o700)
    environment = {**os.environ, **ACCOUNT}
    with vendor(tmp_path, latency_s=0.3) as server, ray_cluster(environment) as cluster, no_worker_left(run):
        parts = {"shared": "shared", "shards": PICTURES // 25, "lease_s": LEASE_S}
        job(tmp_path, url=server.url, pictures=PICTURES, api={"qps": QPS}, cluster=parts)
        split = subprocess.run(
            python("from pipeline.cli import main\nraise SystemExit(main.run(['split', 'job.yaml']))"),
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert split.returncode == 0, split.stderr
        nodes = cluster.add_several(3)
        worker = NAMED + WORKER.replace("MORE", HOLDING)
        with running(python(DRIVER, cluster.address, str(run), worker), cwd=tmp_path) as driver:
            until(lambda: len([one for one in going(str(run)) if calls_of(tmp_path, one.name)]) == 3, by=driver)
            dying = next(one for one in going(str(run)) if one.name.endswith(nodes[1][:8]))
            until(lambda: calls_of(tmp_path, dying.name) > QPS, by=driver)
            cluster.remove(nodes[1])
            kill(dying)
            fourth = cluster.add()
            until(lambda: any(one.name.endswith(fourth[:8]) for one in going(str(run))), by=driver)
            cluster.do("kill-head")
            (tmp_path / "goes-on").touch()
            _, said = ended(driver)
        assert driver.returncode in (0, 1, 4), said
        until(lambda: not list(going(str(run))))
        secret = ACCOUNT["PATSNAP_CLIENT_SECRET"].encode()
        told = [one for one in cluster.folder.rglob("*") if one.is_file() and secret in one.read_bytes()]
    truth, sent = truth_of(tmp_path, run), sent_in(tmp_path)
    assert truth.twice == []
    assert truth.untracked == []
    assert (truth.settled + truth.in_doubt, truth.other) == (PICTURES, 0), said
    assert all(most_in_a_second(sent, kind) <= QPS for kind in KINDS)
    assert after_lease(sent) == []
    assert told == [], "no log of Ray names the secret"
