"""A shard owned by a command: never one that a worker has, and at once one whose worker ended."""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.cluster.claims import Claims
from pipeline.cluster.owning import owning
from pipeline.cluster.split import read_split, split_job
from pipeline.errors import RunLocked
from pipeline.job.load import load_job
from pipeline.journal.places import JOURNAL
from pipeline.journal.storage import reading_only
from pipeline.leases.lease import Lease, silence_s
from pipeline.leases.opening import open_store
from pipeline.leases.store import body_of
from pipeline.offline.opening import find_run
from pipeline.offline.refresh import summary_now
from pipeline.offline.status import read_status
from pipeline.system.clock import iso
from tests.support.jobs import job, vendor
from tests.support.processes import until
from tests.support.sharded import Sharded, leased, sharded

LEASE_S = 1.0


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    folder = tmp_path_factory.mktemp("ran")
    with vendor(folder) as server:
        return sharded(folder, server.url, shards=1, each=1, single=False)


@pytest.fixture
def made(ran: Sharded, tmp_path: Path) -> Sharded:
    shutil.copytree(ran.folder.parent, tmp_path / "shared")
    (tmp_path / "shared" / ".leases").mkdir()
    return Sharded(tmp_path / "shared" / "job", ran.single, ran.path)


def silent(_: str) -> None:
    pass


def test_a_shard_whose_worker_ended_in_good_order_is_owned_at_once(made: Sharded) -> None:
    with Lease(open_store(str(made.folder.parent / ".leases")), "acme", lease_s=LEASE_S) as worker:
        name = worker.incarnation
    leased(made, counts=[1], worker=name, lease_s=LEASE_S)
    with owning(made.folder, None, say=silent) as owner, owner.owned(0) as folder:
        assert folder == made.run(0, epoch=2)
        assert (folder / "spec.yaml").read_bytes() == made.run(0).joinpath("spec.yaml").read_bytes()


def owned_once(made: Sharded) -> Path:
    """Own the shard for a moment; return its new run directory."""
    leased(made, counts=[1], lease_s=LEASE_S)
    with owning(made.folder, None, say=silent) as owner, owner.owned(0) as folder:
        return folder


def state_of(folder: Path) -> str:
    with reading_only(folder) as db:
        return summary_now(find_run(folder), db, running=False).state


def test_a_finished_shard_that_a_command_owned_is_finished_still(made: Sharded) -> None:
    folder = owned_once(made)
    assert folder != made.run(0)
    assert (state_of(folder), read_status(folder).now) == ("finished", read_status(made.run(0)).now)


def test_a_run_that_is_killed_in_an_owned_folder_is_interrupted_though_the_one_before_it_ended(made: Sharded) -> None:
    folder = owned_once(made)
    with closing(sqlite3.connect(folder / JOURNAL)) as db, db:
        begun = iso(time.time() + 60)
        db.execute("UPDATE meta SET value = ? WHERE key = 'started_at'", (begun,))
    assert state_of(folder) == "interrupted"
    assert f"started {begun} and never came to its end: `pipeline work` the job file" in read_status(folder).now


def test_a_command_leases_for_as_long_as_the_workers_of_the_run(made: Sharded) -> None:
    leased(made, counts=[1], lease_s=LEASE_S)
    store = open_store(str(made.folder.parent / ".leases"))
    with owning(made.folder, None, say=silent):
        until(lambda: store.newest("w"))
        [renewal] = [body_of(entry.value) for entry in store.newest("w").values()]
    assert renewal["silence_s"] == silence_s(LEASE_S)


def test_the_length_of_leases_is_that_of_the_job_that_was_split(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    file = job(tmp_path, url="sandbox", pictures=1, cluster={"shared": "shared", "lease_s": 60})
    assert split_job(load_job(file))[1].lease_s == 60


@pytest.mark.proofs
def test_a_shard_of_a_worker_that_was_killed_is_owned_whenever_it_is_asked_for(made: Sharded) -> None:
    """The command is in no account's scope, and looks at a worker's from the moment it meets its claim."""
    leased(made, counts=[1], lease_s=LEASE_S)
    killed = Lease(open_store(str(made.folder.parent / ".leases")), "acme", lease_s=LEASE_S)
    with owning(made.folder, None, say=silent) as owner:
        time.sleep(2 * silence_s(LEASE_S))
        killed.renew()
        claims = Claims(killed.store, read_split(made.folder))
        assert claims.claim(claims.look()[0], killed.incarnation)
        with owner.owned(0):
            assert list(owner._lease.dead({killed.incarnation})) == [killed.incarnation]


@pytest.mark.proofs
def test_a_shard_that_a_worker_has_is_left_to_it(made: Sharded) -> None:
    said: list[str] = []
    with Lease(open_store(str(made.folder.parent / ".leases")), "acme", lease_s=LEASE_S) as worker:
        leased(made, counts=[1], worker=worker.incarnation, lease_s=LEASE_S)
        with (
            owning(made.folder, None, say=said.append) as owner,
            pytest.raises(RunLocked, match="shard 0000 is being worked on by process"),
            owner.owned(0),
        ):
            pytest.fail("two own it")
    assert any("waiting for a moment" in line for line in said)
    assert not made.run(0, epoch=2).exists()
