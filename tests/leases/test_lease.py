"""Promises of a lease: nothing is sent after its end, the dead are declared dead once, and outages kill nobody."""

import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from pipeline.leases.lease import AHEAD_OF_LEASE, AHEAD_S, FEW, REST_S, Lease, silence_s
from pipeline.leases.opening import open_store
from pipeline.leases.store import Entry, body_of, put_mine
from pipeline.leases.turns import RepeatingThread
from tests.support.lease_stores import MemoryStore
from tests.support.processes import PATIENCE_S, until


class Clock:
    """A steady clock and a wall clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ahead = 0.0

    def steady(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1e9 + self.ahead


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(store: MemoryStore, clock: Clock) -> Lease:
    return begun(store, clock)


def begun(store: MemoryStore, clock: Clock, account: str = "acme") -> Lease:
    lease = Lease(store, account, clock=clock.steady, wall=clock.wall, host="a", pid=7)
    lease.renew()
    return lease


def newest(store: MemoryStore, lease: Lease) -> dict[str, object]:
    return body_of(store.newest(f"w/{lease.scope}")[f"w/{lease.incarnation}"].value)


def gone_by(clock: Clock, seconds: float, *steps: Callable[[], None]) -> None:
    """Let time go by, with the steps every 2.5 s."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now = min(end, clock.now + 2.5)
        for step in steps:
            step()


@pytest.mark.parametrize("lease_s", [1.0, 2.0, 3.0, 10.0, 60.0, 600.0])
def test_a_death_comes_later_than_the_last_second_of_the_lease_by_any_clock(lease_s: float) -> None:
    wrong = 0.01
    unnoticed = min(AHEAD_S, AHEAD_OF_LEASE * lease_s)  # for which a machine stood still
    assert silence_s(lease_s) * (1 - wrong) >= lease_s * (1 + wrong) + unnoticed + REST_S


def test_nothing_is_allowed_before_the_first_renewal_is_in_the_store(store: MemoryStore, clock: Clock) -> None:
    assert not Lease(store, "acme", clock=clock.steady, wall=clock.wall).allowed()


def test_a_renewal_allows_calls_for_as_long_as_the_lease_lasts(lease: Lease, clock: Clock) -> None:
    clock.now += 9.99
    assert lease.allowed()
    clock.now += 0.01
    assert not lease.allowed()
    lease.renew()
    assert lease.allowed()


