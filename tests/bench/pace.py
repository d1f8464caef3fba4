"""`make pace`: how much of the limit is used, and whether it is ever exceeded; then whether long answers are hidden.

For each QPS one run against a server that takes 0.2 s for every answer, both endpoints at once. Counted twice: in the
client's own log of the moments at which headers left, and at the server, whose own lag (how late its timers are) is
printed beside it: what arrives late bunches up with what comes after it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.bench.compare import vendor
from tests.bench.contenders import Clock, pictures
from tests.support.accounts import known_account


def run(base_url: str, count: int, qps: float, folder: Path) -> None:
    """One run of the pipeline; prints when each call left, the seconds it took and the peak RSS."""
    from pipeline import RunOptions, run_job

    clock = Clock()
    sent: dict[str, list[float]] = {"search": [], "create": []}

    def note(kind: object, at: float) -> None:
        clock.first_call()
        sent[str(getattr(kind, "value", kind))].append(at)

    (folder / "list.csv").write_text("url\n" + "\n".join(pictures(count)) + "\n")
    api = {"base_url": base_url, "qps": qps}
    job = {
        "version": 1,
        "name": "pace",
        "images": [{"manifest": "list.csv"}],
        "api": api,
        "report": {"pictures": {"keep": 0}},  # the paid calls alone are measured
    }
    (folder / "job.yaml").write_text(json.dumps(job))
    key = {"PATSNAP_API_KEY": "sandbox-key"}
    known_account(base_url, key)
    options = RunOptions(on_sent=note, environment=key)
    summary = run_job(folder / "job.yaml", options=options)
    assert summary.items["tasked"] == count, summary
    print(json.dumps({"sent": sent, **clock.report()}))


def measure(count: int, qps: float, *options: str) -> tuple[dict[str, list[float]], dict[str, list[float]], str, float]:
    """When calls left, when they arrived, how late the server was, and the run's peak RSS in MB."""
    with vendor(*options) as (address, lag), tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.pace", "--run", address, str(count), str(qps), folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        told = json.loads(done.stdout.splitlines()[-1])
        with urllib.request.urlopen(f"{address}/arrivals", timeout=30) as response:
            log = json.load(response)
    arrived: dict[str, list[float]] = {"search": [], "create": []}
    for path, at in log:
        arrived[path].append(at)
    late = f"lag p99 {lag['lag_p99_ms']:.1f} ms, most {lag['lag_max_ms']:.1f} ms"
    return told["sent"], arrived, late, told["rss_mb"]


def used(times: Sequence[float], qps: float) -> float:
    """The share of the limit, from the first call of a kind to its last."""
    return (len(times) - 1) / (times[-1] - times[0]) / qps


def worst_second(times: Sequence[float]) -> tuple[int, int]:
    """The most calls in any sliding second, and how many calls began a second with that many."""
    ordered = sorted(times)
    first, counts = 0, []
    for last, at in enumerate(ordered):
        while ordered[first] <= at - 1.0:
            first += 1
        counts.append(last - first + 1)
    return max(counts), counts.count(max(counts))


def early_ms(times: Sequence[float], qps: int) -> float:
    """By how many milliseconds any `qps` + 1 calls were closer together than a second; 0 when none were."""
    ordered = sorted(times)
    gaps = [later - sooner for sooner, later in zip(ordered, ordered[qps:], strict=False)]
    return max(0.0, 1.0 - min(gaps, default=1.0)) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", nargs=4)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    if given.run:
        return run(given.run[0], int(given.run[1]), float(given.run[2]), Path(given.run[3]))
    for qps in (10, 50, 200):
        sent, arrived, late, _ = measure(qps * given.seconds, qps, "--latency", "0.2")
        for kind in ("search", "create"):
            ours, theirs = worst_second(sent[kind])[0], worst_second(arrived[kind])
            early = f"{theirs[1]} times, {early_ms(arrived[kind], qps):.1f} ms early; {late}"
            print(f"QPS {qps:3} {kind}: {used(sent[kind], qps):.4f} of the limit over {given.seconds} s; ", end="")
            print(f"most in a second: client {ours}, server {theirs[0]} ({early})", flush=True)
    count, qps = 1000, 50
    sent, _, _, rss_mb = measure(count, qps, "--latency", "5")
    makespan = max(sent["create"]) + 5 - min(sent["search"])
    print(
        f"answers of 5 s, QPS {qps}, {count} pictures: {makespan:.2f} s, {(makespan - 10) / (count / qps):.4f} of "
        f"N/QPS beyond the 10 s of the last answers; peak RSS {rss_mb:.0f} MB"
    )
    return None


if __name__ == "__main__":
    main()
