"""Workers in virtual time: their leases, slots, claims, budgets and stops are real, their pictures are numbers.

A worker claims shards, sends what its slots allow and gives shards back, as `pipeline work` does; what a call answers,
what a journal holds and what is drawn on a page is not simulated, only how long it lasts.
"""

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import msgspec

from pipeline.cluster.claims import Claim, Claims, GivenBack, Standing, free, owners
from pipeline.cluster.split import Split
from pipeline.leases.account import SharedAccount
from pipeline.leases.lease import Lease
from pipeline.leases.money import SharedBudget
from pipeline.leases.stops import Stops
from pipeline.leases.store import StoreUnknown, body_of
from tests.support.lease_world import NAMES, token_hex
from tests.support.splits import split_of
from tests.support.timed_store import Place, Server, StoreKind, TimedStore
from tests.support.virtual_threads import Sleeper, VirtualLock, VirtualThreads, VirtualTurns

KINDS = ("search", "create")
EPOCH = 1e9  # the wall time at which a simulation begins
_MOST = 1 << 40  # calls of one draw


@dataclass(frozen=True)
class Case:
    """What is simulated.

    answer_s   the time of an answer of the vendor
    between_s  from the last call of a shard to the first of the next
    start_s    from the start of a process to its lease
    copy_per_s items of an epoch that a takeover copies in a second
    tick_s     how often a worker counts what it has sent
    """

    store: StoreKind
    accounts: int = 1
    qps: float = 5
    workers: int = 1  # of each account
    machines: int = 1
    shard_items: int = 10_000
    shards: int = 64  # of each account
    answer_s: float = 5.0
    between_s: float = 1.0
    start_s: float = 3.0
    copy_per_s: float = 10_000
    tick_s: float = 0.5


@dataclass
class Account:
    """One account and its job: what is left of its shards, and what was sent."""

    name: str
    split: Split
    left: dict[str, dict[int, float]]  # by kind and shard
    workers: list["Worker"] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)


class Exceeded(AssertionError):
    """More calls per second than an account has."""


class Worker:
    """One process of one machine."""

    def __init__(self, world: "World", account: Account, machine: int) -> None:
        self.world, self.account, self.machine = world, account, machine
        self.asked = False
        self.lease: Lease | None = None
        self._turns: list[VirtualTurns] = []
        self._main: Sleeper | None = None

    @property
    def alive(self) -> bool:
        return self._main is not None and not self._main.ended

    def begin(self) -> None:
        """Start its process."""
        self.asked = False
        self._main = self.world.threads.start(self._live)

    def kill(self) -> None:
        """End it at once; what it was sending is in doubt."""
        if self.lease is not None:
            self.world.in_doubt += self.share.per_second("create") * self.world.case.answer_s
        for one in (self._main, *(turns.sleeper for turns in self._turns)):
            if one is not None:
                self.world.threads.kill(one)
        self._count_turns()

    def per_second(self, kind: str) -> float:
        """Return the calls that it may send now."""
        return self.share.per_second(kind) if self.alive and self.lease is not None else 0.0

    # --- the loop of `cluster/work.py` ---

    def _live(self) -> None:
        world, case = self.world, self.world.case
        world.threads.sleep(case.start_s * (0.5 + world.server.chance.random()))
        store = TimedStore(world.server, world.place)
        clocks = {"clock": world.threads.clock, "wall": world.wall}
        self.lease = lease = Lease(store, self.account.name, **clocks, host=str(self.machine), pid=1)
        lease._one_renewal = VirtualLock(world.threads)  # type: ignore[assignment]
        every, soon = lease.renew_s, lease.renew_s / 5
        self._turns = [
            VirtualTurns(world.threads, step, every_s=every, soon_s=soon) for step in (lease.renew, lease.look)
        ]
        lease._turns = self._turns  # type: ignore[assignment]
        self.share = SharedAccount(lease, dict.fromkeys(KINDS, case.qps))
        self.share._one_step = VirtualLock(world.threads)  # type: ignore[assignment]
        self._budget = SharedBudget(store, self.account.name, "job", dict.fromkeys(KINDS))
        self._drawn: Counter[str] = Counter()
        self._claims = Claims(store, self.account.split)
        for stops in (Stops(store, self.account.name), Stops(store, self.account.name, "job")):
            stops._one_step = VirtualLock(world.threads)  # type: ignore[assignment]
            lease.after_looks(stops.look)
        with_lease = lease.__enter__()  # no `with`: who is killed says no good-bye
        self.share.__enter__()
        self.share.hungry(KINDS)
        self._work(with_lease)
        self.share.__exit__(None, None, None)
        lease.__exit__(None, None, None)
        self._count_turns()
        self.lease = None

    def _work(self, lease: Lease) -> None:
        while not self.asked:
            shards = self._look(lease)
            claim = None if shards is None else self._claim(lease, shards)
            if claim is not None:
                self._own(lease, claim)
            elif shards is not None and all(one.state is GivenBack.DONE for one in shards):
                return
            else:
                self.share.hungry(())
                self.world.threads.sleep(lease.renew_s / 2)

    def _look(self, lease: Lease) -> list[Standing] | None:
        if not lease.allowed():
            return None
        try:
            return self._claims.look()
        except StoreUnknown:
            return None

    def _claim(self, lease: Lease, shards: list[Standing]) -> Claim | None:
        for shard in free(shards, lease.dead(owners(shards))):
            try:
                if (claim := self._claims.claim(shard, lease.incarnation)) is not None:
                    return claim
            except StoreUnknown:
                continue
        return None

    def _own(self, lease: Lease, claim: Claim) -> None:
        world, owner = self.world, lease.incarnation
        self.share.hungry(KINDS)
        left = {kind: self.account.left[kind] for kind in KINDS}
        if claim.base or claim.tried:
            done = world.case.shard_items - left["create"][claim.shard]
            world.threads.sleep(done / world.case.copy_per_s)
        before = world.threads.now
        while lease.incarnation == owner and not self.asked and left["create"][claim.shard] > 0:
            world.threads.sleep(world.case.tick_s)
            now = world.threads.now
            self._send(claim.shard, now - before)
            world.unleased_s += 0.0 if lease.allowed() else now - before
            before = now
        state = GivenBack.DONE if left["create"][claim.shard] <= 0 else GivenBack.OPEN
        world.threads.sleep(world.case.between_s + (world.case.answer_s if self.asked else 0.0))
        if lease.incarnation == owner:
            self._give_back(claim, state)

    def _give_back(self, claim: Claim, state: GivenBack) -> None:
        for _ in range(3):
            try:
                self._claims.give_back(claim, state)
                return
            except StoreUnknown:
                self.world.threads.sleep(1.25)

    def _send(self, shard: int, seconds: float) -> None:
        """Send what may be sent in so many seconds: searches, and creates for what is searched."""
        left, world = self.account.left, self.world
        world.judge(self.account)
        for kind in KINDS:
            most = left[kind][shard] - (left["search"][shard] if kind == "create" else 0.0)
            calls = min(most, self.share.per_second(kind) * seconds)
            left[kind][shard] -= calls
            self.account.sent[kind] += calls
            self._drawn[kind] -= calls
            if self._drawn[kind] < 0:
                self._drawn[kind] += self._budget.draw(kind, 1, _MOST) or 0

    def forget_turns(self) -> None:
        """Count the time of renewals and looks anew."""
        for turns in self._turns:
            turns.lasted.clear()

    def _count_turns(self) -> None:
        for name, turns in zip(("renew", "look"), self._turns, strict=False):
            self.world.lasted[name] += turns.lasted
        self._turns = []


