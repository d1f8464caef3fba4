"""`make scale`, the status of 4,096 shards that are done: copies of one that a vendor on this machine settled.

First looks are those of a person who never asked before: without a worker's looks, and with them. Further ones follow.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.cluster.layout import WORKERS, shard_folder
from pipeline.journal.signature import TOO_YOUNG_S
from pipeline.offline.shards.looks import LOOKS
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
    time.sleep(TOO_YOUNG_S + 1)  # looks at younger files are not kept
    return run


def looked(run: Path, cache: Path) -> float:
    """Ask for the status as somebody with this cache folder; return how long it took."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "pipeline", "status", str(run)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"XDG_CACHE_HOME": str(cache)})
    return time.perf_counter() - begun


def leave(run: Path, cache: Path) -> None:
    """Let the looks of somebody be those that a worker left."""
    [file] = cache.glob("*/looks/*")
    worker = run / WORKERS / "w1"
    worker.mkdir(parents=True)
    shutil.copy(file, worker / LOOKS)


def say(what: str, shards: int, took: list[float]) -> None:
    """Print one figure."""
    said = ", ".join(f"{one:.1f}" for one in took)
    each_ms = statistics.median(took) / shards * 1000
    load = os.getloadavg()[0]
    print(
        f"status: {what}: {shards:,} shards: median {statistics.median(took):.1f} s ({said}), "
        f"{each_ms:.1f} ms a shard, load {load:.1f}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = many_done(Path(place), asked.shards)
        times = range(asked.times)
        say("first look", asked.shards, [looked(run, Path(place) / f"first-{number}") for number in times])
        say("further looks", asked.shards, [looked(run, Path(place) / "first-0") for _ in times])
        leave(run, Path(place) / "first-0")
        say("first look, by what workers left", asked.shards, [looked(run, Path(place) / f"new-{n}") for n in times])


if __name__ == "__main__":
    main()
