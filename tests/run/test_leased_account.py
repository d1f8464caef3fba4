"""One account that two machines lease at one place (`api.leases`): two state folders stand for two machines."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, run_job
from pipeline.calls.connection import deliver_soon_or_never
from pipeline.models import Kind
from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.machines import LEASE_S, assert_never_above, machine, together
from tests.support.processes import ended, until_lines, until_said
from tests.support.told import faults_in

QPS = 40


@pytest.mark.proofs
def test_two_machines_share_the_calls_per_second_of_one_account_and_one_that_dies_leaves_its_part(
    tmp_path: Path,
) -> None:
    (tmp_path / "leases").mkdir()
    with (
        vendor(tmp_path) as server,
        machine(tmp_path / "first", server.url, qps=QPS, pictures=5000) as first,
    ):
        until_lines(first.log, QPS, by=first.process)
        with machine(tmp_path / "second", server.url, qps=QPS, pictures=240) as second:
            until_lines(second.log, 2 * QPS, by=second.process)
            beside = len(first.sent(Kind.SEARCH))
            until_lines(second.log, 4 * QPS, by=second.process)
            assert len(first.sent(Kind.SEARCH)) > beside, "they go side by side"
            first.process.kill()
            ended(first.process)
            _, said = ended(second.process)
            assert second.process.returncode == 0, said
        assert len(lines(second.results)) == 240
        assert_never_above(QPS, first, second)
        assert max(second.parts(Kind.SEARCH)) == QPS, "the part of the one that died is used"
        assert server.stats.calls("search") <= len(together(Kind.SEARCH, first, second))


@pytest.mark.proofs
def test_two_machines_that_run_one_job_spend_its_budgets_together_and_to_the_last_call(tmp_path: Path) -> None:
    (tmp_path / "leases").mkdir()
    budget = {"search_calls": 60, "create_calls": 50}
    with (
        vendor(tmp_path) as server,
        machine(tmp_path / "first", server.url, qps=QPS, pictures=100, budget=budget) as first,
        machine(tmp_path / "second", server.url, qps=QPS, pictures=100, budget=budget) as second,
    ):
        for one in (first, second):
            _, said = ended(one.process)
            assert one.process.returncode == 4, said
            summary = json.loads((one.results.parent / "summary.json").read_text())
            assert "the budget is used up" in summary["exit_reason"]
        assert server.stats.calls("search") <= 60
        assert 45 <= server.stats.calls("create") <= 50
        settled = [line["item"] for one in (first, second) for line in lines(one.results)]
        assert len(settled) == server.stats.calls("create")


@pytest.mark.proofs
def test_machines_use_one_access_token_so_that_a_vendor_that_keeps_one_alive_refuses_none(tmp_path: Path) -> None:
    """Each new token makes the one before invalid: machines with their own fight for it."""
    (tmp_path / "leases").mkdir()
    with (
        vendor(tmp_path, one_token=True) as server,
        machine(tmp_path / "first", server.url, qps=QPS, pictures=40) as first,
        machine(tmp_path / "second", server.url, qps=QPS, pictures=40) as second,
    ):
        for one in (first, second):
            _, said = ended(one.process)
            assert one.process.returncode == 0, said
            assert len(lines(one.results)) == 40
        assert server.stats.calls("token") == 1
        assert server.stats.calls("search") == len(together(Kind.SEARCH, first, second)) == 80
    secret = ACCOUNT["PATSNAP_CLIENT_SECRET"].encode()
    assert [file for file in (tmp_path / "leases").rglob("*") if file.is_file() and secret in file.read_bytes()] == []


@pytest.mark.proofs
def test_without_its_store_a_machine_sends_nothing_and_it_goes_on_when_the_store_is_back(tmp_path: Path) -> None:
    (tmp_path / "leases").mkdir()
    with (
        vendor(tmp_path) as server,
        machine(tmp_path / "first", server.url, qps=QPS, pictures=400) as first,
    ):
        until_lines(first.log, 2 * QPS, by=first.process)
        gone_at = time.monotonic()
        (tmp_path / "leases").rename(tmp_path / "away")
        until_said(first.process, "leases begin here")
        until_said(first.process, "one item ran alone")  # the state folder of this machine is new
        until_said(first.process, "the store of leases is out of reach")
        time.sleep(LEASE_S)  # in which eighty calls would go
        back_at = time.monotonic()
        (tmp_path / "away").rename(tmp_path / "leases")
        _, said = ended(first.process)
        assert first.process.returncode == 0, said
        assert "answers again" in said
        times = first.sent(Kind.SEARCH)
        assert any(at > back_at for at in times)
        assert [at for at in times if gone_at + LEASE_S < at < back_at] == []
        assert_never_above(QPS, first)


@pytest.mark.proofs
@pytest.mark.parametrize("leases", ["leases", None], ids=["leased", "alone"])
def test_connections_of_a_leased_account_and_no_others_drop_what_they_cannot_deliver_soon(
    leases: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered later it would go under a lease that is another machine's by then; tests/calls/test_connection.py."""
    dropping: list[socket.socket] = []

    def noting(address: Any) -> socket.socket:
        dropping.append(deliver_soon_or_never(address))
        return dropping[-1]

    monkeypatch.setattr("pipeline.calls.transport.deliver_soon_or_never", noting)
    (tmp_path / "leases").mkdir()
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1, api={"leases": leases})
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).ok
    assert bool(dropping) is (leases is not None)


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("leases", "arguments", "words"),
    [
        ("../nowhere", (), "nowhere"),
        ("../leases", ("--share", "0.5"), "takes no share beside it"),
    ],
)
def test_a_place_that_is_of_no_use_and_a_share_beside_it_are_one_clear_line(
    leases: str, arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    (tmp_path / "leases").mkdir()
    (tmp_path / "first").mkdir()
    path = job(tmp_path / "first", url="http://127.0.0.1:9", api={"leases": leases})
    refused = pipeline("run", path, *arguments, cwd=path.parent, **ACCOUNT)
    assert refused.returncode == 2, refused.stderr
    assert len(faults_in(refused.stderr)) == 1
    assert words in refused.stderr
    assert not (path.parent / "runs").exists()