class World:
    """All machines, the server of the store, and what is measured."""

    def __init__(self, case: Case, threads: VirtualThreads) -> None:
        self.case, self.threads = case, threads
        self.server = Server(threads, case.store)
        self.place = Place()
        split = split_of(*[case.shard_items] * case.shards)
        self.accounts = [
            Account(
                f"account-{number}",
                msgspec.structs.replace(split, id=f"job-{number}"),
                {kind: dict.fromkeys(range(case.shards), float(case.shard_items)) for kind in KINDS},
            )
            for number in range(case.accounts)
        ]
        self.in_doubt = self.unleased_s = 0.0
        self.lasted: dict[str, list[float]] = {"renew": [], "look": []}
        self.log: list[tuple[float, float]] = []  # each second: the pictures done until then
        self.workers = [
            Worker(self, account, (number * case.workers + worker) % case.machines)
            for number, account in enumerate(self.accounts)
            for worker in range(case.workers)
        ]
        for worker in self.workers:
            worker.account.workers.append(worker)

    def wall(self) -> float:
        return EPOCH + self.threads.now

    def of_machine(self, machine: int) -> list[Worker]:
        """Return the workers of a machine."""
        return [worker for worker in self.workers if worker.machine == machine]

    def begin(self) -> None:
        for worker in self.workers:
            worker.begin()

    def go_on(self, seconds: float) -> None:
        """Let so many seconds pass, and note what is done in each."""
        until = self.threads.now + seconds
        while self.threads.now < until:
            self.threads.sleep(min(1.0, until - self.threads.now))
            self.log.append((self.threads.now, self.done()))

    def done(self) -> float:
        """Return how many pictures have come to their end, by the calls of which there were fewer."""
        return sum(min(account.sent[kind] for kind in KINDS) for account in self.accounts)

    def judge(self, account: Account) -> None:
        """Refuse more calls per second than the account has."""
        for kind in KINDS:
            if (calls := sum(one.per_second(kind) for one in account.workers)) > self.case.qps:
                raise Exceeded(f"{calls} calls per second of {self.case.qps}")


@contextmanager
def simulated(case: Case) -> Iterator[World]:
    """Make a world, whose threads end with the block."""
    NAMES.seed(0)
    with (
        mock.patch("secrets.token_hex", token_hex),
        mock.patch("pipeline.leases.members.body_of", functools.lru_cache(1 << 16)(body_of)),
        mock.patch("pipeline.leases.lease.within", lambda _, step: step()),
        mock.patch("pipeline.leases.account.within", lambda _, step: step()),
        VirtualThreads() as threads,
    ):
        world = World(case, threads)
        world.begin()
        yield world
