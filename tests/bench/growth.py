"""`make growth`: what a hundred thousand and a million pictures cost in memory and in waiting.

Answers are small here (10 hits): what grows with the number of pictures is looked for, not with their hits.
"""

import argparse
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from tests.bench.compare import vendor
from tests.bench.contenders import Clock, peak_rss_mb, pictures

SMALL = ("--size", "3000", "--hits", "10")
MILLION = 1_000_000
KEY = {"PATSNAP_API_KEY": "sandbox-key"}


def write_job(folder: Path, base_url: str, count: int) -> Path:
    """A job with a manifest of that many pictures."""
    with (folder / "list.csv").open("w") as out:
        out.write("id,url\n")
        out.writelines(f"SKU-{n:07},{url}\n" for n, url in enumerate(pictures(count)))
    api = {"base_url": base_url, "qps": 1_000_000, "max_in_flight": 64}
    job = {
        "version": 1,
        "name": "growth",
        "images": [{"manifest": "list.csv"}],
        "api": api,
        "report": {"pictures": {"keep": 0}},  # the paid calls alone are measured
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    return folder / "job.yaml"


def run(job: Path, stop_at_first: bool) -> None:
    """Run a job, to its end or to its first call; prints the seconds of its parts and the peak RSS."""
    began = time.monotonic()
    from pipeline import RunOptions, run_job

    clock = Clock()

    def note(*_: object) -> None:
        if stop_at_first:
            print(json.dumps({"first_call_s": time.monotonic() - began, "rss_mb": peak_rss_mb()}), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        clock.first_call()

    run_job(job, options=RunOptions(on_sent=note, environment=KEY))
    print(json.dumps(clock.report()))


def measure(job: Path, *, stop_at_first: bool = False) -> dict[str, float]:
    """Run a job in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.growth", "--run", str(job), *(["--first"] if stop_at_first else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if not done.stdout:
        raise SystemExit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def settle_half(folder: Path) -> None:
    """Make half of a million waiting items settled, as a run would have left them."""
    connection = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    waiting = connection.execute(
        "SELECT ord FROM items WHERE state = 0 ORDER BY ord LIMIT ?", (MILLION // 2,)
    ).fetchall()
    first = connection.execute("SELECT coalesce(max(seq) + 1, 0) FROM items").fetchone()[0]
    rows = []
    with (folder / "results.jsonl").open("ab") as out:
        for seq, (ord_,) in enumerate(waiting, first):
            line = b'{"item":"SKU-%07d","status":"tasked","hits":[%s]}\n' % (ord_, b"0" * 200)
            rows.append((seq, out.tell(), len(line), zlib.crc32(line), f"task-{seq}", ord_))
            out.write(line)
    change = 'state = 10, seq = ?, offset = ?, length = ?, crc = ?, calls = \'{"upload":0,"search":1,"create":1}\', '
    connection.executemany(f"UPDATE items SET {change}task_id = ? WHERE ord = ?", rows)
    connection.execute("UPDATE calls SET reserved = ?, sent = ? WHERE kind != 'upload'", (MILLION // 2, MILLION // 2))
    connection.execute("UPDATE meta SET value = '1' WHERE key = 'clean'")
    connection.execute("COMMIT")
    connection.close()


def memory(address: str, counts: tuple[int, ...]) -> None:
    """Peak RSS and time per picture, from a thousand pictures on."""
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            told = measure(write_job(Path(folder), address, count))
        each = told["work_s"] / count * 1e3
        print(f"{count:9,} pictures: peak RSS {told['rss_mb']:.0f} MB, {each:.2f} ms each", flush=True)


def million(address: str, folder: Path) -> None:
    """Plan, first call and resume of a million items."""
    job = write_job(folder, address, MILLION)
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "pipeline", "plan", str(job), "--json"], check=True, capture_output=True)
    took_s = time.monotonic() - began
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"1,000,000 items: plan {took_s:.1f} s, peak RSS of it {peak_mb:.0f} MB", flush=True)
    told = measure(job, stop_at_first=True)
    print(
        f"  first call of a new run {told['first_call_s']:.2f} s after its start, RSS {told['rss_mb']:.0f} MB",
        flush=True,
    )
    began = time.monotonic()
    _take_all_in(job)
    print(f"  all in after {time.monotonic() - began:.0f} s (ended by Ctrl-C)", flush=True)
    settle_half(folder / "runs" / "growth")
    for how in ("ended well", "killed"):
        told = measure(job, stop_at_first=True)
        first_s, rss_mb = told["first_call_s"], told["rss_mb"]
        print(f"  half done and {how}: first call {first_s:.2f} s after the start, RSS {rss_mb:.0f} MB", flush=True)


def _take_all_in(job: Path) -> None:
    """Run, as good as without a call, until every item is in the journal; then end it in good order."""
    overrides = ["--set", "api.qps=0.01", "--set", "api.drain_s=0"]
    command = [sys.executable, "-m", "pipeline", "run", str(job), "--quiet", *overrides]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, **KEY})
    journal = job.parent / "runs" / "growth" / "journal.sqlite"
    while process.poll() is None and not _admitted(journal):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=120)


def _admitted(journal: Path) -> bool:
    connection = sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'admitted'").fetchone()
    finally:
        connection.close()
    return bool(row and row[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path)
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--most", type=int, default=100_000)
    given = parser.parse_args()
    if given.run:
        return run(given.run, given.first)
    with vendor(*SMALL) as (address, _), tempfile.TemporaryDirectory() as folder:
        million(address, Path(folder))
        if given.most:
            memory(address, (1_000, given.most // 10, given.most))
    return None


if __name__ == "__main__":
    main()
