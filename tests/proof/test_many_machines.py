"""Four workers share a job; one is killed and one frozen beyond its lease. Judged by the vendor's own tasks."""

import signal
import time
from pathlib import Path

import pytest

from tests.support.jobs import job, vendor
from tests.support.lengths import some
from tests.support.processes import ended, until
from tests.support.workers import most_in_a_second, sent_in, split, truth_of, workers

QPS = 20
LEASE_S = 2
SILENCE_S = 1.5 * LEASE_S + 1  # after which a worker without a renewal is dead to the others
KINDS = ("search", "create")


@pytest.mark.parametrize("pictures", some([300, 2000], 300))
def test_a_killed_and_a_frozen_worker_cost_nothing_twice(tmp_path: Path, pictures: int) -> None:
    with vendor(tmp_path, latency_s=0.3) as server:
        cluster = {"shared": "shared", "shards": pictures // 25, "lease_s": LEASE_S}
        job(tmp_path, url=server.url, pictures=pictures, api={"qps": QPS}, cluster=cluster)
        split(tmp_path)
        with workers(tmp_path, 4) as [killed, frozen, *others]:
            until(lambda: len(sent_in(tmp_path)) > 30, by=others[0])
            until(lambda: (tmp_path / "w0.sent").stat().st_size > 100, by=killed)
            killed.send_signal(signal.SIGKILL)
            until(lambda: (tmp_path / "w1.sent").stat().st_size > 100, by=frozen)
            frozen.send_signal(signal.SIGSTOP)
            time.sleep(SILENCE_S + 4 * LEASE_S)
            frozen.send_signal(signal.SIGCONT)
            codes = [(ended(one), one.returncode)[1] for one in (frozen, *others)]
    truth = truth_of(tmp_path, tmp_path / "shared" / "job")
    sent = sent_in(tmp_path)
    assert truth.twice == []
    assert truth.untracked == []
    assert (truth.settled + truth.in_doubt, truth.other) == (pictures, 0)
    assert all(most_in_a_second(sent, kind) <= QPS for kind in KINDS)
    # One call of each kind may have had its permit in the moment in which the process was frozen.
    assert sum(one.noted_at > one.lease_until for one in sent) <= len(KINDS)
    assert set(codes) <= {0, 1}
