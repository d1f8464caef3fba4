"""Promises of a shared account: processes on one store share each kind of call, and leave nothing behind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.leases.account import SharedAccount
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.leases.store import body_of
from tests.support.processes import until

QPS = {"search": 4.0, "details": 1.0}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before  # one of an earlier test may have ended meanwhile


def joined(place: Path) -> tuple[Lease, SharedAccount]:
    lease = Lease(open_store(str(place)), "Acme GmbH", lease_s=0.4)
    return lease, SharedAccount(lease, QPS)


@pytest.mark.proofs
def test_two_processes_share_each_kind_of_call(tmp_path: Path) -> None:
    (lease_a, a), (lease_b, b) = joined(tmp_path), joined(tmp_path)
    with lease_a, a, lease_b, b:
        a.hungry(["search"])
        until(lambda: a.per_second("search") == 4)
        assert a.per_second("details") == 0
        b.hungry(["search", "details"])
        until(lambda: (a.per_second("search"), b.per_second("search"), b.per_second("details")) == (2, 2, 1))
        assert (a.others("search"), a.others("details"), b.others("search")) == (1, 1, 1)
        a.hungry([])
        until(lambda: b.pace("search")() == 4)
    assert (a.per_second("search"), b.per_second("search")) == (0, 0)


def test_what_a_process_held_is_free_when_it_ends(tmp_path: Path) -> None:
    lease, account = joined(tmp_path)
    with lease:
        with account:
            account.hungry(["search"])
            until(lambda: len(account.slots["search"].held) == 4)
        assert account.per_second("search") == 0
        assert lease.hungry == frozenset()
    found = open_store(str(tmp_path)).newest("q")
    assert {body_of(entry.value)["worker"] for entry in found.values()} == {None}
    assert len(found) == 4, "kinds without calls hold no slots"


def test_accounts_in_one_place_share_nothing_and_do_not_look_at_each_other(tmp_path: Path) -> None:
    lease, first = joined(tmp_path)
    another = Lease(open_store(str(tmp_path)), "other", lease_s=0.4)
    second = SharedAccount(another, QPS)
    with lease, first, another, second:
        first.hungry(["search"])
        second.hungry(["search"])
        until(lambda: (len(first.slots["search"].held), len(second.slots["search"].held)) == (4, 4))
        assert set(lease.members.living) == {lease.incarnation}
        assert set(another.members.living) == {another.incarnation}
        assert first.others("search") == second.others("search") == 0


def test_workers_of_another_account_that_are_looked_at_take_no_part(tmp_path: Path) -> None:
    lease, account = joined(tmp_path)
    another = Lease(open_store(str(tmp_path)), "other", lease_s=60)
    SharedAccount(another, QPS).hungry(["search"])
    another.renew()
    lease.lease_s = 60
    lease.dead({another.incarnation})
    account.hungry(["search"])
    lease.renew()
    for _ in range(3):
        lease.look()
        account._step()
    assert another.incarnation in lease.members.living
    assert (account.others("search"), len(account.slots["search"].held)) == (0, 4)


@pytest.mark.proofs
def test_whoever_waits_for_others_says_once_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.leases.account.TOLD_S", 0.3)
    told: list[str] = []
    lease, account = joined(tmp_path)
    killed = Lease(open_store(str(tmp_path)), "Acme GmbH", lease_s=2.0, host="alpha", pid=12)
    killed.renew()
    before = SharedAccount(killed, QPS)
    before.hungry(["details"])
    for _ in range(3):  # then it is silent
        killed.look()
        before._step()
    assert before.slots["details"].held
    lease.say = told.append
    with lease, account:
        account.hungry(["details"])
        until(lambda: account.per_second("details") == 1)
    (line,) = told
    assert line.startswith(
        "waits for the account's calls per second, which others hold: alpha (12); of one that was killed"
    )
