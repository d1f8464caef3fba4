"""`make scale`, fourth part: what it costs a worker to go from one shard to the next.

Nothing is sent from the last search of a shard until its answers, their tasks and the summary are there, and the next
shard is claimed and begun.
"""

import argparse
import os
import tempfile
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from statistics import median

from pipeline.cluster.split import split_job
from pipeline.job.load import load_job
from pipeline.models import Kind
from tests.support.jobs import job, vendor
from tests.support.processes import ended
from tests.support.workers import sent_in, workers

SHARD = 10_000


def gaps(shards: int, *, pictures: int, qps: int, answer_s: float) -> list[float]:
    """Work on so many pictures in so many shards; return the seconds from each shard's last search to the next one's
    first."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as block:
        folder = Path(place)
        os.environ |= {"XDG_STATE_HOME": f"{place}/state", "XDG_CACHE_HOME": f"{place}/cache"}
        server = block.enter_context(vendor(folder, latency_s=answer_s))
        cluster = {"shared": "shared", "shards": shards}
        _, split = split_job(
            load_job(job(folder, url=server.url, pictures=pictures, api={"qps": qps}, cluster=cluster))
        )
        with workers(folder, 1) as [only]:
            _, said = ended(only)
        if only.returncode:
            raise SystemExit(f"the worker ended with {only.returncode}: {said}")
        sent = [one.at for one in sent_in(folder) if one.kind == Kind.SEARCH]
    firsts = accumulate(split.counts[:-1])  # the shards are worked on in order, and no picture is searched twice
    return [sent[first] - sent[first - 1] for first in firsts]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=900)
    parser.add_argument("--shards", type=int, default=6)
    parser.add_argument("--qps", type=int, default=25)
    parser.add_argument("--answer-s", type=float, default=0.2)
    asked = parser.parse_args()
    found = gaps(asked.shards, pictures=asked.pictures, qps=asked.qps, answer_s=asked.answer_s)
    print(f"from a shard's last search to the next one's first: {', '.join(f'{one:.2f}' for one in found)} s")
    lost = median(found) - 1 / asked.qps
    each = asked.pictures / asked.shards / asked.qps
    print(f"of the limit {lost / (lost + each):.1%} with {asked.pictures // asked.shards} items a shard", end="; ")
    for qps in (5, 50, 200):
        print(f"{lost / (lost + SHARD / qps):.2%} with {SHARD:,} at QPS {qps}", end="; " if qps < 200 else "\n")


if __name__ == "__main__":
    main()
