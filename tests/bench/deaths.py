"""`make scale`: how soon the calls per second are the account's again after a machine's death.

Workers share a job; one of them is killed (kill -9) at a moment of no account, and started again once all is as before.
What counts is the merged log of all workers: the first second, of any beginning, that holds 0.98 of the limit.
"""

import argparse
import bisect
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.leases.lease import LEASE_S, silence_s
from pipeline.models import Kind
from tests.bench.takeover import Group
from tests.proof.chaos_machines import Vendor, warm_up
from tests.support.links import Links
from tests.support.workers import sent_in

SHARE = 0.98
BEYOND_S = 2.0  # T and so many seconds are the figure to reach
LONGEST_S = 60.0


def back_s(times: Sequence[float], killed_at: float, *, qps: int) -> float | None:
    """Return the seconds from a death to the first second that holds SHARE of the limit; None where none does."""
    for first in range(bisect.bisect_left(times, killed_at), len(times)):
        if bisect.bisect_left(times, times[first] + 1.0) - first >= SHARE * qps:
            return times[first] - killed_at
    return None


def deaths(machines: int, *, qps: int, times: int, lease_s: float, seed: int) -> list[float]:
    """Kill one of so many machines again and again; return the seconds until the limit was used again."""
    dice, took = random.Random(seed), list[float]()
    each_s = silence_s(lease_s) + 25
    cluster = {"shared": "shared", "shards": 2 * machines, "lease_s": lease_s}
    with tempfile.TemporaryDirectory() as place, Links() as links:
        folder = Path(place)
        vendor = Vendor(folder / "vendor", "", seed)
        pictures = int(qps * each_s * (times + 1))
        group = Group(folder / "run", vendor, links, machines, pictures=pictures, api={"qps": qps}, cluster=cluster)
        try:
            for machine in group.machines:
                group.start(machine)
            for _ in range(times):
                group.wait(lambda: _rate(group.folder, qps) >= SHARE)
                time.sleep(lease_s / 4 + dice.uniform(0, lease_s / 4))
                victim = dice.choice(group.machines)
                killed_at = group.kill(victim)
                while (found := back_s(_searches(group.folder), killed_at, qps=qps)) is None:
                    if time.monotonic() > killed_at + LONGEST_S:
                        sys.exit(f"{machines} machines: the limit was not used again within {LONGEST_S:g} s")
                    time.sleep(0.2)
                took.append(found)
                group.start(victim)
        finally:
            group.end()
            vendor.kill()
    return sorted(took)


def _searches(folder: Path) -> list[float]:
    return [one.at for one in sent_in(folder) if one.kind == Kind.SEARCH]


def _rate(folder: Path, qps: int) -> float:
    """Return how much of the limit the last whole second used."""
    times = _searches(folder)
    now = time.monotonic()
    return sum(now - 1.2 <= at < now - 0.2 for at in times) / qps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--qps", type=int, default=50)
    parser.add_argument("--lease-s", type=float, default=LEASE_S)
    parser.add_argument("--seed", type=int, default=7)
    told = parser.parse_args()
    warm_up()
    bound = silence_s(told.lease_s) + BEYOND_S
    for machines in (2, 4):
        took = deaths(machines, qps=told.qps, times=told.times, lease_s=told.lease_s, seed=told.seed)
        print(
            f"{machines} workers, {told.lease_s:g} s leases, {len(took)} kills: back at {SHARE:g} of {told.qps} calls "
            f"a second after {statistics.median(took):.1f} s median, {took[0]:.1f} to {took[-1]:.1f} s; "
            f"{sum(one <= bound for one in took)} within {bound:g} s (T + {BEYOND_S:g} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
