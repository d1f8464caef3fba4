"""Workers as Ray tasks, one on each node of a Ray cluster; the only module that knows Ray.

Ray starts workers and says when a node is gone, and nothing more: what is paid is kept by leases and journals, so a
second copy of a worker, a driver that dies and a cluster without its head do no harm. No actors, no objects; what a
task is told is an `Order`, which has no secrets: those come from the environment of each node.
"""

import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pipeline.cluster.detached import LOST, Detached, Order, going
from pipeline.cluster.prepared import Part, died_over
from pipeline.errors import PipelineError, SpecError
from pipeline.system.fault import Fault

T = TypeVar("T")
R = TypeVar("R")

AUTO = "auto"  # the cluster that runs on this machine
EXTRA = "pip install 'infringement-pipeline[ray]'"
_HEAD = "ray start --head --include-dashboard=false"
_HANDLED = (signal.SIGINT, signal.SIGTERM)
# What Ray would send home, import into every task's log or print; said before it is imported.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "0"}
_HEAD_S = 2.0  # a head that takes longer for a connection is not there
ABSENT = -1  # the code of a worker that was not started: the run is not on its node
ENDED = 128 + signal.SIGTERM  # the code of a worker that was to end before it began
NO_HEAD_S = 10.0  # Ray ends a driver itself after a minute without a head, with a page of its own
_LOOK_S = 1.0  # between two looks at whether there is a head
_GOODBYE_S = 30.0
_ANSWER_S = 120.0  # for a node that looks at a folder
_REPEATS = 10
_OF_ID = 8  # letters of a node's id in the name of its worker


class HeadLost(PipelineError):
    """The head of the Ray cluster is gone; what runs on its nodes goes on."""

    exit_code = 4


class RayWorker:
    """A worker on a node of the cluster, followed by a task."""

    def __init__(self, cluster: "RayMachines", place: str, order: Order) -> None:
        self.place, self.name = place, order.name
        self._cluster = cluster
        self._order = order
        self._task = cluster.on(place, _work, order._asdict(), cluster.places())

    def poll(self) -> int | None:
        """Return its exit code, LOST when it or its node is gone; None while it goes on, or nobody can tell."""
        ray = self._cluster.ray
        done, _ = ray.wait([self._task], timeout=0)
        if not done:
            return None
        try:
            return int(ray.get(self._task))
        except ray.exceptions.RayError:
            return LOST

    def drain(self) -> None:
        """Ask it to end in good order; return at once."""
        self._cluster.on(self.place, _drain, self._order._asdict(), cpus=0)


