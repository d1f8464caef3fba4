"""A world of machines with leases, in virtual time: each has clocks of its own, and everything that can go wrong does.

A machine runs three threads: one renews, one watches and moves slots, one sends whatever it may. While a call of one of
them is on its way, all others go on; so anything can happen between a look and the put that follows from it.
"""

import contextlib
import heapq
import random
from collections.abc import Callable, Iterator
from itertools import count

from pipeline.leases.lease import Lease
from pipeline.leases.slots import Slots
from pipeline.leases.store import Entry, StoreUnknown, body_of

SENDS_EVERY_S = 0.2
LOG_S = 1.02  # by a machine's own clock, which may be wrong by a hundredth
FOR_EVER = float("inf")
STEPS = {"renew": 2.5, "look": 2.5, "send": SENDS_EVERY_S}
NAMES = random.Random()  # begins anew with each world


def token_hex(size: int) -> str:
    """Return a name in the place of `secrets.token_hex`, so that a world that is made again goes the same way."""
    return f"{NAMES.getrandbits(8 * size):0{2 * size}x}"


class Broken(AssertionError):
    """A promise that was broken."""


class Machine:
    """A machine: its clocks, what it suffers, its lease and its slots."""

    def __init__(self, world: "World", name: int, rate: float) -> None:
        self.world = world
        self.name = name
        self.rate = rate
        self.asleep_s = 0.0  # by which the steady clock stood still
        self.frozen_until = self.cut_until = self.lossy_until = 0.0
        self.stale_s = {"w": 0.0, "q": 0.0}
        self.slow: dict[
            str, tuple[float, float]
        ] = {}  # thread -> seconds before and after the store does its next call
        self.busy: set[str] = set()
        self.log: list[float] = []
        self.lives = 0
        self.begin()

    def begin(self) -> None:
        """Begin a process, as if the one before had been killed."""
        world = self.world
        self.lives += 1
        self.busy = set()
        about = {"host": str(self.name), "pid": self.lives}
        self.lease = world.make_lease(_View(self), "acme", clock=self.steady, wall=self.wall, **about)
        self.lease._kept = world.kept
        self.slots = world.make_slots(self.lease, "search", world.qps)
        self.slots.hungry = True
        self.lease.hungry = frozenset({self.slots.word})
        self.lease.after_looks(self._move)
        self.log = []
        for thread in STEPS:
            world.plan(world.now, self, thread)

    def _move(self) -> None:
        try:
            self.slots.step(self.lease.store.newest("q/acme"))
        except StoreUnknown:
            return

    def steady(self) -> float:
        return 1000.0 * self.name + self.rate * (self.world.now - self.asleep_s)

    def wall(self) -> float:
        return 1e9 + self.world.now

    @property
    def frozen(self) -> bool:
        return self.world.now < self.frozen_until

    # --- what it suffers ---

    def freeze(self, seconds: float) -> None:
        """Take no step for so long, as under SIGSTOP."""
        self.frozen_until = max(self.frozen_until, self.world.now + seconds)

    def pause(self, seconds: float) -> None:
        """Stand still with the steady clock, as a virtual machine that its host pauses."""
        self.freeze(seconds)
        self.asleep_s += seconds

    def cut(self, seconds: float) -> None:
        """Reach no store for so long."""
        self.cut_until = max(self.cut_until, self.world.now + seconds)

    def lose(self, seconds: float) -> None:
        """Get no answer for so long, though the store does what it is asked to."""
        self.lossy_until = max(self.lossy_until, self.world.now + seconds)

    def eat(self, hungry: bool) -> None:
        """Have calls to make, or none."""
        self.slots.hungry = hungry
        self.lease.hungry = frozenset({self.slots.word} if hungry else ())

    def send(self) -> None:
        """Send all that the slots allow, as a limiter does that keeps a log of the last second."""
        now = self.steady()
        self.log = [at for at in self.log if at > now - LOG_S]
        while len(self.log) + 1 <= self.slots.per_second():
            self.log.append(now)
            self.world.sent(self)


