"""`make scale`, second part: how much of an account's limit machines use that lease it, and what that costs a picture.

Each machine is a process with a state folder of its own. The use is counted in the merged logs of all machines, from
the moment at which the last of them has had its part for a while to the moment at which the first has no work left.
"""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pipeline.models import Kind
from tests.bench.compare import vendor
from tests.bench.pace import worst_second
from tests.support.machines import LEASE_S, Machine, machine, together
from tests.support.processes import ended

SETTLED_S = 2 * LEASE_S + 4  # all have seen each other, and rested after their claims
LEAST_USE = 0.985
KEY = {"PATSNAP_API_KEY": "sandbox-key"}  # this vendor gives no tokens


def run(machines: int, *, qps: int, seconds: int, leases: str | None) -> tuple[float, int, float]:
    """Run machines side by side; return the use of the limit, the worst second, and CPU seconds per 1,000 pictures."""
    pictures = int(qps * (seconds + SETTLED_S) / machines)
    with vendor() as (address, _), tempfile.TemporaryDirectory() as place, ExitStack() as block:
        folder = Path(place)
        (folder / "leases").mkdir()
        options: dict[str, Any] = {"pictures": pictures, "qps": qps, "leases": leases, "account": KEY}
        before = os.times()
        running: list[Machine] = [
            block.enter_context(machine(folder / str(number), address, **options)) for number in range(machines)
        ]
        for one in running:
            _, said = ended(one.process)
            if one.process.returncode:
                raise SystemExit(f"a machine ended with {one.process.returncode}: {said}")
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        sent = together(Kind.SEARCH, *running)
        start = max(one.sent(Kind.SEARCH)[0] for one in running) + SETTLED_S
        end = min(one.sent(Kind.SEARCH)[-1] for one in running)
        inside = [at for at in sent if start <= at < end]
        return len(inside) / (qps * (end - start)), worst_second(sent)[0], cpu / (pictures * machines) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qps", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    low = False
    for machines, leases in ((1, None), (1, "../leases"), (2, "../leases"), (4, "../leases")):
        use, worst, cpu = run(machines, qps=options.qps, seconds=options.seconds, leases=leases)
        words = "alone, nothing leased" if leases is None else f"{machines} leased"
        print(f"{words}: {use:.3f} of {options.qps} calls/s, worst second {worst}, {cpu:.2f} s CPU for 1,000 pictures")
        low = low or use < LEAST_USE or worst > options.qps
    if low:
        sys.exit(f"less than {LEAST_USE} of the limit is used, or it is exceeded")


if __name__ == "__main__":
    main()
