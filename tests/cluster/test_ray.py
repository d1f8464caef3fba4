"""Workers as tasks of a real Ray cluster of several nodes on this machine."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.detached import going
from pipeline.cluster.first_pass import prepare
from pipeline.cluster.machines import workers_in
from pipeline.cluster.put_once import NAMES
from pipeline.run.load import load_spec
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.lengths import THOROUGH
from tests.support.processes import completed, ended, python, running, until
from tests.support.ray_cluster import ROOT, RayCluster, needs_ray, ray_cluster

pytestmark = [pytest.mark.proofs, needs_ray]

SECRET = "s3cret-that-nobody-may-read-in-a-log"
WAITS = (
    "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
    "assert os.environ['PATSNAP_CLIENT_SECRET'].startswith('s3cret')\nopen(sys.argv[1], 'w').close()\ntime.sleep(600)"
)
# Starts a worker on each node, and says so; then does what the lines on stdin say, a JSON answer each.
DRIVER = """
import json, signal, sys
from pipeline.cluster.detached import Order
from pipeline.cluster.ray import RayMachines
address, run, code = sys.argv[1:4]
mine = lambda *_: sys.exit(7)
signal.signal(signal.SIGTERM, mine)
machines = RayMachines(address)
assert signal.getsignal(signal.SIGTERM) is mine
orders = {place: Order(run, name, ("-c", code, run + "/" + name), run, sys.argv[4] + name)
          for place in machines.places() for name in [machines.name_of(place)]}
workers = {place: machines.start(place, order) for place, order in orders.items()}
print(json.dumps([worker.name for worker in workers.values()]), flush=True)
for line in sys.stdin:
    word, place = line.split()
    if word == "start":
        order = Order(run, machines.name_of(place), ("-c", code, run + "/again"), run, "2")
        workers[place] = machines.start(place, order)
    answer = {"poll": lambda: workers[place].poll(), "drain": lambda: workers[place].drain(),
              "start": lambda: workers[place].name, "head": machines.has_head, "places": machines.places,
              "close": machines.close}[word]()
    print(json.dumps(answer), flush=True)
"""


class Driver:
    """A process that has started workers on the nodes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.names: list[str] = self._read()

    def do(self, *words: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        return self._read()

    def code(self, place: str) -> int:
        """Wait for the code of a worker."""
        found: list[int] = []
        until(lambda: (code := self.do("poll", place)) is not None and (found.append(code) or True), by=self.process)
        return found[0]

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1][-2000:]
        return json.loads(line)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def cluster(state: Path) -> Iterator[RayCluster]:
    """Run a cluster whose nodes know a secret that its drivers do not."""
    with ray_cluster({**os.environ, "PATSNAP_CLIENT_SECRET": SECRET}) as one:
        yield one


@pytest.fixture
def run(tmp_path: Path, state: Path) -> Iterator[Path]:
    """Make the folder of a run; its workers are dead afterwards."""
    folder = tmp_path / "run"
    folder.mkdir()
    yield folder
    for worker in going(str(folder)):
        assert worker.process is not None
        os.kill(worker.process.id, signal.SIGKILL)


@contextmanager
def driver(cluster: RayCluster, run: Path) -> Iterator[Driver]:
    with running(
        python(DRIVER, cluster.address, str(run), WAITS, secrets.token_hex(4)), stdin=subprocess.PIPE
    ) as process:
        yield Driver(process)


