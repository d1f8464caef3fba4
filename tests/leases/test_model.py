"""The promises of leases and slots under everything that can go wrong, in virtual time; and each part is needed.

L2  nothing is sent in the second before a death is declared, or after it
T1  no second holds more calls than the account may have, whoever sends them
No slot has two holders, and no outage of the store costs anybody its lease.
"""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from pipeline.leases import lease as leases
from pipeline.leases import slots as slot_module
from pipeline.leases.lease import Lease
from pipeline.leases.members import Members
from pipeline.leases.slots import Slots
from pipeline.leases.store import Entry, Store, put_mine
from tests.support.lease_world import Broken, Machine, World, token_hex
from tests.support.lengths import THOROUGH

RATES = [0.99, 1.01, 1.0]
SECONDS = st.sampled_from([0.5, 2.0, 5.0, 9.0, 14.0, 20.0, 40.0])
DELAYS = st.sampled_from([0.0, 1.0, 2.4, 6.0, 12.0])
WHO = st.integers(0, len(RATES) - 1)


class Leases(RuleBasedStateMachine):
    """Three machines, and the mishaps that come to them."""

    make_lease: Callable[..., Lease] = Lease
    make_slots: Callable[..., Slots] = Slots

    @initialize(
        kept=st.sampled_from([4, 72]),
        qps=st.sampled_from([4, 2, 1, 0.5]),
        views=st.lists(st.sampled_from([0.0, 0.0, 30.0]), min_size=len(RATES), max_size=len(RATES)),
    )
    def begin(self, kept: int, qps: float, views: list[float]) -> None:
        self.world = World(qps=qps, kept=kept, make_lease=type(self).make_lease, make_slots=type(self).make_slots)
        for rate in RATES:
            self.world.add(rate)
        for machine, old in zip(self.world.machines, views, strict=True):
            machine.stale_s["w"] = old
        self.world.go_on(20)

    def later(self, delay: float, who: int, what: Callable[[Machine], object]) -> None:
        machine = self.world.machines[who]
        self.world.plan(self.world.now + delay, machine, lambda: what(machine) and None)
        self.world.go_on(4)

    @rule(seconds=SECONDS)
    def time_goes_by(self, seconds: float) -> None:
        self.world.go_on(seconds)

    @rule(who=WHO, delay=DELAYS, seconds=SECONDS)
    def frozen(self, who: int, delay: float, seconds: float) -> None:
        self.later(delay, who, lambda one: one.freeze(seconds))

    @rule(who=WHO, delay=DELAYS, seconds=st.sampled_from([0.5, 0.95, 3.0, 20.0]))
    def paused(self, who: int, delay: float, seconds: float) -> None:
        self.later(delay, who, lambda one: one.pause(seconds))

    @rule(who=WHO, delay=DELAYS, seconds=SECONDS)
    def cut_off(self, who: int, delay: float, seconds: float) -> None:
        self.later(delay, who, lambda one: one.cut(seconds))

    @rule(who=WHO, seconds=SECONDS, more=SECONDS)
    def answers_lost_and_then_cut_off(self, who: int, seconds: float, more: float) -> None:
        self.later(seconds + 2.6, who, lambda one: one.cut(more))
        self.later(0, who, lambda one: one.lose(seconds))

    @rule(who=WHO, delay=DELAYS, thread=st.sampled_from(["renew", "look"]), before=SECONDS, after=SECONDS)
    def slow(self, who: int, delay: float, thread: str, before: float, after: float) -> None:
        self.later(delay, who, lambda one: one.slow.update({thread: (before, after)}))

    @rule(who=WHO, room=st.sampled_from(["w", "q"]), seconds=st.sampled_from([0.0, 3.0, 10.0, 30.0]))
    def old_view(self, who: int, room: str, seconds: float) -> None:
        self.world.machines[who].stale_s[room] = seconds

    @rule(who=WHO, delay=DELAYS)
    def killed_and_begun_again(self, who: int, delay: float) -> None:
        self.later(delay, who, lambda one: one.begin())

    @rule(who=WHO, hungry=st.booleans())
    def appetite(self, who: int, hungry: bool) -> None:
        self.world.machines[who].eat(hungry)

    @rule(seconds=st.sampled_from([3.0, 9.0, 20.0, 40.0]))
    def outage(self, seconds: float) -> None:
        self.world.break_store(seconds)
        self.world.go_on(seconds + 5)


@pytest.fixture(autouse=True)
def the_same_names_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", token_hex)


def check(machine: type[Leases], *, runs: int, steps: int = 25) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_promises_hold_whatever_happens() -> None:
    check(Leases, runs=3, steps=8)


@pytest.mark.proofs
def test_promises_hold_whatever_happens_for_long() -> None:
    check(Leases, runs=20_000 if THOROUGH else 80)


# --- each part is needed: without it, the same machine finds a broken promise ---


class CountsFromTheLastTry(Lease):
    def renew(self) -> None:
        if self._trying is not None:
            now = self.clock()
            self._trying = self._trying[0], now, self._wall() - now
        super().renew()


class TakesNotSeenForDead(Slots):
    def _is_free(self, slot: int, hungry: list[str]) -> bool:
        view = self._views.get(slot)
        gone = view is not None and view.holder not in self._lease.members.living
        return gone or super()._is_free(slot, hungry)


class Restless(Slots):
    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._rest_s = 0.0


def impatient(*args: object, **named: object) -> Lease:
    lease = Lease(*args, **named)  # type: ignore[arg-type]
    lease.takeover_s = 8.0
    lease.members = Members(silence_s=lease.takeover_s, blind_s=5.0)
    return lease


def blind(*args: object, **named: object) -> Lease:
    lease = Lease(*args, **named)  # type: ignore[arg-type]
    lease.members = Members(silence_s=16.0, blind_s=float("inf"))
    return lease


def without_looking_back(store: Store, series: str, seen: Entry, body: dict[str, object]) -> bool:
    return put_mine(store, series, seen.number + 1, body)


MUTANTS = {
    "counted from the last try": {"make_lease": CountsFromTheLastTry},
    "not seen is dead": {"make_slots": TakesNotSeenForDead},
    "declared dead before the lease ends": {"make_lease": staticmethod(impatient)},
    "no rest after a claim": {"make_slots": Restless},
    "a blind watcher counts on": {"make_lease": staticmethod(blind)},
    "a death under a dropped name": {},
}


@pytest.mark.proofs
@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_a_part_of_them_a_promise_is_broken(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mutant == "a death under a dropped name":
        monkeypatch.setattr(leases, "put_after", without_looking_back)
        monkeypatch.setattr(slot_module, "put_after", without_looking_back)
    with pytest.raises((Broken, ExceptionGroup)) as broken:
        check(type("Mutant", (Leases,), MUTANTS[mutant]), runs=500)
    assert broken.group_contains(Broken) if isinstance(broken.value, ExceptionGroup) else True
