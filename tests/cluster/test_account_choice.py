"""The account a worker chooses, the shards it may claim with it, and what a shard keeps of the one it began with."""

import json
import threading
import time
from pathlib import Path

import pytest

from pipeline.cluster.accounts import Accounts, Stopped
from pipeline.cluster.claims import AccountLabel, Claims, GivenBack, Standing
from pipeline.cluster.joining import Joined
from pipeline.cluster.layout import WORKERS
from pipeline.cluster.machines import PROGRESS
from pipeline.leases.folder_store import FolderStore
from pipeline.run.load import Job, load
from tests.support.splits import split_of
from tests.support.two_accounts import CREDENTIALS

QPS = {"main": {"qps": 5}, "second": {"qps": 10}}
NEW = [Standing(0), Standing(1)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    spec = {
        "version": 1,
        "name": "job",
        "images": [{"url": "https://example.com/1.jpg"}],
        "cluster": {"shared": str(tmp_path), "accounts": QPS},
    }
    (tmp_path / "job.yaml").write_text(json.dumps(spec))
    return load(tmp_path / "job.yaml", environment=CREDENTIALS)


def accounts(job: Job, folder: Path, worker: str) -> Accounts:
    store = FolderStore.open(folder)
    return Accounts(job, Joined(folder, split_of(1, 1), str(folder)), store, worker)


def label(job: Job, name: str) -> AccountLabel:
    return AccountLabel(job.with_account(name).account, name)


def tell(folder: Path, worker: str, account: str) -> None:
    file = folder / WORKERS / worker / PROGRESS
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"at": time.time(), "account": account}))


def test_workers_that_begin_together_spread_over_the_accounts_by_their_calls_per_second(
    job: Job, tmp_path: Path
) -> None:
    chosen: list[str] = []

    def choose(number: int) -> None:
        one = accounts(job, tmp_path, f"w{number}")
        one.choose(NEW)
        chosen.append(one.name_of(one.now))

    threads = [threading.Thread(target=choose, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(chosen) == ["main", "main", "second", "second", "second", "second"]


def test_a_worker_chooses_the_account_that_nobody_uses_and_that_has_something_to_do(job: Job, tmp_path: Path) -> None:
    tell(tmp_path, "other", "second")
    one = accounts(job, tmp_path, "w0")
    assert one.choose(NEW) == job.with_account("main")
    assert one.choose([Standing(0, 1, "x", account=label(job, "second"))]) == job.with_account("second")
    one.stopped[one.now] = Stopped(4, "no balance")
    assert one.choose([Standing(0, 1, account=label(job, "second"))]) is None
    assert one.choose(NEW) == job.with_account("main")


def test_a_shard_is_for_its_account_alone_and_a_new_one_for_any(job: Job, tmp_path: Path) -> None:
    one = accounts(job, tmp_path, "w0")
    one.choose([Standing(0, 1, account=label(job, "main"))])
    theirs = Standing(1, 1, account=label(job, "second"))
    assert [one.fits(shard) for shard in (Standing(0), theirs)] == [True, False]
    assert one.needed_by([], [theirs]) == [theirs]
    assert one.needed_by([Standing(0)], [theirs]) == [theirs], "what is paid grows too old, what is new does not"
    assert one.needed_by([Standing(0, 1)], [theirs]) == []
    tell(tmp_path, "other", "second")
    assert one.needed_by([Standing(0)], [theirs]) == []


def test_the_last_lines_name_the_account_that_shards_wait_for(job: Job, tmp_path: Path) -> None:
    one, said = accounts(job, tmp_path, "w0"), []
    one.stopped[label(job, "second").digest] = Stopped(4, "no balance")
    shards = [
        Standing(0, 2, state=GivenBack.DONE, account=label(job, "main")),
        Standing(1, 2, account=label(job, "second")),
    ]
    assert one.left_over(shards, said.append) == 4
    assert said == ["account second: 1 shard waits (0001) for it: no balance"]
    others = AccountLabel("0" * 64, "second")
    assert accounts(job, tmp_path, "w1").left_over([Standing(1, 2, account=others)], said.append) == 1
    assert said[1].startswith("account second: 1 shard waits (0001) for the credentials that they were begun with")
    assert accounts(job, tmp_path, "w2").left_over(shards[:1], said.append) == 0


def test_every_entry_of_a_shard_names_the_account_of_its_first_claim(job: Job, tmp_path: Path) -> None:
    store, split = FolderStore.open(tmp_path), split_of(1)
    main, second = (Claims(store, split, label(job, name)) for name in ("main", "second"))
    first = main.claim(main.look()[0], "u1")
    assert first is not None
    taken = second.claim(second.look()[0], "u2")  # nobody of another account does; whoever does changes nothing
    assert taken is not None
    assert taken.account == label(job, "main")
    assert second.give_back(taken, GivenBack.OPEN)
    again = second.claim(second.look()[0], "u3")
    assert again is not None
    assert second.leave(again)
    assert [one.account for one in second.look()] == [label(job, "main")]
    assert not any(
        value in file.read_text()
        for file in tmp_path.rglob("s/**/*")
        if file.is_file()
        for value in CREDENTIALS.values()
    )


def test_entries_of_the_one_account_are_what_they_were(tmp_path: Path) -> None:
    store, split = FolderStore.open(tmp_path), split_of(1)
    claims = Claims(store, split)
    claim = claims.claim(claims.look()[0], "u1")
    assert claim is not None
    assert claims.give_back(claim, GivenBack.OPEN)
    found = store.newest("s")
    assert all(b"account" not in entry.value for entry in found.values())
