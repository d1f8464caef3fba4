"""`make scale`: the time from the death of a shard's owner to the first call of the standby that goes on with it.

Several pairs of machines run side by side, most of the time idle. Of each pair one owns the only shard of a job and the
other one stands by; the owner is killed (kill -9) at a moment of no account, is started again and stands by itself.
"""

import argparse
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipeline.cluster.layout import WORKERS
from pipeline.leases.lease import LEASE_S, silence_s
from tests.proof.chaos_machines import Machine, Vendor, warm_up
from tests.support.jobs import ACCOUNT, job, pipeline
from tests.support.links import Links
from tests.support.processes import until
from tests.support.workers import sent_in

BEYOND_S = 4.0  # T and so many seconds are allowed, for leases of 10 s
QPS = 2
_ONE_START = threading.Lock()


class Group:
    """Machines that work on one job."""

    def __init__(self, folder: Path, vendor: Vendor, links: Links, machines: int, **parts: dict[str, object]) -> None:
        self.folder = folder
        folder.mkdir()
        job(folder, url=vendor.url, known=False, **parts)
        split = pipeline("split", "job.yaml", cwd=folder, **ACCOUNT)
        assert split.returncode == 0, split.stderr
        with _ONE_START:
            added = [links.add(vendor.port) for _ in range(machines)]
            self.machines = [Machine(folder, f"w{number}", vendor.url, link, "") for number, link in enumerate(added)]

    def start(self, machine: Machine) -> None:
        """Start a machine, and wait until it takes part."""
        progress = self.folder / "shared" / "job" / WORKERS / machine.name / "progress.json"
        progress.unlink(missing_ok=True)
        with _ONE_START:
            machine.start()
        self.wait(progress.exists)

    def kill(self, machine: Machine) -> float:
        """Kill a machine's worker; return when."""
        at = time.monotonic()
        machine.signal(signal.SIGKILL)
        self.wait(lambda: machine.ended() is not None)
        return at

    def calls(self, machine: Machine) -> list[float]:
        """Return the times of the calls of a machine's workers."""
        return [one.at for one in sent_in(self.folder, f"{machine.name}.sent")]

    def wait(self, happened: Callable[[], object]) -> None:
        """Wait for something that a worker does."""
        until(happened)

    def end(self) -> None:
        """End all workers."""
        for machine in self.machines:
            machine.end()


def pair(folder: Path, vendor: Vendor, links: Links, *, times: int, lease_s: float, dice: random.Random) -> list[float]:
    """Kill the owner so many times; return the seconds until the other one's first call."""
    cluster = {"shared": "shared", "shards": 1, "lease_s": lease_s}
    group = Group(folder, vendor, links, 2, pictures=60 + 40 * times, api={"qps": QPS}, cluster=cluster)
    owner, other = group.machines
    took = []
    try:
        group.start(owner)
        for _ in range(times):
            there = len(group.calls(owner))
            group.start(other)
            group.wait(lambda: len(group.calls(owner)) > there + 3 * QPS)  # noqa: B023 - asked at once
            time.sleep(dice.uniform(0, lease_s / 2))
            killed_at = group.kill(owner)
            group.wait(lambda: group.calls(other)[-1:] > [killed_at])  # noqa: B023
            took.append(next(at for at in group.calls(other) if at > killed_at) - killed_at)
            owner, other = other, owner
    finally:
        group.end()
    return took


def takeovers(*, times: int, pairs: int, lease_s: float, seed: int) -> list[float]:
    """Measure so many takeovers in all."""
    warm_up()
    with tempfile.TemporaryDirectory() as place, Links() as links, ThreadPoolExecutor(pairs) as threads:
        folder = Path(place)
        vendor = Vendor(folder / "vendor", "", seed)
        try:
            each = [times // pairs + (number < times % pairs) for number in range(pairs)]
            found = [
                threads.submit(
                    pair,
                    folder / f"pair-{number}",
                    vendor,
                    links,
                    times=count,
                    lease_s=lease_s,
                    dice=random.Random(seed + number),
                )
                for number, count in enumerate(each)
            ]
            return sorted(took for one in found for took in one.result())
        finally:
            vendor.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--lease-s", type=float, default=LEASE_S)
    parser.add_argument("--seed", type=int, default=7)
    told = parser.parse_args()
    took = takeovers(times=told.times, pairs=min(told.pairs, told.times), lease_s=told.lease_s, seed=told.seed)
    silence = silence_s(told.lease_s)
    bound = silence + BEYOND_S * told.lease_s / LEASE_S
    late = sum(one > bound for one in took)
    print(
        f"takeover, leases of {told.lease_s:g} s (T = {silence:g} s), {len(took)} kills: from kill -9 to the first "
        f"call on the shard {took[0]:.1f} s at least, {statistics.median(took):.1f} s median, "
        f"{took[int(0.95 * (len(took) - 1))]:.1f} s 95 %, {took[-1]:.1f} s at most; {late} above {bound:g} s"
    )
    if late:
        sys.exit(f"a takeover takes more than {bound:g} s")


if __name__ == "__main__":
    main()
