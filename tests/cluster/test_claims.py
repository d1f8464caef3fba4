"""A shard has one owner: of all who claim it one succeeds, and nobody claims what may still be owned."""

import threading
from pathlib import Path

import pytest

from pipeline.cluster.claims import AccountLabel, Claim, Claims, GivenBack, Standing, Why, free
from pipeline.cluster.epochs import epoch_draft, folder_of, take_place, there_or_closed
from pipeline.cluster.failures import say_set_aside
from pipeline.leases.folder_store import FolderStore
from tests.support.splits import split_of


@pytest.fixture
def claims(tmp_path: Path) -> Claims:
    (tmp_path / "leases").mkdir()
    return Claims(FolderStore.open(tmp_path / "leases"), split_of(10, 0, 10))


def claimed(claims: Claims, shard: int, worker: str) -> Claim:
    claim = claims.claim(next(one for one in claims.look() if one.shard == shard), worker)
    assert claim is not None
    return claim


def test_a_shard_without_items_is_nobodys(claims: Claims) -> None:
    assert [one.shard for one in claims.look()] == [0, 2]


def test_of_many_who_claim_a_shard_at_once_one_succeeds(claims: Claims) -> None:
    [shard, _] = claims.look()
    won: list[Claim | None] = []
    racers = [threading.Thread(target=lambda n=n: won.append(claims.claim(shard, f"worker{n}"))) for n in range(8)]  # type: ignore[misc]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [claim.epoch for claim in won if claim is not None] == [1]


def test_an_owner_of_whom_nothing_is_known_keeps_its_shard(claims: Claims) -> None:
    claimed(claims, 0, "cut-off")
    assert [one.shard for one in free(claims.look(), dead=set())] == [2]
    assert [one.shard for one in free(claims.look(), dead={"cut-off"})] == [0, 2]


def test_the_epoch_grows_with_each_claim_and_names_what_may_have_a_folder(claims: Claims) -> None:
    first = claimed(claims, 0, "a")
    second = claimed(claims, 0, "b")  # a is dead
    assert (second.epoch, second.base, second.tried, second.died) == (2, 0, (first.epoch,), True)
    assert claims.give_back(second, GivenBack.OPEN)
    third = claimed(claims, 0, "c")
    assert (third.epoch, third.base, third.tried, third.died) == (4, 2, (), False)


def test_who_was_taken_for_dead_gives_nothing_back(claims: Claims) -> None:
    first = claimed(claims, 0, "a")
    claimed(claims, 0, "b")
    assert not claims.give_back(first, GivenBack.DONE)
    assert claims.look()[0].worker == "b"


def test_what_is_done_or_set_aside_is_not_claimed(claims: Claims) -> None:
    assert claims.give_back(claimed(claims, 0, "a"), GivenBack.DONE, in_doubt=3)
    assert claims.give_back(claimed(claims, 2, "a"), GivenBack.ASIDE)
    done, aside = claims.look()
    assert (done.state, done.in_doubt, aside.state) == (GivenBack.DONE, 3, GivenBack.ASIDE)
    assert free([done, aside], dead=set()) == []
    assert free([done, aside], dead=set(), also=[GivenBack.OPEN, GivenBack.ASIDE]) == [aside]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (Why.DEATHS, "its run ended its worker again and again; see RUN/shards/0000/e1, then `pipeline work a.yaml"),
        (Why.DAMAGE, "its run directory could not be used; `pipeline repair RUN` mends it"),
        (Why.BUG, "a bug of this program ended its run; see RUN/shards/0000/e1, then `pipeline work a.yaml"),
        (Why.UNKNOWN, "see RUN/shards/0000/e1; where it is damaged `pipeline repair RUN` comes first"),
    ],
)
def test_a_shard_that_is_set_aside_says_for_what_reason_and_what_mends_that(
    claims: Claims, why: Why, told: str
) -> None:
    said: list[str] = []
    assert claims.give_back(claimed(claims, 0, "a"), GivenBack.ASIDE, why=why)
    shard = claims.look()[0]
    assert claims.put_back(claimed(claims, 0, "repair"), shard)  # which mended nothing
    assert say_set_aside(Path("RUN"), claims.look(), said.append, words=["a.yaml"])
    assert said[0].startswith(f"shard 0000 is set aside: {told}")
    assert "`pipeline work a.yaml --set-aside`" in said[0]


def test_a_shard_that_never_had_a_run_directory_is_not_said_to_have_one(claims: Claims, tmp_path: Path) -> None:
    said: list[str] = []
    assert claims.refuse(claimed(claims, 0, "a"))
    [refused, other] = claims.look()
    assert (refused.why, other.why) == (Why.DAMAGE, Why.UNKNOWN)
    say_set_aside(tmp_path, [refused, refused._replace(why=Why.UNKNOWN)], said.append, words=["a.yaml"])
    assert not [line for line in said if "/e0" in line]


def test_paid_hits_that_grow_too_old_come_first_then_what_was_begun_then_the_new() -> None:
    new, begun = Standing(0), Standing(1, number=2)
    soon, later = Standing(2, number=2, hits_until=50.0), Standing(3, number=2, hits_until=60.0)
    dead = Standing(4, number=1, worker="a", hits_until=55.0)
    assert free([new, begun, later, dead, soon], dead={"a"}) == [soon, dead, later, begun, new]


def test_an_epoch_whose_owner_died_before_it_began_is_closed_for_good(tmp_path: Path) -> None:
    """The owner was frozen in the middle of its copy, and wakes up when another one has looked for it."""
    with epoch_draft(tmp_path, 7) as draft:
        (draft / "journal.sqlite").write_bytes(b"x")
        assert not there_or_closed(tmp_path, 7)
        assert not take_place(draft, tmp_path, 7)
    assert not there_or_closed(tmp_path, 7)
    assert not (folder_of(tmp_path, 7) / "journal.sqlite").exists()


def test_an_epoch_that_is_there_is_not_closed(tmp_path: Path) -> None:
    with epoch_draft(tmp_path, 7) as draft:
        (draft / "journal.sqlite").write_bytes(b"x")
        assert take_place(draft, tmp_path, 7)
    assert there_or_closed(tmp_path, 7)
    assert [one.name for one in folder_of(tmp_path, 7).iterdir()] == ["journal.sqlite"]


def test_a_shard_that_is_put_back_stays_its_accounts(tmp_path: Path) -> None:
    """What is paid in it is that account's; one that belonged to nobody belongs to nobody."""
    (tmp_path / "leases").mkdir()
    store, main = FolderStore.open(tmp_path / "leases"), AccountLabel("d1ge57", "main")
    claims = Claims(store, split_of(10, 10), main)
    begun = claims.claim(claims.look()[0], "w1")
    assert begun is not None
    assert claims.give_back(begun, GivenBack.DONE)
    before = claims.look()
    for shard in before:
        claim = Claims(store, split_of(10, 10)).claim(shard, "a command")
        assert claim is not None
        assert claims.put_back(claim, shard)
    assert [one._replace(number=0) for one in claims.look()] == [one._replace(number=0) for one in before]
    assert [one.account for one in claims.look()] == [main, None]
