"""A real Ray cluster of several nodes on this machine, in a process of its own: a head that takes no work, and nodes.

As a program it makes one and does what the lines on its stdin say: `add N`, `remove ID`, `kill-head`. Then it ends.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import running

ROOT = Path(__file__).parents[2]
STORE = 80_000_000  # bytes; nothing is kept in it

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install -e '.[ray]'")


class RayCluster:
    """The cluster as a test steers it; `nodes` are the ids of those that take work."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process = process
        self.folder = folder  # Ray's own: sessions, and in them its logs
        self.address: str = self._read()
        self.nodes: list[str] = []

    def add(self) -> str:
        """Add a node; return its id."""
        return self.add_several(1)[0]

    def add_several(self, count: int) -> list[str]:
        """Add nodes, all at once; return their ids."""
        added = [str(one) for one in self.do("add", str(count))]
        self.nodes += added
        return added

    def with_nodes(self, count: int) -> list[str]:
        """Add nodes until there are so many; return the ids of all."""
        if count > len(self.nodes):
            self.add_several(count - len(self.nodes))
        return list(self.nodes)

    def remove(self, node: str) -> None:
        """Let a node die."""
        self.nodes.remove(node)
        self.do("remove", node)

    def do(self, *words: str) -> Any:
        """Do what a line says; return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)["answer"]
        raise AssertionError(f"the cluster is gone: {self._process.communicate()[1][-2000:]}")


@contextmanager
def ray_cluster(env: Mapping[str, str]) -> Iterator[RayCluster]:
    """Run a cluster with a head alone while the block lasts; its nodes have this environment."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: Ray's sockets lie in it
    (folder / "ray").mkdir()  # Ray notes there which cluster is the last, and does not make it
    command = [sys.executable, "-m", "tests.support.ray_cluster", folder]
    environment = {**env, "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(folder)}
    try:
        with running(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE) as process:
            try:
                yield RayCluster(process, folder)
            finally:
                process.communicate(timeout=60)  # the end of its stdin is its own
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _main(folder: str) -> None:
    from ray.cluster_utils import Cluster

    health = {"health_check_period_ms": 1000, "health_check_failure_threshold": 3, "health_check_timeout_ms": 2000}
    of_head = {"num_cpus": 0, "include_dashboard": False, "_system_config": health, "temp_dir": folder}
    cluster = Cluster(initialize_head=True, head_node_args=of_head | {"object_store_memory": STORE})
    try:
        answer: Any = cluster.address
        _say(answer)
        for line in sys.stdin:
            word, *rest = line.split()
            _say(_done(cluster, word, rest))
    finally:
        cluster.shutdown()
        os._exit(0)


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps({"answer": answer}) + "\n")
    sys.stdout.flush()


def _done(cluster: Any, word: str, rest: list[str]) -> Any:
    if word == "add":
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE, wait=False) for _ in range(int(rest[0]))]
        cluster.wait_for_nodes()
        return [node.node_id for node in nodes]
    if word == "kill-head":
        cluster.head_node.kill_gcs_server(check_alive=False)
        return True
    [victim] = [node for node in cluster.list_all_nodes() if node.node_id == rest[0]]
    cluster.remove_node(victim, allow_graceful=False)
    return True


if __name__ == "__main__":
    _main(sys.argv[1])
