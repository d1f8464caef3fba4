"""The slots of one account for one kind of call: whoever holds one may send its calls per second.

The account is the lease's, so all holders are in its scope, and each lease looks at those that hold what it waits for.

Entry n of a slot says who holds it, or that nobody does. A slot is given back first to the limiter, which asks at every
permit, then to the store; and it may be used W after its claim. So its new holder's first call comes more than a second
after the last one of the holder before, whether that one gave it back or died.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.leases.lease import REST_S, Lease
from pipeline.leases.shares import next_of, share_of, slot_calls, turn_s
from pipeline.leases.store import (
    Entry,
    StoreUnknown,
    body_of,
    drop_before,
    put_after,
    put_mine,
    put_value,
    written,
)

ROOM = "q"  # of the series of slots
_KEPT = 64  # entries of a slot


class _Held(NamedTuple):
    number: int  # of the entry that says so
    usable_at: float


@dataclass(slots=True)
class _View:
    """The newest entry of one slot that we saw, and when we first did."""

    entry: Entry
    first_at: float
    holder: str | None
    kept_for: str | None  # who is to have it next

    @classmethod
    def of(cls, entry: Entry, now: float) -> "_View":
        body = body_of(entry.value)
        holder, kept_for = body.get("worker"), body.get("next")
        return cls(
            entry,
            now,
            holder if isinstance(holder, str) else None,
            kept_for if isinstance(kept_for, str) else None,
        )


class Slots:
    """The slots that this process holds. `step` claims and gives back, in the lease's own thread.

    hungry  whether this process has calls of this kind to make: others get all slots while it has none
    """

    def __init__(self, lease: Lease, kind: str, qps: float) -> None:
        self.word = f"{lease.scope}/{kind}"  # by which others know that we are hungry
        self.hungry = False
        self._series = f"{ROOM}/{self.word}"
        self._lease = lease
        self._calls = slot_calls(qps)
        self._rest_s = max(REST_S, 1 / qps + REST_S - 1)
        self._incarnation = ""  # whose slots these are
        self._held: dict[int, _Held] = {}
        self._leaving: dict[
            int, tuple[int, bytes]
        ] = {}  # entries that give a slot back and may not be in the store yet
        self._views: dict[int, _View] = {}
        self._usable: tuple[str, float, float] = ("", 0.0, 0.0)  # incarnation, when all can be used, their calls

    def per_second(self) -> float:
        """Return the calls per second that may be sent now; 0 when the lease is over. Ask at every permit."""
        incarnation, all_at, calls = self._usable
        lease = self._lease
        now = lease.clock()
        if not calls or not lease.allowed_at(now) or incarnation != lease.incarnation:
            return 0.0
        if now >= all_at:
            return calls
        return sum(self._calls[slot] for slot, held in list(self._held.items()) if held.usable_at <= now)

    @property
    def held(self) -> frozenset[int]:
        """The slots that are ours, whether they can be used already or not."""
        return frozenset(self._held)

    def holders(self) -> set[str]:
        """Return the incarnations that hold slots of this kind, as we saw last; those that are dead do not."""
        return {view.holder for view in list(self._views.values()) if view.holder} - self._lease.members.dead

    def step(self, found: Mapping[str, Entry]) -> bool:
        """Give back what is above our share, and claim what we lack, after a look at the store; return whether to look
        again soon."""
        lease = self._lease
        if not lease.allowed():
            return False
        if self._incarnation != lease.incarnation:  # those of the one before are free: it is dead
            self._incarnation = lease.incarnation
            self._held, self._leaving = {}, {}
            self._publish()
        self._see(found)
        try:
            return self._move()
        except StoreUnknown:
            return True

    def give_back_all(self) -> None:
        """Give back every slot, before the process ends in good order."""
        self.hungry = False
        try:
            self._leave([*self._held], self._hungry())
        except StoreUnknown:  # they are free when we are known to have ended
            return

    def _move(self) -> bool:
        self._finish_leaving()
        hungry = self._hungry()
        share = share_of(self._incarnation, hungry, len(self._calls)) if self._incarnation in hungry else 0
        latest_first = sorted(self._held, key=lambda slot: self._held[slot].usable_at, reverse=True)
        surplus = latest_first[: max(0, len(latest_first) - share)]
        self._leave(surplus or self._due(hungry), hungry)
        return bool(len(self._held) < share and self._claim(share - len(self._held), hungry))

    # --- what is seen ---

    def _see(self, found: Mapping[str, Entry]) -> None:
        now = self._lease.clock()
        for slot in range(len(self._calls)):
            entry = found.get(f"{self._series}/{slot}")
            if entry is None or ((known := self._views.get(slot)) and known.entry.number >= entry.number):
                continue
            self._views[slot] = view = _View.of(entry, now)
            held = self._held.get(slot)
            if view.holder == self._incarnation and held is None and slot not in self._leaving:
                self._held[slot] = _Held(entry.number, now + self._rest_s)  # a claim whose answer was lost
            elif held is not None and entry.number > held.number:
                del self._held[slot]  # our death is in the store, and we are about to see it
        self._publish()

    def _hungry(self) -> list[str]:
        """Return the workers that could use slots, in order; ourselves as we are now, others as they said last."""
        living = self._lease.members.living
        others = {name for name, member in living.items() if self.word in member.hungry} - {self._incarnation}
        return sorted(others | ({self._incarnation} if self.hungry else set()))

    def _waiting(self, hungry: list[str]) -> list[str]:
        holders = {view.holder for view in self._views.values()}
        return [name for name in hungry if name not in holders]

    # --- giving back ---

    def _due(self, hungry: list[str]) -> list[int]:
        """Return the slot whose turn with us is over, where others wait."""
        if self._incarnation not in hungry or len(hungry) <= len(self._calls):
            return []
        turn = turn_s(len(hungry), len(self._calls), self._lease.renew_s)
        now = self._lease.clock()
        return [slot for slot, held in self._held.items() if now - held.usable_at >= turn and self._waiting(hungry)][:1]

    def _leave(self, slots: list[int], hungry: list[str]) -> None:
        for slot in slots:
            then = next_of(self._incarnation, self._waiting(hungry)) if len(hungry) > len(self._calls) else None
            number = self._held.pop(slot).number + 1
            self._leaving[slot] = number, written({"worker": None, **({"next": then} if then else {})})
        self._publish()  # out of the limiter's hands first
        self._finish_leaving()

    def _finish_leaving(self) -> None:
        for slot, (number, value) in list(self._leaving.items()):
            if put_value(self._lease.store, f"{self._series}/{slot}", number, value):
                self._views[slot] = _View.of(Entry(number, value), self._lease.clock())
            del self._leaving[slot]

    # --- claiming ---

    def _claim(self, wanted: int, hungry: list[str]) -> bool:
        """Claim free slots; return whether one was lost to another, so that it is worth to look again."""
        lost = False
        slots = len(self._calls)
        first = hungry.index(self._incarnation) * slots // len(hungry)  # everybody begins elsewhere
        for slot in sorted(range(slots), key=lambda slot: (not self._kept_for_us(slot), (slot - first) % slots)):
            if wanted and slot not in self._held and slot not in self._leaving and self._is_free(slot, hungry):
                won = self._claim_one(slot)
                wanted -= won
                lost = lost or not won
        self._publish()
        return lost

    def _kept_for_us(self, slot: int) -> bool:
        view = self._views.get(slot)
        return view is not None and view.kept_for == self._incarnation

    def _is_free(self, slot: int, hungry: list[str]) -> bool:
        view = self._views.get(slot)
        if view is None or view.holder in self._lease.members.dead:
            return True
        if view.holder is not None:
            return False
        kept = view.kept_for in hungry and view.kept_for != self._incarnation
        return not kept or self._lease.clock() - view.first_at > 3 * self._lease.renew_s

    def _claim_one(self, slot: int) -> bool:
        """Claim a slot; return whether it is ours. A series begins with an entry of nobody's: see `put_after`."""
        series, store = f"{self._series}/{slot}", self._lease.store
        view = self._views.get(slot)
        if view is None:
            put_mine(store, series, 1, {"worker": None})
            return False
        if not put_after(store, series, view.entry, {"worker": self._incarnation}):
            return False
        number = view.entry.number + 1
        self._held[slot] = _Held(number, self._lease.clock() + self._rest_s)
        if number > _KEPT:
            drop_before(store, series, number - _KEPT)
        return True

    def _publish(self) -> None:
        """Let `per_second` know of the slots that are ours now."""
        all_at = max((held.usable_at for held in self._held.values()), default=0.0)
        self._usable = self._incarnation, all_at, sum(self._calls[slot] for slot in self._held)