class RayMachines:
    """The nodes of a running Ray cluster, as places for workers."""

    def __init__(self, address: str) -> None:
        """Connect to the cluster at `address`. Raises SpecError where there is none, or Ray is not installed."""
        self.ray = _import_ray()
        with _own_signals():
            try:
                self.ray.init(address=address, log_to_driver=False, configure_logging=False, namespace="pipeline")
            except (ConnectionError, self.ray.exceptions.AuthenticationError):
                raise SpecError(_no_cluster(address)) from None
            except (RuntimeError, ValueError) as error:
                what = f"the Ray cluster does not take this machine in: {' '.join(str(error).split())[:300]}"
                raise SpecError(Fault(what, where=f"--ray {address}")) from None
        self.ray._private.worker._worker_logs_enabled = False  # of a node that goes it would print the log's last lines
        self._head = self.ray.get_runtime_context().gcs_address

    def close(self) -> None:
        """Leave the cluster. Workers go on; of a cluster without a head nothing can be taken leave of."""
        leaving = threading.Thread(target=self.ray.shutdown, daemon=True)
        leaving.start()
        leaving.join(_GOODBYE_S if self.has_head() else _HEAD_S)

    def has_head(self) -> bool:
        """Return whether the cluster's head answers: without one nothing can be started anew, and workers go on."""
        host, _, port = self._head.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _HEAD_S):
                return True
        except OSError:
            return False

    def places(self) -> list[str]:
        """List the nodes that are there and take work; one that was started with no CPU takes none."""
        return [node["NodeID"] for node in self.ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]

    def name_of(self, place: str) -> str:
        """Name a node for people: its host, and a part of its id, for there may be several on one machine."""
        host = next((node["NodeManagerHostname"] for node in self.ray.nodes() if node["NodeID"] == place), "node")
        return f"{host}-{place[:_OF_ID]}"

    def start(self, place: str, order: Order) -> RayWorker:
        """Start a worker on a node, or follow the one of that name that goes on there already."""
        return RayWorker(self, place, order)

    def spread(self, function: Callable[[Part], R], parts: Iterable[Part]) -> Iterator[R]:
        """Yield what a function returns for each part, on all cores of the cluster, as it comes.

        For what is free and may be repeated: Ray does it once more where a node goes, or a process. Raises SpecError
        for a part that ends every process, OSError as the function does, HeadLost.
        """
        task = self.ray.remote(num_cpus=1, max_retries=_REPEATS, scheduling_strategy="SPREAD")(function)
        most = 2 * int(self.ray.cluster_resources().get("CPU", 1))
        ahead = iter(parts)
        going: dict[Any, Part] = {}
        head_seen = time.monotonic()
        while True:
            going |= {task.remote(part): part for part in islice(ahead, most - len(going))}
            if not going:
                return
            done, _ = self.ray.wait([*going], timeout=_LOOK_S)
            if done or self.has_head():
                head_seen = time.monotonic()
            elif time.monotonic() - head_seen > NO_HEAD_S:
                raise HeadLost(
                    "the head of the Ray cluster is gone, and no more pictures are looked at; what was found is kept. "
                    "Start a head and its nodes, then this command again"
                )
            for one in done:
                yield self._outcome(one, going.pop(one))

    def _outcome(self, task: Any, part: Part) -> Any:
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, OSError):
                raise error.cause from None
            raise SpecError(Fault(_no_answer(error), where=str(part.list))) from None
        except self.ray.exceptions.RayError as error:
            raise died_over(part, _last_line(error)) from None

    def on_each(self, function: Callable[[T], R], asked: T) -> list[R]:
        """Return what a function returns on each node. Raises SpecError for a node where it cannot be asked."""
        tasks = {place: self.on(place, function, asked, cpus=0) for place in self.places()}
        answers = []
        for place, task in tasks.items():
            try:
                answers.append(self.ray.get(task, timeout=_ANSWER_S))
            except self.ray.exceptions.RayError as error:
                raise SpecError(Fault(_no_answer(error), where=self.name_of(place))) from None
        return answers

    def on(self, place: str, function: Any, *arguments: Any, cpus: int = 1) -> Any:
        """Hand a function to a node. Ray tries nothing anew: whoever calls decides what follows when the node goes."""
        where = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(place, soft=False)
        task = self.ray.remote(num_cpus=cpus, max_retries=0)(function)
        return task.options(scheduling_strategy=where, name=function.__name__.strip("_")).remote(*arguments)


def _no_answer(error: Exception) -> str:
    return f"this node gives no answer, or has another version of the program: {_last_line(error)}"


def _last_line(error: Exception) -> str:
    """Return the last line of what Ray says, which may be pages with a traceback."""
    return (str(error).strip().splitlines() or ["?"])[-1][:300]


def _import_ray() -> Any:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise SpecError(Fault("Ray is not installed here", where="--ray", fix=EXTRA)) from None
    return ray


def _no_cluster(address: str) -> Fault:
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token":  # a wrong one is answered as if nobody were there
        what = (
            f"no Ray cluster lets this machine in at {address}: most likely its token is not the cluster's "
            "(RAY_AUTH_TOKEN, or the file that RAY_AUTH_TOKEN_PATH names); or none runs there"
        )
        return Fault(what, where=f"--ray {address}")
    if address == AUTO:
        return Fault("no Ray cluster runs on this machine", where="--ray auto", fix=_HEAD)
    what = f"no Ray cluster answers at {address}; it is HOST:PORT of its head, as `ray start` printed it there"
    return Fault(what, where="--ray", fix=f"ray start --address={address}")


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the handlers of signals as they are: Ray sets one of its own, which ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _HANDLED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(order: dict[str, Any], nodes: list[str]) -> int:
    """Start a worker on this node and follow it to its end; return its exit code.

    One that goes on here already is followed instead: its driver died, or its node was declared dead and came back.
    """
    told = Order(**order)
    if not Path(told.run).is_dir():  # a log would be written beneath a place where nothing is mounted
        return ABSENT
    named = Detached(told.run, told.name)
    asked = functools.partial(named.asked_to_end, told.number)
    worker = named if named.runs else next(_left_behind(told, nodes), named)
    if not worker.runs:
        if asked():
            return ENDED
        log = Path(told.run) / "workers" / worker.name / "work.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        worker.begin([sys.executable, *told.arguments], folder=told.folder, log=log)
    return worker.follow(asked)


def _left_behind(order: Order, nodes: list[str]) -> Iterator[Detached]:
    """Yield the workers that go on on this machine and that no node of the cluster follows any more."""
    ours = {node[:_OF_ID] for node in nodes}
    return (worker for worker in going(order.run) if worker.name[-_OF_ID:] not in ours)


def _drain(order: dict[str, Any]) -> None:
    """Ask for the end of what an order started on this node, or is about to start."""
    told = Order(**order)
    Detached(told.run, told.name).ask_to_end(told.number)