def test_a_lease_counts_from_the_first_try_of_a_renewal(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    store.lose = lambda _: "after"
    clock.now += 5
    lease.renew()
    clock.now += 4
    store.lose = lambda _: ""
    lease.renew()
    clock.now += 5.99
    assert lease.allowed()
    clock.now += 0.01
    assert not lease.allowed()


def test_nothing_is_allowed_while_the_wall_clock_runs_ahead(lease: Lease, clock: Clock) -> None:
    clock.ahead = 1.01  # a machine that is paused: its steady clock stood still
    assert not lease.allowed()
    lease.renew()
    assert lease.allowed(), "set forward once and for all, which a renewal notes"
    clock.ahead = -3600
    assert lease.allowed(), "set back, it proves nothing"


def test_members_know_of_each_other(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    lease.set_hungry(frozenset({"acme/search"}))
    lease.renew()
    other = begun(store, clock)
    other.look()
    assert set(other.members.living) == {lease.incarnation, other.incarnation}
    member = other.members.living[lease.incarnation]
    assert (member.hungry, member.host, member.pid) == ({"acme/search"}, "a", 7)
    assert member.since == pytest.approx(clock.wall())


def test_silence_is_death_after_so_many_seconds_and_no_sooner(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    other = begun(store, clock)
    other.look()
    gone_by(clock, silence_s(10.0) - 0.01, other.renew, other.look)
    assert not other.members.dead
    gone_by(clock, 0.01, other.renew, other.look)
    assert other.members.dead == {lease.incarnation}
    assert newest(store, lease)["dead"] == other.incarnation
    assert set(other.members.living) == {other.incarnation}


def test_a_process_looks_at_those_of_its_account_alone(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    others = [begun(store, clock, account) for account in ("other", "acme")]
    rooms: list[str] = []
    look, store.newest = store.newest, lambda room: (rooms.append(room), look(room))[1]  # type: ignore[method-assign]
    lease.look()
    assert set(lease.members.living) == {lease.incarnation, others[1].incarnation}
    assert rooms == ["w/acme"]


def test_whoever_is_asked_about_is_looked_at_and_declared_dead_wherever_it_lived(
    lease: Lease, store: MemoryStore, clock: Clock
) -> None:
    other = begun(store, clock, "Other GmbH")
    gone_by(clock, 60, lease.renew, lease.look)
    assert not lease.dead({other.incarnation, lease.incarnation}), "its silence counts from here"
    gone_by(clock, silence_s(10.0), lease.renew, lease.look)
    assert not lease.dead({other.incarnation})
    gone_by(clock, 2.5, lease.renew, lease.look)
    assert lease.dead({other.incarnation, lease.incarnation}) == {other.incarnation}
    assert newest(store, other)["dead"] == lease.incarnation
    assert lease.scopes == ("acme", other.scope)


@pytest.mark.parametrize("name", ["", "5eed", "/5eed", "acme/", "../5eed", "A/5eed"])
def test_what_names_no_incarnation_is_not_dead_and_leads_a_look_nowhere(lease: Lease, name: str) -> None:
    assert not lease.dead({name})
    lease.look()
    assert lease.scopes == ("acme",)
    assert lease.broken is None


def test_a_look_says_when_the_next_silence_has_lasted_too_long(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    """A look every 1.25 s alone would find a death later: 16 s is no multiple of it."""
    other = begun(store, clock)
    assert lease.look() == lease.renew_s / 2
    gone_by(clock, 15.0, lease.renew, lease.look)
    assert lease.look() == lease.takeover_s - 15.0
    clock.now += 1.0
    lease.look()
    assert other.incarnation in lease.members.dead
    store.lose = lambda _: "before"
    assert lease.look() is None


@pytest.mark.parametrize(("others", "part"), [(0, 1), (1, 2), (FEW - 1, 2), (FEW, 1)])
def test_a_few_look_at_each_other_twice_as_often_and_many_do_not(
    lease: Lease, store: MemoryStore, clock: Clock, others: int, part: int
) -> None:
    """Silence counts from when a renewal is seen: a death is known sooner by half of what the looks are apart."""
    for _ in range(others):
        begun(store, clock)
    assert lease.look() == lease.renew_s / part


def test_the_next_step_comes_when_the_one_before_wanted_it() -> None:
    taken = threading.Semaphore(0)
    wanted = iter([3600.0, 0.0, None])

    def step() -> float | None:
        taken.release()
        return next(wanted)

    turns = RepeatingThread("of a test", step, failed=lambda error: None, every_s=3600.0, soon_s=0.0)
    turns.start()
    assert taken.acquire(timeout=PATIENCE_S)
    assert not taken.acquire(timeout=0.05)
    turns.hurry()
    assert taken.acquire(timeout=PATIENCE_S)  # hurried
    assert taken.acquire(timeout=PATIENCE_S)  # wanted at once
    assert not taken.acquire(timeout=0.05)
    assert turns.end(PATIENCE_S)


def test_after_its_death_a_process_begins_anew(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    told: list[tuple[str, str]] = []
    lines: list[str] = []
    lease.say = lines.append
    lease.on_lost = lambda name: told.append(("lost", name))
    lease.on_renewed = lambda name: told.append(("renewed", name))
    first = lease.incarnation
    put_mine(store, f"w/{first}", 2, {"dead": "b"})
    lease.renew()
    assert not lease.allowed()
    lease.renew()
    assert lease.allowed()
    assert lease.incarnation != first
    assert told == [("lost", first), ("renewed", lease.incarnation)]
    assert lines == [
        "this process was silent for longer than its lease; others took what it held, and it begins a new one"
    ]


def test_a_death_that_comes_too_late_leaves_the_living_alone(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    other = begun(store, clock)
    other.look()
    old = store.newest("w")
    store.newest = lambda _: old  # type: ignore[method-assign]  # the cache of a network file system
    gone_by(clock, 60, lease.renew, other.renew, other.look)
    assert not other.members.dead
    lease.renew()
    assert lease.allowed()


def test_a_missing_series_is_no_death(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    other = begun(store, clock)
    other.look()
    del store.entries[f"w/{lease.incarnation}"]
    gone_by(clock, 10, other.renew, other.look)
    assert lease.incarnation in other.members.living
    assert not other.members.dead


def test_an_outage_of_the_store_kills_nobody(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    other = begun(store, clock)
    steps = lease.renew, lease.look, other.renew, other.look
    gone_by(clock, 10, *steps)
    store.lose = lambda _: "before"
    gone_by(clock, 60, *steps)
    assert not lease.allowed()
    store.lose = lambda _: ""
    other.look()
    assert not other.members.dead
    gone_by(clock, 30, *steps)
    assert lease.allowed()
    assert other.allowed()
    assert not other.members.dead | lease.members.dead


def test_an_outage_is_told_in_one_line_and_its_end_in_another(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    told: list[str] = []
    lease.say = told.append
    store.lose = lambda _: "before"
    gone_by(clock, 9, lease.renew)
    assert told == []
    gone_by(clock, 60, lease.renew)
    assert told == ["the store of leases is out of reach, and no call goes until it answers: no answer"]
    store.lose = lambda _: ""
    lease.renew()
    lease.renew()
    assert told[1:] == ["the store of leases answers again: calls go on"]


def test_old_renewals_are_dropped_and_enough_are_kept(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    gone_by(clock, 1000, lease.renew)
    kept = sorted(store.entries[f"w/{lease.incarnation}"])
    assert kept == list(range(401 - 72 + 1, 402)), "those of three minutes"


def test_of_the_dead_their_last_entry_is_left_and_they_stay_dead(
    lease: Lease, store: MemoryStore, clock: Clock
) -> None:
    gone_by(clock, 300, lease.renew)
    killed = begun(store, clock)
    gone_by(clock, 100, killed.renew, lease.renew, lease.look)
    gone_by(clock, 60, lease.renew, lease.look)
    assert list(store.entries[f"w/{killed.incarnation}"]) == [42]
    lease.bye()
    assert len(store.entries[f"w/{lease.incarnation}"]) == 1
    killed.renew()
    assert not killed.allowed()
    later = begun(store, clock)
    later.look()
    assert later.members.dead >= {lease.incarnation}
    assert set(later.members.living) == {later.incarnation}


def test_a_process_that_ends_is_gone_at_once(lease: Lease, store: MemoryStore, clock: Clock) -> None:
    other = begun(store, clock)
    other.look()
    store.lose = lambda _: "after"
    lease.renew()  # nobody told it that this one is in the store
    store.lose = lambda _: ""
    lease.bye()
    lease.bye()
    lease.renew()
    assert not lease.allowed()
    other.look()
    assert other.members.dead == {lease.incarnation}
    assert newest(store, lease)["bye"] is True


# --- threads ---


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before  # one of an earlier test may have ended meanwhile


@pytest.mark.usefixtures("no_thread_is_left")
def test_threads_renew_and_watch_until_the_context_ends(tmp_path: Path) -> None:
    one, other = (Lease(open_store(str(tmp_path)), "acme", lease_s=0.1) for _ in range(2))
    with one, other:
        until(lambda: one.allowed() and one.incarnation in other.members.living)
        one.set_hungry(frozenset({"x"}))
        until(lambda: {"x"} in [member.hungry for member in other.members.living.values()])
        looks = count()
        seen: list[int] = []
        other.after_looks(lambda: seen.append(next(looks)))
        until(lambda: len(seen) > 2)
    assert not one.allowed()
    assert {"bye"} <= set(body_of(_newest(tmp_path, one).value))


def _newest(place: Path, lease: Lease) -> Entry:
    return open_store(str(place)).newest(f"w/{lease.scope}")[f"w/{lease.incarnation}"]


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_step_that_fails_stops_all_calls_and_says_so(store: MemoryStore) -> None:
    told: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError("of the test")

    with Lease(store, "acme", lease_s=0.1) as lease:
        lease.say = told.append
        until(lease.allowed)
        lease.after_looks(fail)
        until(lambda: told)
        assert isinstance(lease.broken, ZeroDivisionError)
        assert told == ["the lease ended, and no call goes any more: ZeroDivisionError: of the test"]


def test_one_with_a_longer_lease_is_declared_dead_only_when_that_lease_is_over(
    store: MemoryStore, clock: Clock
) -> None:
    long = Lease(store, "acme", lease_s=60.0, clock=clock.steady, wall=clock.wall)
    long.renew()
    short = begun(store, clock)
    gone_by(clock, silence_s(short.lease_s) + 5, short.renew, short.look)
    assert (long.allowed(), long.incarnation in short.members.dead) == (True, False)
    gone_by(clock, silence_s(60.0), short.renew, short.look)
    assert (long.allowed(), long.incarnation in short.members.dead) == (False, True)
