"""A worker claims shards until none is left, gives back what it does not finish, and sets aside what kills workers."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_state_path

from pipeline.calls.account import account_of, use_account
from pipeline.cluster.claims import Claims, GivenBack, Standing
from pipeline.cluster.split import read_split
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.run.cluster_runs import LEASES
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, started, vendor
from tests.support.lengths import only_thorough
from tests.support.processes import ended, until
from tests.support.told import faults_in
from tests.support.workers import sent_in, split, truth_of, worker, workers

CONFIGS = Path(__file__).parents[2] / "configs"


def shards_of(folder: Path) -> list[Standing]:
    run = folder / "shared" / "job"
    return Claims(FolderStore.open(folder / "shared" / LEASES), read_split(run)).look()


def job_of(folder: Path, *, url: str, shards: int = 4, **parts: Any) -> None:
    job(folder, url=url, cluster={"shared": "shared", "shards": shards, "lease_s": 2}, **parts)
    split(folder)


@pytest.mark.proofs
@only_thorough
def test_the_config_for_many_machines_runs_as_it_is(tmp_path: Path) -> None:
    for name in ("cluster.yaml", "portfolio.csv"):
        shutil.copy(CONFIGS / name, tmp_path)
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o700)
    done = pipeline("cluster", "run", "cluster.yaml", "--local", "2", "--set", f"cluster.shared={shared}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = shared / "many-machines"
    assert sum(len(lines(file)) for file in run.glob("shards/*/e1/results.jsonl")) == read_split(run).items
    again = pipeline("work", "cluster.yaml", "--set", f"cluster.shared={shared}", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert not list(run.glob("shards/*/e2"))


@pytest.mark.proofs
def test_on_the_sandbox_of_each_shard_no_search_meets_the_token_of_another_one(tmp_path: Path) -> None:
    job_of(tmp_path, url="sandbox", shards=3, pictures=6)
    assert pipeline("work", "job.yaml", cwd=tmp_path).returncode == 0
    records = [line for file in tmp_path.glob("shared/job/shards/*/e1/results.jsonl") for line in lines(file)]
    assert [record["calls"]["search"] for record in records] == [1] * 6
    other = pipeline("work", "job.yaml", "--set", "search.limit=7", cwd=tmp_path)
    assert (other.returncode, "asked something else before" in other.stderr) == (2, True)


@pytest.mark.proofs
@pytest.mark.parametrize("prices", [{}, {"P009": 1, "AI39-1": 1, "P010": 0}], ids=["calls", "money"])
def test_of_a_small_budget_each_search_becomes_a_task_and_the_reason_of_the_end_is_said(
    tmp_path: Path, prices: dict[str, int]
) -> None:
    """Two workers begin at once, and neither has seen the other yet."""
    budget, named = ({"money": 14}, "money is 14") if prices else ({"create_calls": 7}, "create_calls is 7")
    job_of(tmp_path, url="sandbox", shards=2, pictures=18, api={"qps": 20, "budget": budget}, prices=prices)
    done = pipeline("cluster", "run", "job.yaml", "--local", "2", cwd=tmp_path)
    assert (done.returncode, f"the budget is used up: api.budget.{named}" in done.stderr) == (4, True), done.stderr
    records = [line for file in tmp_path.glob("shared/job/shards/*/e1/results.jsonl") for line in lines(file)]
    assert (len(records), len(sent_in(tmp_path)), {record["status"] for record in records}) == (7, 0, {"tasked"})
    spent = json.loads(pipeline("status", "job.yaml", "--json", cwd=tmp_path).stdout)["calls"]
    assert (spent["search"], spent["create"]) == (7, 7)


@pytest.mark.proofs
def test_items_that_are_open_in_shards_that_are_done_are_told_again_and_retried(tmp_path: Path) -> None:
    path = job(tmp_path, url="sandbox", pictures=2, cluster={"shared": "shared", "shards": 1, "lease_s": 2})
    with (tmp_path / "list.csv").open("a") as rows:
        rows.write("P9999,https://sandbox.invalid/no-such-picture.jpg\n")
    split(tmp_path)
    for _ in range(2):
        done = pipeline("work", path, cwd=tmp_path)
        assert (done.returncode, "1 item is open; `pipeline status " in done.stderr) == (1, True), done.stderr
    todo = pipeline("status", path, cwd=tmp_path).stdout
    assert "`pipeline retry" in todo
    assert "then `pipeline work`" not in todo


@pytest.mark.proofs
def test_a_worker_that_is_asked_to_end_gives_its_shard_back_and_another_goes_on(tmp_path: Path) -> None:
    """By SIGTERM, and by `cluster down` on whatever machine."""
    with vendor(tmp_path, latency_s=0.2) as server:
        job_of(tmp_path, url=server.url, shards=1, pictures=120, api={"qps": 10})
        with worker(tmp_path, "w0") as first:
            until(lambda: len(sent_in(tmp_path)) > 10, by=first)
            first.send_signal(signal.SIGTERM)
            ended(first)
        assert first.returncode == 143
        [given_back] = shards_of(tmp_path)
        assert (given_back.worker, given_back.state, given_back.base) == ("", GivenBack.OPEN, 1)
        with worker(tmp_path, "w1") as second:
            until(lambda: (tmp_path / "shared/job/workers/w1/progress.json").exists(), by=second)
            before = len(sent_in(tmp_path))
            until(lambda: len(sent_in(tmp_path)) > before + 5, by=second)
            down = pipeline("cluster", "down", "job.yaml", "w1", cwd=tmp_path, **ACCOUNT)
            assert down.returncode == 0, down.stderr
            ended(second)
        assert second.returncode == 1
        with worker(tmp_path, "w2") as third:
            ended(third)
        assert third.returncode == 0
    truth = truth_of(tmp_path, tmp_path / "shared" / "job")
    assert truth == ([], [], 120, 0, 0)


@pytest.mark.proofs
def test_a_shard_that_kills_three_workers_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    deadly = """
from pipeline.cluster import work as working
run = working.LocalExecutor.run
def deadly(self, job, options):
    if "/0001/" in str(options.given.folder):
        os.kill(os.getpid(), 9)
    return run(self, job, options)
