"""A machine is cut from the store of leases, from the vendor, or from both, by the network between namespaces.

Cut from the store alone it still reaches the vendor: nothing but its own clock keeps it from sending what others send.
"""

import os
import time
from pathlib import Path

import pytest

from pipeline.leases.lease import silence_s
from tests.support.jobs import job, pipeline
from tests.support.lengths import some
from tests.support.networks import networks
from tests.support.processes import ended, until
from tests.support.separate_machines import require_namespaces
from tests.support.workers import Sent, after_lease, most_in_a_second, sent_in, truth_of

QPS = 20
LEASE_S = 2
PICTURES = 80
KINDS = ("search", "create")


def sent_by(folder: Path, name: str) -> list[Sent]:
    file = folder / f"{name}.sent"
    return [one for one in sent_in(folder) if f"{one.at!r}" in file.read_text()] if file.exists() else []


@pytest.mark.parametrize("cut", some(["store", "vendor", "store vendor"], "store"))
def test_a_machine_that_is_cut_off_sends_nothing_that_others_send(tmp_path: Path, cut: str) -> None:
    require_namespaces()
    (tmp_path / "shared").mkdir()
    with networks(tmp_path, 2, latency_s=0.6) as nets:
        cluster = {"shared": "shared", "shards": 4, "lease_s": LEASE_S}
        api = {"qps": QPS, "leases": "s3://bucket/leases"}
        job(tmp_path, url=nets.vendor, pictures=PICTURES, api=api, cluster=cluster)
        done = pipeline("split", "job.yaml", cwd=tmp_path, PYTHONPATH=os.getcwd())
        assert done.returncode == 0, done.stderr
        [lost, other] = nets.machines
        with lost.worker(environment=nets.environment) as loser, other.worker(environment=nets.environment) as heir:
            until(lambda: sum(one.kind == "create" for one in sent_by(tmp_path, "w0")) > 5, by=loser)
            for net in cut.split():
                nets.cut(0, net)
            time.sleep(silence_s(LEASE_S) + 2 * LEASE_S)
            for net in cut.split():
                nets.heal(0, net)
            said = [ended(one)[1] for one in (loser, heir)]
            codes = [loser.returncode, heir.returncode]
    truth, sent = truth_of(tmp_path, tmp_path / "shared" / "job"), sent_in(tmp_path)
    assert "Traceback" not in "".join(said)
    assert (truth.twice, truth.untracked) == ([], [])
    assert (truth.settled + truth.in_doubt, truth.other) == (PICTURES, 0), said
    assert all(most_in_a_second(sent, kind) <= QPS for kind in KINDS)
    assert after_lease(sent) == []
    assert set(codes) <= {0, 1}, said
