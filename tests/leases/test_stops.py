"""Reasons to send nothing, told by one machine and heard by all that run."""

from pipeline.errors import RunPaused, RunStopped
from pipeline.leases.stops import StopReason, Stops
from tests.support.shared_store import MemoryStore

DAY_FULL = StopReason("the account's limit for today is reached", "67200007", 1000.0, daily=True)


class World:
    """A store, and one clock for all."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = 0.0

    def machine(self, job: str | None = None) -> Stops:
        stops = Stops(self.store, "acme", job, wall=lambda: self.now)
        stops.look()
        return stops


def heard(stops: Stops) -> StopReason | None:
    stops.look()
    return stops.stopped()


def test_all_that_run_hear_of_it_with_their_next_look_and_its_teller_does_not() -> None:
    world = World()
    one, other = world.machine(), world.machine()
    assert one.tell(DAY_FULL)
    assert (heard(one), other.stopped(), heard(other)) == (None, None, DAY_FULL)


def test_who_starts_later_finds_out_by_its_own_call() -> None:
    world = World()
    world.machine().tell(DAY_FULL)
    late, other = world.machine(), world.machine()
    assert (heard(late), heard(other)) == (None, None)
    other.tell(DAY_FULL._replace(until=2000.0))
    assert heard(late) == DAY_FULL._replace(until=2000.0)


def test_it_ends_with_its_time() -> None:
    world = World()
    one, other = world.machine(), world.machine()
    one.tell(DAY_FULL)
    assert heard(other)
    world.now = 1000.0
    assert other.stopped() is heard(other) is None


def test_whoever_gets_an_accepted_call_lifts_it_for_all() -> None:
    world = World()
    one, other, third = (world.machine() for _ in range(3))
    one.tell(DAY_FULL)
    assert heard(other)
    assert heard(third)
    assert third.lift()
    assert (heard(one), heard(other), heard(third)) == (None, None, None)


def test_to_lift_what_nobody_told_writes_nothing() -> None:
    world = World()
    assert world.machine().lift()
    assert not world.store.entries


def test_what_is_told_already_is_not_told_again() -> None:
    world = World()
    one, other = world.machine(), world.machine()
    for _ in range(3):
        assert one.tell(DAY_FULL)
        assert other.tell(DAY_FULL)
    assert [len(entries) for entries in world.store.entries.values()] == [1]
    one.tell(DAY_FULL._replace(code="67200005"))
    assert heard(other).code == "67200005"


def test_two_that_tell_at_once_are_both_heard_of() -> None:
    world = World()
    one, other, third = (world.machine() for _ in range(3))
    one.tell(DAY_FULL)
    other.tell(StopReason("no balance", "67200005", 500.0))
    assert heard(third) == StopReason("no balance", "67200005", 500.0)


def test_what_concerns_one_job_stops_no_other() -> None:
    world = World()
    autumn, same, spring, whole = (world.machine(job) for job in ("autumn", "autumn", "spring", None))
    autumn.tell(StopReason("20 pictures were refused alike", "68300004", 500.0, final=True))
    assert (heard(spring), heard(whole)) == (None, None)
    assert heard(same).final


def test_a_run_ends_with_the_exit_code_that_it_would_have_met_itself() -> None:
    paused, stopped = DAY_FULL.error(), DAY_FULL._replace(final=True).error()
    assert (type(paused), type(stopped)) == (RunPaused, RunStopped)
    assert (paused.exit_code, stopped.exit_code, paused.code, paused.sent) == (4, 3, "67200007", False)
    assert "another process" in paused.message


def test_a_store_that_does_not_answer_stops_nobody_and_is_told_later() -> None:
    world = World()
    one, other = world.machine(), world.machine()
    world.store.answers = False
    assert not one.tell(DAY_FULL)
    assert heard(other) is None
    world.store.answers = True
    assert one.tell(DAY_FULL)
    assert heard(other) == DAY_FULL


def test_what_was_told_with_a_lost_answer_is_known_for_our_own() -> None:
    world = World()
    one, other = world.machine(), world.machine()
    losing = iter([True, True])
    world.store.loses = lambda: next(losing, False)
    assert not one.tell(DAY_FULL)
    assert (heard(one), heard(other)) == (None, DAY_FULL)
