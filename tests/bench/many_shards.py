"""`make scale`, the status of 4,096 shards that are done: copies of one that a vendor on this machine settled."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.cluster.layout import shard_folder
from tests.support.jobs import vendor
from tests.support.sharded import sharded, write_split

SHARDS = 4_096
EACH = 50  # items


def many_done(folder: Path, shards: int) -> Path:
    """Make a run of so many shards, all of them done."""
    os.environ |= {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    with vendor(folder) as server:
        run = sharded(folder, server.url, shards=1, each=EACH, single=False).folder
    first = shard_folder(run, 0)
    for number in range(1, shards):
        shutil.copytree(first, shard_folder(run, number))
    write_split(run, [EACH] * shards)
    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = many_done(Path(place), asked.shards)
        took = []
        for _ in range(asked.times):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-m", "pipeline", "status", str(run)], check=True, capture_output=True)
            took.append(time.perf_counter() - begun)
        said = ", ".join(f"{one:.1f}" for one in took)
        load = os.getloadavg()[0]
        print(f"status: {asked.shards:,} shards: median {statistics.median(took):.1f} s ({said}), load {load:.1f}")


if __name__ == "__main__":
    main()
