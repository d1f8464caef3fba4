"""Runs of one account at a vendor that keeps one token alive: leased together they share it, else they fight."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from tests.support.jobs import ACCOUNT, job, lines, started, vendor
from tests.support.processes import ended

PICTURES = 40


@contextmanager
def machine(folder: Path, url: str, leases: str | None) -> Iterator[Popen[str]]:
    """Run a job on a machine of its own, as far as one machine can tell."""
    folder.mkdir()
    api = {"qps": 20} | ({} if leases is None else {"leases": leases})
    path = job(folder, url=url, pictures=PICTURES, api=api)
    with started("run", path, cwd=folder, XDG_STATE_HOME=str(folder / "state"), **ACCOUNT) as process:
        yield process


@pytest.mark.proofs
@pytest.mark.parametrize("leases", ["../leases", None], ids=["leased", "each for itself"])
def test_two_machines_share_the_one_token_that_the_vendor_keeps_alive(tmp_path: Path, leases: str | None) -> None:
    (tmp_path / "leases").mkdir()
    with (
        vendor(tmp_path, one_token=True, latency_s=0.05) as server,
        machine(tmp_path / "first", server.url, leases) as first,
        machine(tmp_path / "second", server.url, leases) as second,
    ):
        said = [ended(process) for process in (first, second)]
    refused = sum(count for kind in ("search", "create") if (count := server.stats.outcomes[kind].get("67200003", 0)))
    if leases is None:
        assert server.stats.calls("token") > 2
        assert refused > 0
        return
    assert (first.returncode, second.returncode) == (0, 0), said
    assert sum(len(lines(tmp_path / name / "runs/job/results.jsonl")) for name in ("first", "second")) == 2 * PICTURES
    assert server.stats.calls("token") == 1
    assert refused == 0
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "vendor" not in path.parts]
    assert not [data for data in files if ACCOUNT["PATSNAP_CLIENT_SECRET"].encode() in data]