class _View:
    """The store as one machine reaches it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._world = machine.world
        self._life = machine.lives

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        before, after = self._machine.slow.pop(self._world.thread, (0.0, 0.0))
        self._away(before)
        self._refuse_if_cut()
        new = self._world.put(series, number, value)
        self._away(after)
        if self._world.now < self._machine.lossy_until:
            raise StoreUnknown("lost")
        return new

    def read(self, series: str, number: int) -> bytes | None:
        self._refuse_if_cut()
        if self._world.now < self._machine.lossy_until:
            raise StoreUnknown("lost")
        found = self._world.entries.get(series, {}).get(number)
        return found.value if found is not None and found.dropped_at == FOR_EVER else None

    def newest(self, prefix: str) -> dict[str, Entry]:
        self._refuse_if_cut()
        at = self._world.now - self._machine.stale_s[prefix[0]]
        return self._world.newest(prefix, at)

    def drop(self, series: str, number: int) -> None:
        self._refuse_if_cut()
        found = self._world.entries.get(series, {}).get(number)
        if found is not None:
            found.dropped_at = min(found.dropped_at, self._world.now)

    def _refuse_if_cut(self) -> None:
        machine, world = self._machine, self._world
        if machine.lives != self._life:
            raise _Killed
        if world.now < max(machine.cut_until, world.out_until):
            raise StoreUnknown("cut")

    def _away(self, seconds: float) -> None:
        """Let the world go on while this call is under way, and for as long as its machine is frozen."""
        world, machine, thread = self._world, self._machine, self._world.thread
        while seconds > 0:
            world.go_on(seconds)
            seconds = machine.frozen_until - world.now
        world.thread = thread
        if machine.lives != self._life:
            raise _Killed


class _Killed(BaseException):
    """The end of a thread whose process was killed."""


class _Put:
    def __init__(self, value: bytes, at: float) -> None:
        self.value = value
        self.put_at = at
        self.dropped_at = FOR_EVER


class World:
    """The machines, the store and the vendor, who counts. `now` is real time."""

    def __init__(
        self,
        *,
        qps: float = 4,
        kept: int = 72,
        make_lease: Callable[..., Lease] = Lease,
        make_slots: Callable[..., Slots] = Slots,
    ) -> None:
        self.qps, self.kept = qps, kept
        self.make_lease, self.make_slots = make_lease, make_slots
        NAMES.seed(0)
        self.now = 0.0
        self.thread = ""
        self.machines: list[Machine] = []
        self.entries: dict[str, dict[int, _Put]] = {}
        self.calls: list[float] = []  # of the last second
        self.total = 0
        self.last_call: dict[str, float] = {}  # by incarnation
        self.died_at: dict[str, float] = {}
        self.out_until = 0.0
        self.outage = (0.0, 0.0)  # the last one, from and to
        self._plan: list[tuple[float, int, Machine, str | Callable[[], None], int]] = []
        self._numbers: Iterator[int] = count()

    def add(self, rate: float) -> Machine:
        machine = Machine(self, len(self.machines), rate)
        self.machines.append(machine)
        return machine

    # --- time ---

    def plan(self, at: float, machine: Machine, thread: str | Callable[[], None]) -> None:
        """Let a machine's thread take its next step at this time, or something else happen to it."""
        heapq.heappush(self._plan, (at, next(self._numbers), machine, thread, machine.lives))

    def go_on(self, seconds: float) -> None:
        """Let everything happen that happens in so many seconds."""
        end = self.now + seconds
        while self._plan and self._plan[0][0] <= end:
            at, _, machine, thread, life = heapq.heappop(self._plan)
            self.now = max(self.now, at)
            if not isinstance(thread, str):
                thread()
            elif life == machine.lives:
                self._step(machine, thread)
        self.now = max(self.now, end)

    def _step(self, machine: Machine, thread: str) -> None:
        if machine.frozen:
            self.plan(machine.frozen_until, machine, thread)
            return
        if thread in machine.busy:
            return  # it plans its next step when the call that it waits for has come back
        before, self.thread = self.thread, thread
        machine.busy.add(thread)
        life = machine.lives
        with contextlib.suppress(_Killed):
            machine.send() if thread == "send" else getattr(machine.lease, thread)()
        self.thread = before
        if life == machine.lives:
            machine.busy.discard(thread)
            self.plan(self.now + STEPS[thread] / machine.rate, machine, thread)

    def break_store(self, seconds: float) -> None:
        """Let the store be out of everybody's reach for so long."""
        self.out_until = self.now + seconds
        self.outage = self.now, self.out_until

    # --- the store ---

    def put(self, series: str, number: int, value: bytes) -> bool:
        there = self.entries.setdefault(series, {})
        if number in there and there[number].dropped_at == FOR_EVER:
            return False
        newest = max(there, default=0)
        there[number] = _Put(value, self.now)
        if series.startswith("w/") and "dead" in body_of(value) and number > newest:
            self._died(series.removeprefix("w/"), renewed_at=there[newest].put_at)
        return True

    def newest(self, prefix: str, at: float) -> dict[str, Entry]:
        found = {}
        for series, numbers in self.entries.items():
            if series.startswith(f"{prefix}/"):
                for number in sorted(numbers, reverse=True):
                    if (put := numbers[number]).put_at <= at < put.dropped_at:
                        found[series] = Entry(number, put.value)
                        break
        return found

    # --- the promises ---

    def sent(self, machine: Machine) -> None:
        """Judge a call that goes now."""
        name = machine.lease.incarnation
        self.total += 1
        self.calls = [at for at in self.calls if at > self.now - 1.0]
        self.calls.append(self.now)
        if len(self.calls) > self.qps:
            raise Broken(f"T1: {len(self.calls)} calls in a second")
        if name in self.died_at:
            raise Broken("L2: a call after its sender's death")
        self.last_call[name] = self.now
        self._judge_holders()

    def _died(self, name: str, *, renewed_at: float) -> None:
        self.died_at[name] = self.now
        if self.last_call.get(name, -FOR_EVER) > self.now - 1.0:
            raise Broken(f"L2: a call {self.now - self.last_call[name]:.2f} s before its sender's death")
        began, ended = self.outage
        up = self.now - ended + max(0.0, began - renewed_at)  # for so long a renewal could have come and been seen
        if renewed_at <= ended and ended - began > 8 and up < 0.9 * 16:
            raise Broken("an outage of the store killed somebody")

    def _judge_holders(self) -> None:
        using = [slot for one in self.machines if one.slots.per_second() for slot in one.slots.held]
        if len(using) != len(set(using)):
            raise Broken("two machines hold one slot")