working.LocalExecutor.run = deadly
"""
    with vendor(tmp_path) as server:
        job_of(tmp_path, url=server.url, pictures=40)
        codes = []
        for _ in range(4):
            with workers(tmp_path, 1, more=deadly) as [process]:
                said = ended(process)[1]
                codes.append(process.returncode)
    assert codes == [-9, -9, -9, 1]
    assert "shard 0001 is set aside" in said
    assert [one.state for one in shards_of(tmp_path)] == [
        GivenBack.DONE,
        GivenBack.ASIDE,
        GivenBack.DONE,
        GivenBack.DONE,
    ]
    left = len((tmp_path / "shared/job/shards/0001/items.jsonl").read_bytes().splitlines())
    assert truth_of(tmp_path, tmp_path / "shared" / "job") == ([], [], 40 - left, 0, 0)
    with vendor(tmp_path) as server:
        (tmp_path / "job.yaml").write_text(json.dumps(again_at(tmp_path, server.url)))
        done = pipeline("work", "job.yaml", "--set-aside", cwd=tmp_path, **ACCOUNT)
    assert done.returncode == 0, done.stderr


@pytest.mark.proofs
def test_a_shard_whose_owner_was_killed_in_another_scope_is_taken_over(tmp_path: Path) -> None:
    """As `pipeline resolve` is, which owns shards and has no account: workers look for its death, too."""
    with vendor(tmp_path) as server:
        job_of(tmp_path, url=server.url, shards=1, pictures=2)
        made = read_split(tmp_path / "shared" / "job")
        killed = Lease(open_store(str(tmp_path / "shared" / LEASES)), made.id, lease_s=2)
        killed.renew()
        assert Claims(killed.store, made).claim(shards_of(tmp_path)[0], killed.incarnation)
        done = pipeline("work", "job.yaml", cwd=tmp_path, **ACCOUNT)
    assert done.returncode == 0, done.stderr
    assert len(lines(tmp_path / "shared/job/shards/0000/e2/results.jsonl")) == 2


def again_at(folder: Path, url: str) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads((folder / "job.yaml").read_text())
    spec["api"]["base_url"] = url
    return spec


@pytest.mark.proofs
def test_a_bug_in_one_shard_sets_it_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    buggy = """
from pipeline.cluster import work as working
run = working.LocalExecutor.run
def buggy(self, job, options):
    if "/0001/" in str(options.given.folder):
        raise ValueError("what nobody thought of")
    return run(self, job, options)
working.LocalExecutor.run = buggy
"""
    with vendor(tmp_path) as server:
        job_of(tmp_path, url=server.url, pictures=40)
        with workers(tmp_path, 1, more=buggy) as [process]:
            _, said = ended(process)
    assert process.returncode == 1
    assert "shard 0001: a bug of this program ended its run (ValueError: what nobody thought of)" in said
    assert [one.state for one in shards_of(tmp_path)] == [
        GivenBack.DONE,
        GivenBack.ASIDE,
        GivenBack.DONE,
        GivenBack.DONE,
    ]


@pytest.mark.proofs
@pytest.mark.parametrize("given", ["give_back", "refuse"])
def test_a_shard_is_given_back_once_the_store_of_leases_answers_again(tmp_path: Path, given: str) -> None:
    """Else it stays that of a worker which lives, does not work on it, and waits for its end for ever."""
    silent = f"""
from pipeline.cluster import claims
from pipeline.errors import JournalError
from pipeline.leases.store import StoreUnknown
give, times = claims.Claims.{given}, iter(range(8))
def given(self, *arguments, **named):
    if next(times, None) is not None:
        raise StoreUnknown("no answer")
    return give(self, *arguments, **named)
claims.Claims.{given} = given
if "{given}" == "refuse":
    take_over = working.take_over
    def refused(shard, claim, **named):
        if claim.shard == 1:
            raise JournalError("this shard cannot be gone on with")
        return take_over(shard, claim, **named)
    working.take_over = refused
