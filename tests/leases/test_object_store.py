"""Promises of a store in a bucket, on a server that speaks S3: one winner, lost answers are found out, no secrets."""

from collections import Counter
from collections.abc import Iterator

import pytest

from pipeline.errors import SpecError
from pipeline.leases.opening import open_store
from pipeline.leases.store import Entry, Store, StoreUnknown, put_mine
from tests.support.bucket import Bucket, bucket
from tests.support.lease_stores import race


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with bucket() as held:
        for name, value in held.environment().items():
            monkeypatch.setenv(name, value)
        yield held


@pytest.fixture
def store(server: Bucket) -> Store:
    return open_store("s3://leases/below")


def test_entries_are_put_once_read_listed_and_dropped(store: Store, server: Bucket) -> None:
    assert [store.put_new("w/a", number, b"%d" % number) for number in range(1, 6)] == [True] * 5
    assert not store.put_new("w/a", 5, b"again")
    assert store.newest("w") == {"w/a": Entry(5, b"5")}, "over several pages"
    store.drop("w/a", 1)
    assert (store.read("w/a", 1), store.read("w/a", 5)) == (None, b"5")
    assert set(server.objects) == {"below/format.000000000001"} | {f"below/w/a.{n:012}" for n in range(2, 6)}


def test_what_was_put_here_is_not_asked_for_again(store: Store, server: Bucket) -> None:
    store.put_new("w/a/b", 1, b"ours")
    before = server.asked.count("GET")
    assert store.newest("w/a") == {"w/a/b": Entry(1, b"ours")}
    assert server.asked.count("GET") == before + 1, "a list alone"


def test_a_list_shows_the_server_no_more_than_its_room(store: Store, server: Bucket) -> None:
    """However many accounts lease there, each pays for its own names alone."""
    for account in range(20):
        store.put_new(f"w/account-{account}/a", 1, b"x")
    before = server.asked.count("GET")
    assert set(store.newest("w/account-1")) == {"w/account-1/a"}
    assert server.asked.count("GET") == before + 1, "one page"


def test_a_put_that_the_library_sends_again_by_itself_is_known_for_ours(store: Store, server: Bucket) -> None:
    lost = iter([True])
    server.lose = lambda method: method == "PUT" and next(lost, False)
    assert put_mine(store, "w/a", 1, {"by": "me"})
    assert server.asked.count("PUT") >= 2
    assert not put_mine(store, "w/a", 1, {"by": "another"})


@pytest.mark.proofs
def test_a_server_that_gives_no_answer_leaves_it_unknown(store: Store, server: Bucket) -> None:
    server.lose = lambda _: True
    for call in (lambda: store.newest("w"), lambda: store.read("w/a", 1), lambda: put_mine(store, "w/a", 1, {})):
        with pytest.raises(StoreUnknown):
            call()


@pytest.mark.parametrize(("status", "said"), [(403, "PermissionDenied"), (401, "Unauthenticated"), (500, "500")])
def test_a_refusal_is_named_and_shows_no_secret(store: Store, server: Bucket, status: int, said: str) -> None:
    server.refuse_with = status
    with pytest.raises(StoreUnknown, match=said) as unknown:
        store.put_new("w/a", 1, b"")
    assert "s3://leases/below" in str(unknown.value)
    with pytest.raises(SpecError, match=said) as told:
        open_store("s3://of-a-test:never-shown@leases/below?X-Amz-Signature=never-shown")
    assert "never-shown" not in f"{unknown.value!r} {told.value!r}"


@pytest.mark.proofs
def test_of_processes_that_put_one_name_in_a_bucket_one_succeeds(server: Bucket) -> None:
    puts = iter(range(1_000_000))
    server.lose = lambda method: method == "PUT" and next(puts) % 7 == 3
    told = race("s3://leases", racers=8, names=40)
    assert Counter(name for won in told for name in won) == dict.fromkeys(range(1, 41), 1)
