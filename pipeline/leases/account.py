"""The account as one process has it, where several machines share it: the calls per second that are its part now."""

import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from pipeline.leases.lease import END_S, REST_S, Lease
from pipeline.leases.slots import ROOM, Slots
from pipeline.leases.store import StoreUnknown, name_of
from pipeline.leases.turns import within
from pipeline.system.wording import duration, listed

TOLD_S = 4.0  # others need a look to give back what is ours, and we another one to see it


class SharedAccount:
    """The account of a lease. In its context it takes part; at its end it gives back all that it holds.

    `qps` has the calls per second of the whole account for each kind of call.
    """

    def __init__(self, lease: Lease, qps: Mapping[str, float]) -> None:
        self.lease = lease
        self.slots = {kind: Slots(lease, name_of(kind), limit) for kind, limit in qps.items()}
        self._waits_since: float | None = None  # for a first slot
        self._told = False  # that it waits
        self._one_step = threading.Lock()  # the lease's thread steps, and another one gives back at the end

    def __repr__(self) -> str:
        return (
            f"SharedAccount({self.lease.scope!r}, { ({kind: len(slots.held) for kind, slots in self.slots.items()}) })"
        )

    def __enter__(self) -> Self:
        self.lease.after_looks(self._step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lease.without(self._step)
        within(END_S, self._give_back)
        self.lease.set_hungry(frozenset())

    def per_second(self, kind: str) -> float:
        """Return the calls of a kind that may be sent in a second now; 0 when none may. Ask at every permit."""
        return self.slots[kind].per_second()

    def pace(self, kind: str) -> Callable[[], float]:
        """Return the function that `per_second` calls, for a limiter that asks it at every permit."""
        return self.slots[kind].per_second

    def hungry(self, kinds: Iterable[str]) -> None:
        """Say of which kinds there are calls to make, from now on. What is not named is given back soon."""
        wanted = set(kinds)
        changed = False
        for kind, slots in self.slots.items():
            changed = changed or slots.hungry != (kind in wanted)
            slots.hungry = kind in wanted
        if changed:
            self.lease.set_hungry(frozenset(slots.word for slots in self.slots.values() if slots.hungry))
            self.lease.look_soon()

    def others(self, kind: str) -> int:
        """Return how many other processes could use calls of a kind, as they said last."""
        word, us = self.slots[kind].word, self.lease.incarnation
        return sum(word in member.hungry for name, member in self.lease.members.living.items() if name != us)

    def _give_back(self) -> None:
        with self._one_step:
            for slots in self.slots.values():
                slots.give_back_all()

    def _step(self) -> None:
        try:
            found = self.lease.store.newest(f"{ROOM}/{self.lease.scope}")
        except StoreUnknown:  # what is ours stays ours
            return
        with self._one_step:
            again = [slots.step(found) for slots in self.slots.values()]
        if any(again):
            self.lease.look_soon()
        self._tell_of_waiting()

    def _tell_of_waiting(self) -> None:
        """Say once for whom we wait, where nothing is ours for seconds: it would look as if the run hung."""
        lacking = [slots for slots in self.slots.values() if slots.hungry and not slots.held]
        now = self.lease.clock()
        if not lacking or self._told:
            self._waits_since = None
            return
        self._waits_since = self._waits_since or now
        living, names = self.lease.members.living, set().union(*(slots.holders() for slots in lacking))
        if names and now - self._waits_since >= TOLD_S:
            self._told = True
            who = sorted(f"{living[name].host} ({living[name].pid})" for name in names if name in living)
            most = self.lease.takeover_s + self.lease.renew_s + REST_S
            free = f"of one that was killed they are free within {duration(most)}"
            self.lease.say(f"waits for the account's calls per second, which others hold: {listed(who)}; {free}")
