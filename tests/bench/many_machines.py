"""`make scale`: the time that a split of a million rows and a takeover take, and four workers under kill and freeze."""

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from pipeline.cluster.claims import Claim
from pipeline.cluster.split import split_job
from pipeline.cluster.takeover import take_over
from pipeline.job.load import load_job
from pipeline.journal.storage import open_disk

ROWS = 1_000_000
SHARD = 10_000
JOURNAL_BYTES = 430  # of an item


def write_list(folder: Path, rows: int) -> Path:
    """A job of many machines with so many URLs."""
    with (folder / "list.csv").open("w") as out:
        out.write("id,url,brand\n")
        out.writelines(f"SKU-{n:07},https://cdn.example.com/pictures/{n:07}.jpg,acme\n" for n in range(rows))
    job = folder / "job.yaml"
    job.write_text("version: 1\nname: many\nimages: [{manifest: list.csv}]\ncluster: {shared: shared}\n")
    return job


def split(rows: int) -> None:
    """Time the split of so many rows, and say what memory it took."""
    with tempfile.TemporaryDirectory() as place:
        spec = load_job(write_list(Path(place), rows))
        Path(place, "shared").mkdir(mode=0o700)
        begun, cpu = time.perf_counter(), time.process_time()
        _, made = split_job(spec)
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        load = os.getloadavg()[0]
        what = f"{took:.1f} s, {cpu:.1f} s of a core, peak {peak} MB, load {load:.1f}"
        print(f"split: {rows:,} rows, {made.shards} shards: {what}")


def takeover(items: int, line_bytes: int) -> None:
    """Time the copy of an epoch with so many items, whose lines have so many bytes; its journal is that of a small run.

    Both files are brought to the size that they have with so many items.
    """
    with tempfile.TemporaryDirectory() as place:
        shard = Path(place) / "0000"
        shard.mkdir()
        first = take_over(shard, Claim(0, 1, 0, (), died=False), worker="a")
        assert first is not None
        open_disk(first.folder, now=time.time()).close()
        with closing(sqlite3.connect(first.folder / "journal.sqlite")) as db:
            db.execute("CREATE TABLE filling AS SELECT randomblob(?) AS bytes", (items * JOURNAL_BYTES,))
            db.commit()
        with (first.folder / "results.jsonl").open("wb") as lines:
            for _ in range(items):
                lines.write(os.urandom(line_bytes // 2).hex().encode()[: line_bytes - 1] + b"\n")
        begun = time.perf_counter()
        taken = take_over(shard, Claim(0, 2, 0, (1,), died=True), worker="b")
        took = time.perf_counter() - begun
        assert taken is not None
        print(f"takeover: {items:,} items, lines of {line_bytes:,} bytes, {items * line_bytes >> 20} MB: {took:.2f} s")


def chaos() -> None:
    """Run the proof with 2,000 pictures."""
    test = "tests/proof/test_many_machines.py"
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "long", test], env={**os.environ, "THOROUGH": "1"}
    )
    said = "0 twice, 0 untracked" if done.returncode == 0 else "FAILED"
    print(f"chaos: 2,000 pictures, one killed, one frozen: {said}, {time.perf_counter() - begun:.0f} s")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--only", choices=["split", "takeover", "chaos"])
    asked = parser.parse_args()
    if asked.only in (None, "split"):
        split(asked.rows)
    if asked.only in (None, "takeover"):
        takeover(SHARD, 4_000)
        takeover(SHARD, 73_000)
    if asked.only in (None, "chaos"):
        chaos()


if __name__ == "__main__":
    main()
