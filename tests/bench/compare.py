"""`make bench`: the contenders in turn against one server, several rounds; medians, ratios and their spread."""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

CONTENDERS = ("reference", "pipeline", "peer")
COLUMNS = {
    "pictures/s": "per_s",
    "CPU ms/picture": "cpu_ms",
    "peak RSS MB": "rss_mb",
    "start-up s": "start_s",
    "end s": "end_s",
}


@contextmanager
def vendor(*options: str) -> Iterator[tuple[str, dict[str, float]]]:
    """The server in a process of its own; its address, and a dict that holds its scheduling lag once it has ended."""
    lag: dict[str, float] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.server", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", lag
    finally:
        process.stdin.close()
        lag.update(json.loads(process.stdout.readline() or "{}"))
        process.stdout.close()
        process.wait(timeout=10)


def measure(name: str, address: str, count: int) -> dict[str, float]:
    """Run one contender once."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.contenders", name, address, str(count), folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode or not done.stdout:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found["per_s"] = count / found["work_s"]
    found["cpu_ms"] = found["cpu_s"] / count * 1e3
    return found


def spread(values: list[float]) -> str:
    """Median, and the range in brackets."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}..{max(values):.2f}]"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with vendor() as (address, lag):
        measure("reference", address, 300)  # warm-up, not counted
        for _ in range(given.rounds):
            for name in CONTENDERS:
                few = given.pictures // 3 if name == "peer" else given.pictures
                runs[name].append(measure(name, address, few))
    print(f"{given.pictures} pictures, answers of 73 KB, 64 in flight, {given.rounds} rounds in turn; medians [range]")
    print(f"{'':10}" + "".join(f"  {head:>22}" for head in COLUMNS))
    for name, found in runs.items():
        print(f"{name:10}" + "".join(f"  {spread([run[key] for run in found]):>22}" for key in COLUMNS.values()))
    for other in ("reference", "peer"):
        pairs = zip(runs["pipeline"], runs[other], strict=True)
        print(f"pipeline / {other}: {spread([ours['per_s'] / theirs['per_s'] for ours, theirs in pairs])}")
    served = 300 + sum(len(found) * (given.pictures // (3 if name == "peer" else 1)) for name, found in runs.items())
    could = served / lag["cpu_s"]
    fastest = max(run["per_s"] for found in runs.values() for run in found)
    print(
        f"the server could serve {could:,.0f} pictures/s ({could / fastest:.1f} times the fastest run); its scheduling "
        f"lag: p99 {lag['lag_p99_ms']:.1f} ms, most {lag['lag_max_ms']:.1f} ms"
    )


if __name__ == "__main__":
    main()
