"""Promises of slots: whole calls, shared out fairly, given back when they are not needed, and nobody waits for ever."""

import pytest

from pipeline.leases.shares import next_of, share_of, slot_calls, turn_s
from pipeline.leases.store import body_of
from tests.support.lease_world import Machine, World


@pytest.mark.parametrize("qps", [0.2, 1, 2, 5, 16, 17, 33, 40, 50, 200])
def test_slots_have_all_calls_and_no_fraction_of_one(qps: float) -> None:
    calls = slot_calls(qps)
    assert sum(calls) == qps
    assert len(calls) <= 16
    assert qps < 1 or all(one >= 1 and one == int(one) for one in calls)


def test_jobs_that_give_different_limits_stay_within_the_higher_one() -> None:
    for high in range(1, 60):
        for low in range(1, high):
            assert all(less <= more for less, more in zip(slot_calls(low), slot_calls(high), strict=False))


@pytest.mark.parametrize("slots", [1, 5, 16])
def test_all_slots_are_shared_out_and_nobody_gets_more_than_one_above_another(slots: int) -> None:
    for workers in range(1, 40):
        names = [f"{number:02}" for number in range(workers)]
        shares = [share_of(name, names, slots) for name in names]
        assert max(shares) - min(shares) <= 1, workers
        assert sum(shares) == max(workers, slots), workers


def test_a_turn_is_so_long_that_nobody_waits_for_half_a_minute() -> None:
    assert turn_s(5, 5, 2.5) == float("inf")
    assert turn_s(2, 1, 2.5) == pytest.approx(23.8)
    assert turn_s(3, 1, 2.5) == pytest.approx(8.8)
    assert turn_s(6, 5, 2.5) == pytest.approx(23.8)
    assert turn_s(50, 1, 2.5) == 5.0, "a turn would be over before it is of use"


def test_turns_go_round_by_name() -> None:
    assert [next_of(name, ["a", "c", "d"]) for name in "abcd"] == ["c", "c", "d", "a"]
    assert next_of("a", ["a"]) is None


# --- in a world of machines ---


def world(*, qps: float, machines: int = 1) -> World:
    made = World(qps=qps)
    for _ in range(machines):
        made.add(1.0)
    return made


def held(made: World) -> list[int]:
    return sorted(len(machine.slots.held) for machine in made.machines)


def per_second(machine: Machine) -> float:
    return machine.slots.per_second()


@pytest.mark.parametrize("qps", [0.5, 1, 5, 40])
def test_a_machine_alone_gets_all_calls_soon(qps: float) -> None:
    made = world(qps=qps)
    made.go_on(10)
    assert per_second(made.machines[0]) == qps


def test_a_slot_rests_for_more_than_a_second_after_its_claim() -> None:
    made = world(qps=4)
    while not made.machines[0].slots.held:
        made.go_on(0.05)
    made.go_on(1.0)
    assert per_second(made.machines[0]) == 0
    made.go_on(0.15)
    assert per_second(made.machines[0]) == 4


def test_machines_that_come_get_their_part_of_the_slots() -> None:
    made = world(qps=16)
    made.go_on(10)
    for _ in range(3):
        made.add(1.0)
    made.go_on(15)
    assert held(made) == [4, 4, 4, 4]
    assert sum(map(per_second, made.machines)) == 16


def test_a_machine_with_nothing_to_do_gives_all_back_and_gets_it_again() -> None:
    made = world(qps=16, machines=2)
    made.go_on(15)
    idle, busy = made.machines
    idle.eat(False)
    made.go_on(10)
    assert (len(idle.slots.held), len(busy.slots.held)) == (0, 16)
    idle.eat(True)
    made.go_on(12)
    assert held(made) == [8, 8]


def test_the_slots_of_the_dead_are_used_by_the_living() -> None:
    made = world(qps=16, machines=2)
    made.go_on(15)
    dead, alive = made.machines
    dead.freeze(1e9)
    made.go_on(16 + 2 * 2.5 + 1.2)
    assert per_second(alive) == 16


def test_with_more_machines_than_slots_each_gets_one_within_half_a_minute() -> None:
    made = world(qps=1, machines=3)
    last = dict.fromkeys(range(3), 0.0)
    longest = 0.0
    while made.now < 300:
        made.go_on(0.5)
        for machine in made.machines:
            if per_second(machine):
                longest = max(longest, made.now - last[machine.name] if last[machine.name] else 0.0)
                last[machine.name] = made.now
    assert longest <= 30
    assert made.total >= 0.6 * 300


def test_the_end_of_a_lease_is_the_end_of_all_calls() -> None:
    made = world(qps=4)
    made.go_on(10)
    machine = made.machines[0]
    machine.cut(60)
    made.go_on(10.1)
    assert per_second(machine) == 0
    assert machine.slots.held, "nobody declared it dead: it goes on with what it has"
    made.go_on(60)
    assert per_second(machine) == 4


def test_what_is_given_back_leaves_the_limiter_before_it_leaves_for_the_store() -> None:
    made = world(qps=4)
    made.go_on(10)
    machine = made.machines[0]
    seen: list[float] = []
    put = made.put

    def watched(series: str, number: int, value: bytes) -> bool:
        if series.startswith("q/"):
            assert body_of(value)["worker"] is None
            seen.append(per_second(machine))
        return put(series, number, value)

    made.put = watched  # type: ignore[method-assign]
    machine.slots.give_back_all()
    assert seen == [0.0] * 4


def test_a_claim_whose_answer_is_lost_is_found_by_the_next_look() -> None:
    made = world(qps=4)
    machine = made.machines[0]
    made.go_on(1)  # the slots were begun
    assert not machine.slots.held
    machine.lose(3)
    made.go_on(12)
    assert per_second(machine) == 4


def test_old_entries_of_a_slot_are_dropped() -> None:
    made = world(qps=1, machines=2)
    machine = made.machines[0]
    for _ in range(45):
        for one in made.machines:
            one.eat(one is machine)
        made.go_on(9)
        machine = made.machines[made.machines.index(machine) - 1]
    slot = made.entries["q/acme/search/0"]
    there = sorted(number for number, put in slot.items() if put.dropped_at == float("inf"))
    assert len(slot) > 70
    assert 64 <= len(there) <= 66
    assert there == list(range(there[0], there[-1] + 1))