"""
    with vendor(tmp_path) as server:
        job_of(tmp_path, url=server.url, pictures=12, shards=2)
        with workers(tmp_path, 1, more=silent) as [process]:
            ended(process)
    first = GivenBack.DONE
    second = GivenBack.DONE if given == "give_back" else GivenBack.ASIDE
    assert [(one.worker, one.state) for one in shards_of(tmp_path)] == [("", first), ("", second)]
    assert process.returncode == (0 if given == "give_back" else 5)


@pytest.mark.proofs
def test_what_says_no_to_the_account_ends_the_worker_as_it_ends_a_run(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("search:67200004=1")) as server:
        job_of(tmp_path, url=server.url, pictures=40)
        with worker(tmp_path, "w0") as process:
            ended(process)
    assert process.returncode not in (0, 1)
    assert all(not one.worker and one.state is GivenBack.OPEN for one in shards_of(tmp_path))


@pytest.mark.proofs
def test_a_job_that_was_changed_is_told_how_it_is_begun_anew(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("search:67200004=1")) as server:
        job_of(tmp_path, url=server.url, shards=1, pictures=2)
        assert pipeline("work", "job.yaml", cwd=tmp_path, **ACCOUNT).returncode == 3
        changed = pipeline("work", "job.yaml", "--set", "search.limit=5", cwd=tmp_path, **ACCOUNT)
        assert changed.returncode == 2
        *_, fault = faults_in(changed.stderr)
        assert "--accept-changes" not in fault.error
        assert fault.fix == "pipeline split job.yaml --set search.limit=5 --new"
        anew = pipeline(*shlex.split(fault.fix)[1:], cwd=tmp_path, **ACCOUNT)
        assert anew.returncode == 0, anew.stderr
    assert (tmp_path / "shared/job.2/split.json").is_file()


@pytest.mark.proofs
def test_an_account_in_use_is_waited_for_and_a_worker_that_waits_ends_when_asked(tmp_path: Path) -> None:
    """By a run of another job on this machine, which does not lease the account."""
    with vendor(tmp_path) as server:
        job_of(tmp_path, url=server.url, shards=1, pictures=2)
        waiting = ("work", "job.yaml", "--busy", "wait", "--name", "w1")
        account = account_of(server.url, Credentials(client_id="sandbox", client_secret="sandbox-secret"))
        with use_account(user_state_path("infringement-pipeline") / "accounts", account, job="other", say=print):
            refused = pipeline("work", "job.yaml", cwd=tmp_path, **ACCOUNT)
            *_, fault = faults_in(refused.stderr)
            assert (refused.returncode, fault.fix) == (6, "pipeline work job.yaml --busy wait")
            assert "--share" not in refused.stderr
            here = pipeline("cluster", "run", "job.yaml", "--yes", "--local", "1", cwd=tmp_path, **ACCOUNT)
            assert here.returncode == 6
            with started(*waiting, cwd=tmp_path, **ACCOUNT) as process:
                until(lambda: (tmp_path / "shared/job/workers/w1/progress.json").exists(), by=process)
                down = pipeline("cluster", "down", "job.yaml", "w1", cwd=tmp_path, **ACCOUNT)
                assert down.returncode == 0, down.stderr
                ended(process)
            assert process.returncode == 1
        words = ("cluster", "run", "job.yaml", "--yes", "--local", "1", "--busy", "wait")
        assert pipeline(*words, cwd=tmp_path, **ACCOUNT).returncode == 0


@pytest.mark.proofs
def test_two_workers_of_one_name_on_one_machine_have_two_folders(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.2) as server:
        job_of(tmp_path, url=server.url, pictures=20, api={"qps": 5})
        command = [sys.executable, "-m", "pipeline", "work", "job.yaml", "--name", "same"]
        both = [subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **ACCOUNT}) for _ in range(2)]
        assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert {one.name for one in (tmp_path / "shared/job/workers").iterdir()} == {"same", "same-2"}


@pytest.mark.proofs
def test_a_worker_ends_where_its_run_was_removed_and_another_one_split_in_its_place(tmp_path: Path) -> None:
    """It was frozen meanwhile: what it claims is a shard of a run that is gone, and the folder is that of another."""
    with vendor(tmp_path) as server:
        job_of(tmp_path, url=server.url, shards=1)
        replaced = """
from pipeline.cluster.claims import Claims
claim = Claims.claim
def late(self, shard, worker):
    file = Path("shared/job/split.json")
    split = json.loads(file.read_text())
    file.write_text(json.dumps(split | {"id": "0123456789abcdef"}))
    return claim(self, shard, worker)
Claims.claim = late
"""
        with workers(tmp_path, 1, more=f"import json\n{replaced}") as [process]:
            said = ended(process)[1]
    assert process.returncode != 0
    assert "this run was removed, and another one was split in its place" in said
    assert not list((tmp_path / "shared" / "job").glob("shards/*/e*"))
    assert sent_in(tmp_path) == []