def test_workers_are_started_followed_and_found_again(cluster: RayCluster, run: Path) -> None:
    """One after the other, since a cluster takes seconds: a node that goes, a driver that dies, a head that dies."""
    first, second = cluster.add_several(2)
    with driver(cluster, run) as one:
        until(lambda: all((run / name).exists() for name in one.names), by=one.process)
        assert one.do("poll", first) is None
        # A machine dies: all of it, its worker too.
        [lost] = [worker for worker in going(str(run)) if worker.name.endswith(second[:8])]
        cluster.remove(second)
        assert one.code(second) == -9
        assert lost.runs, "the loss of a node in Ray's eyes ends nothing"
        assert lost.process is not None
        os.kill(lost.process.id, signal.SIGKILL)
        third = cluster.add()
        until(lambda: second not in one.do("places", "-"), by=one.process)
        assert one.do("start", third).endswith(third[:8])
        until((run / "again").exists, by=one.process)
        one.process.kill()
        ended(one.process)
    left = {worker.name: worker.process for worker in going(str(run))}
    assert len(left) == 2, "they belong to nobody"
    with driver(cluster, run) as other:
        assert sorted(other.names) == sorted(left)
        other.do("drain", first)  # perhaps before its task has found the worker
        assert other.code(first) == 143
        assert {worker.name: worker.process for worker in going(str(run))}.items() <= left.items()
        # What is said of a secret that only the nodes know: nothing, in no log of Ray and in no other file.
        told = [file for file in cluster.folder.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
        assert told == []
        cluster.do("kill-head")
        assert other.do("head", "-") is False
        other.do("close", "-")
    assert [worker.name[-8:] for worker in going(str(run))] == [third[:8]], "a worker needs no head"


def the_first_pass_finds_what_one_machine_finds(cluster: RayCluster, tmp_path: Path) -> None:
    pictures = ROOT / "samples"
    (tmp_path / "shared").mkdir(mode=0o700)
    file = tmp_path / "job.yaml"
    file.write_text(
        f"version: 1\nname: pictures\nroot: {pictures}\nimages: [{{path: products/*.jpg}}]\nupload: {{public: true}}\n"
        "cluster: {shared: shared}\napi: {base_url: sandbox}\n"
    )
    here = prepare(load_spec(file), tmp_path / "alone", spread=lambda function, parts: map(function, parts))
    command = [sys.executable, "-m", "pipeline", "split", file, "--ray", cluster.address]
    done = completed(command, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.returncode == 0, done.stderr
    assert f"{here.pictures} local pictures looked at, {here.read} of them now" in done.stderr
    one, other = (
        {
            file.name: file.read_bytes()
            for file in (tmp_path / place).rglob("*.jsonl")
            if file.parent.parent.name == ".prepared"
        }
        for place in ("alone", "shared")
    )
    assert one == other
    assert len(one) == 2


@pytest.mark.skipif(not THOROUGH, reason="a minute of make thorough")
def test_the_commands_see_every_node_and_a_stop_drains_all_workers(state: Path, tmp_path: Path) -> None:
    run = tmp_path / "shared" / "job"
    (tmp_path / "shared").mkdir(mode=0o700)
    words, env = [sys.executable, "-m", "pipeline", "cluster"], {**os.environ, **ACCOUNT}
    with vendor(tmp_path, latency_s=0.2) as server, ray_cluster(os.environ) as cluster:
        nodes = cluster.add_several(2)
        (tmp_path / "first").mkdir()
        the_first_pass_finds_what_one_machine_finds(cluster, tmp_path / "first")
        shared = {"shared": "shared", "shards": 4, "lease_s": 2}
        job(tmp_path, url=server.url, pictures=200, api={"qps": 10}, cluster=shared)
        ray = ["job.yaml", "--ray", cluster.address]
        done = completed([*words, "check", *ray], cwd=tmp_path, env=env)
        assert done.returncode == 2, "credentials of the command go to no node"
        assert done.stdout.count("FAIL") == len(nodes)
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in ACCOUNT.items()))
        done = completed([*words, "check", *ray], cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"put once: {NAMES} names wanted by {len(nodes)}: each went to one" in done.stdout
        with running([*words, "run", *ray], cwd=tmp_path, env=env) as process:
            until(lambda: len(list(run.glob("shards/*/e*/results.jsonl"))) >= len(nodes), by=process)
            process.send_signal(signal.SIGINT)
            said = "".join(ended(process))
        assert process.returncode == 130, said
    assert list(going(str(run))) == [], "the command waited for all of them"
    told = list(workers_in(run))
    assert (len(told), all(one.ended for one in told)) == (len(nodes), True), "each came to its end in good order"


def test_where_no_cluster_runs_one_line_says_what_to_type() -> None:
    code = "from pipeline.cluster.ray import RayMachines\nRayMachines('auto')"
    done = completed(python(code), env={**os.environ, "RAY_TMPDIR": "/nowhere"})
    assert "no Ray cluster runs on this machine" in done.stderr.splitlines()[-1]
