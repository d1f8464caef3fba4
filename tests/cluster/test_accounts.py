"""Several accounts share the shards of a job, each with its own limits, and a shard stays with the account it began with."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.claims import Claims, Standing
from pipeline.cluster.split import read_split
from pipeline.leases.folder_store import FolderStore
from pipeline.run.cluster_runs import LEASES
from tests.support.jobs import job, lines
from tests.support.processes import ended, until
from tests.support.two_accounts import CREDENTIALS, vendor_of_two
from tests.support.workers import most_in_a_second, sent_in, split, told_by, workers

TWO = {"main": {"qps": 8}, "second": {"qps": {"search": 20, "create": 12}}}


def job_of_two(folder: Path, url: str, *, pictures: int, shards: int = 4, accounts: Any = TWO, **parts: Any) -> None:
    cluster = {"shared": "shared", "shards": shards, "lease_s": 2, "accounts": accounts}
    job(folder, url=url, known=False, pictures=pictures, cluster=cluster, **parts)
    split(folder)


def standing(folder: Path) -> list[Standing]:
    run = folder / "shared" / "job"
    return Claims(FolderStore.open(folder / "shared" / LEASES), read_split(run)).look()


def told_account(folder: Path, name: str) -> str:
    file = folder / f"shared/job/workers/{name}/progress.json"
    return json.loads(file.read_text()).get("account", "") if file.exists() else ""


def tasks_of(folder: Path, account: str) -> list[dict[str, Any]]:
    file = folder / f"vendor-{account}" / "tasks.jsonl"
    return lines(file) if file.exists() else []


def assert_each_once(folder: Path, pictures: int) -> None:
    """Each picture has one task of one account, which its record has."""
    tasks = [*tasks_of(folder, "main"), *tasks_of(folder, "second")]
    assert len({task["urls"][0] for task in tasks}) == len(tasks) == pictures
    records, open_ = told_by(folder / "shared" / "job")
    assert not open_
    assert {record["task"]["task_id"] for record in records} == {task["task_id"] for task in tasks}


@pytest.mark.proofs
def test_two_accounts_send_at_once_and_neither_ever_above_its_own_limit(tmp_path: Path) -> None:
    """By the merged logs of four workers, which spread over the accounts; the vendor refuses none for its speed."""
    with vendor_of_two(tmp_path, main={}, second={}) as vendor:
        job_of_two(tmp_path, vendor.url, pictures=240, shards=8)
        with workers(tmp_path, 4, account=CREDENTIALS) as processes:
            accounts = [_account_of(tmp_path, f"w{n}", process) for n, process in enumerate(processes)]
            for process in processes:
                ended(process)
        assert [process.returncode for process in processes] == [0] * 4
    assert sorted(accounts) == ["main", "main", "second", "second"]
    assert_each_once(tmp_path, 240)
    sent = {name: [one for one in sent_in(tmp_path) if one.account == name] for name in ("main", "second")}
    assert all(len(calls) > 100 for calls in sent.values())
    for name, kind, qps in (
        ("main", "search", 8),
        ("main", "create", 8),
        ("second", "search", 20),
        ("second", "create", 12),
    ):
        assert most_in_a_second(sent[name], kind) <= qps


def _account_of(folder: Path, name: str, process: Any) -> str:
    until(lambda: bool(told_account(folder, name)), by=process)
    return told_account(folder, name)
