"""`make scale`: the processor time that leases add to a run, told apart inside one run.

A lease works in threads of its own (`pipeline/leases/turns.py`), whose processor time the system counts; each call
asks two more questions when it is sent (`tests/bench/leases.py` measures them). So one run tells what leases cost: two
runs, one with them and one without, differ by more than that on a machine that does other things as well.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.compare import vendor
from tests.bench.leases import permit_us
from tests.support.jobs import job
from tests.support.processes import ended, python, running

MOST = 1.02
KEY = {"PATSNAP_API_KEY": "sandbox-key"}

# Prints the processor seconds of the whole process, of the threads of leases, and the number of calls sent.
_RUN = """
import sys, time
from pipeline import RunOptions, run_job
from pipeline.leases import turns
of_leases, calls, work = [], [], turns.RepeatingThread._run
def counted(thread):
    try:
        work(thread)
    finally:
        of_leases.append(time.thread_time())
turns.RepeatingThread._run = counted
begun = time.process_time()
summary = run_job(sys.argv[1], options=RunOptions(on_sent=lambda kind, at: calls.append(kind)))
print(time.process_time() - begun, sum(of_leases), len(calls))
sys.exit(summary.exit_code or not of_leases)
"""


def ratio(*, qps: int, pictures: int, us: float) -> float:
    """Run a job at this many calls a second on a leased account; return its processor time over that without leases."""
    with vendor() as (address, _), tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "leases").mkdir()
        path = job(folder, url=address, pictures=pictures, api={"qps": qps, "leases": "leases"})
        environment = {**os.environ, **KEY, "XDG_STATE_HOME": str(folder / "state")}
        with running(python(_RUN, path), cwd=folder, env=environment) as process:
            out, said = ended(process)
        if process.returncode:
            raise SystemExit(f"the run ended with {process.returncode}: {said}")
        whole, threads, calls = (float(number) for number in out.split())
        without = whole - threads - calls * us / 1e6
        print(f"{whole:.2f} s in all, {threads:.3f} s in the threads of leases: {whole / without:.4f}")
        return whole / without


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--qps", type=int, default=400)
    parser.add_argument("--pictures", type=int, default=8000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    us = permit_us()
    found = statistics.median(ratio(qps=options.qps, pictures=options.pictures, us=us) for _ in range(options.times))
    print(
        f"with leases a run takes {found:.4f} of the processor time without them (at most {MOST}); {us:.2f} us a permit"
    )
    if found > MOST:
        sys.exit(1)


if __name__ == "__main__":
    main()
