"""Several accounts share the shards of a job, each within its limits, and a shard stays with the one it began with."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.claims import Claims, GivenBack, Standing
from pipeline.cluster.split import read_split
from pipeline.leases.folder_store import FolderStore
from pipeline.run.cluster_runs import LEASES
from tests.support.jobs import job, lines, pipeline
from tests.support.lengths import only_thorough
from tests.support.processes import ended, until
from tests.support.two_accounts import CREDENTIALS, assert_each_once, tasks_of, vendor_of_two
from tests.support.workers import TOGETHER, most_in_a_second, sent_in, split, worker, workers

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


@pytest.mark.proofs
def test_two_accounts_send_at_once_and_neither_ever_above_its_own_limit(tmp_path: Path) -> None:
    """By the merged logs of four workers, which spread over the accounts; the vendor refuses none for its speed."""
    with vendor_of_two(tmp_path, main={}, second={}) as vendor:
        job_of_two(tmp_path, vendor.url, pictures=96, shards=8)
        with workers(tmp_path, 4, more=TOGETHER, account=CREDENTIALS) as processes:
            accounts = [_account_of(tmp_path, f"w{n}", process) for n, process in enumerate(processes)]
            for process in processes:
                ended(process)
        assert [process.returncode for process in processes] == [0] * 4
    assert sorted(accounts) == ["main", "main", "second", "second"]
    assert_each_once(tmp_path, 96)
    sent = {name: [one for one in sent_in(tmp_path) if one.account == name] for name in ("main", "second")}
    assert all(len(calls) > 30 for calls in sent.values())
    limits = {("main", "search"): 8, ("main", "create"): 8, ("second", "search"): 20, ("second", "create"): 12}
    within = {(name, kind): most_in_a_second(sent[name], kind) <= qps for (name, kind), qps in limits.items()}
    assert all(within.values()), within


def _account_of(folder: Path, name: str, process: subprocess.Popen[str]) -> str:
    until(lambda: bool(told_account(folder, name)), by=process)
    return told_account(folder, name)


@pytest.mark.proofs
def test_a_shard_of_a_killed_worker_is_gone_on_with_by_its_account_alone(tmp_path: Path) -> None:
    """The one that is left moves to the other account for it, and comes back to none of its own."""
    with vendor_of_two(tmp_path, main={"latency_s": 0.2}, second={}) as vendor:
        job_of_two(tmp_path, vendor.url, pictures=60, shards=3)
        with worker(tmp_path, "w0", account=CREDENTIALS) as first:
            until(lambda: len(tasks_of(tmp_path, "second")) > 3, by=first)
            [begun] = [one for one in standing(tmp_path) if one.begun]
            os.kill(first.pid, signal.SIGKILL)
            ended(first)
        assert begun.account is not None
        assert begun.account.name == "second"
        with worker(tmp_path, "w1", account=CREDENTIALS) as other:
            _account_of(tmp_path, "w1", other)
            ended(other)
        assert other.returncode in (0, 1)  # what was under way at the kill is in doubt
    after = standing(tmp_path)
    assert all(one.state is GivenBack.DONE for one in after)
    [same] = [one for one in after if one.shard == begun.shard]
    assert same.account == begun.account
    assert same.number > begun.number
    in_shard = {line["source"] for line in lines(tmp_path / f"shared/job/shards/{begun.shard:04}/items.jsonl")}
    assert not {task["urls"][0] for task in tasks_of(tmp_path, "main")} & in_shard
    pictures = [task["urls"][0] for name in TWO for task in tasks_of(tmp_path, name)]
    assert len(pictures) == len(set(pictures))


@pytest.mark.proofs
@only_thorough
def test_an_account_without_balance_leaves_the_others_to_go_on_and_its_shards_wait_for_it(tmp_path: Path) -> None:
    with vendor_of_two(tmp_path, main={}, second={"balance": 15}) as vendor:
        job_of_two(tmp_path, vendor.url, pictures=80, shards=4)
        with workers(tmp_path, 2, more=TOGETHER, account=CREDENTIALS) as processes:
            said = [ended(process)[1] for process in processes]
        assert [process.returncode for process in processes] == [4, 4]
        after = standing(tmp_path)
        [waits] = [one for one in after if one.state is not GivenBack.DONE]
        assert waits.account is not None
        assert waits.account.name == "second"
        assert not waits.worker
        assert all(f"account second: 1 shard waits ({waits.shard:04}) for it:" in text for text in said)
        assert not any("account main" in text for text in said)
        waiting = lines(tmp_path / f"shared/job/shards/{waits.shard:04}/items.jsonl")
        assert len(tasks_of(tmp_path, "main")) == 80 - len(waiting)
        _look_for_secrets(tmp_path, said)


@pytest.mark.proofs
@only_thorough
def test_a_budget_is_one_for_all_accounts_together(tmp_path: Path) -> None:
    with vendor_of_two(tmp_path, main={}, second={}) as vendor:
        job_of_two(tmp_path, vendor.url, pictures=120, shards=6, api={"budget": {"create_calls": 70}})
        with workers(tmp_path, 2, more=TOGETHER, account=CREDENTIALS) as processes:
            for process in processes:
                ended(process)
        assert [process.returncode for process in processes] == [4, 4]
    assert [len(tasks_of(tmp_path, name)) > 0 for name in TWO] == [True, True]
    assert sum(len(tasks_of(tmp_path, name)) for name in TWO) == 70


@pytest.mark.proofs
@only_thorough
def test_reports_are_collected_shard_by_shard_with_the_account_of_each(tmp_path: Path) -> None:
    with vendor_of_two(tmp_path, main={}, second={}) as vendor:
        job_of_two(tmp_path, vendor.url, pictures=40, shards=4, task={"report": "later"})
        with workers(tmp_path, 2, more=TOGETHER, account=CREDENTIALS) as processes:
            for process in processes:
                ended(process)
        assert [process.returncode for process in processes] == [0, 0]
        assert {one.account.name for one in standing(tmp_path) if one.account} == set(TWO)
        collected = pipeline("collect", "job.yaml", "--quiet", cwd=tmp_path, **CREDENTIALS)
        assert collected.returncode == 0, collected.stderr
        first, second = (
            {name: CREDENTIALS[name] for name in CREDENTIALS if name.endswith(one)} for one in ("MAIN", "SECOND")
        )
        swapped = dict(zip([*first, *second], [*second.values(), *first.values()], strict=True))
        refused = pipeline("collect", "job.yaml", "--quiet", cwd=tmp_path, **swapped)
        assert refused.returncode == 2
        assert "belongs to account" in refused.stderr
        status = pipeline("status", "job.yaml", cwd=tmp_path, **CREDENTIALS)
        _look_for_secrets(tmp_path, [status.stdout, status.stderr, refused.stderr, collected.stderr])
    asked = [set(vendor.of[name].stats.polls) for name in TWO]
    own = [{task["task_id"] for task in tasks_of(tmp_path, name)} for name in TWO]
    assert asked == own


def _look_for_secrets(folder: Path, said: list[str]) -> None:
    """Find no secret and no client id in what was said, nor in any file of the run, its leases and logs."""
    files = [file for file in (folder / "shared").rglob("*") if file.is_file()]
    texts = [file.read_bytes() for file in files] + [text.encode() for text in said]
    assert files
    assert not [value for value in CREDENTIALS.values() if any(value.encode() in text for text in texts)]
