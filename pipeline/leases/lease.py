"""The lease of this process: it may send while its own clock says that nobody can have declared it dead yet.

An incarnation u puts numbered renewals. S is u's steady clock before the first try to put a renewal; once that is known
to be in the store, u may send until S + L. Whoever sees the same renewal as the newest for T of its own clock puts a
death under the next number, which is u's next renewal or its death, never both. Clocks may be wrong by r, and a machine
may be paused unnoticed for A: with T(1 - r) >= L(1 + r) + W + A nothing is sent in the W seconds before a death. After
its death a process begins a new incarnation.

Incarnations live in scopes, an account's each, and are named `scope/incarnation`. A process looks at its own scope, and
at those of whomever it has asked about: what it waits for is held by one whose death it sees, or declares.
"""

import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self

from pipeline.leases.members import ROOM, Members, scope_of
from pipeline.leases.store import Entry, Store, StoreUnknown, name_of, put_after, put_mine, put_value, written
from pipeline.leases.turns import RepeatingThread, within
from pipeline.system import clock as clocks
from pipeline.version import __version__

LEASE_S = 10.0  # L
WINDOW_S = 1.0  # the vendor counts calls in any second
REST_S = WINDOW_S + 0.1  # W: its margin covers clocks that are wrong by a hundredth
AHEAD_S = 1.0  # A: in the longest pause that goes unnoticed the steady clock stands still, and the wall clock goes on
AHEAD_OF_LEASE = 0.1  # A is at most this part of a lease
KEPT_S = 180.0  # renewals younger than this are never dropped: the caches of network file systems are a minute old
FEW = 8  # up to so many processes look at each other twice as often: deaths are known sooner, for few more requests
DROPPED_AT_ONCE = 20  # renewals of the dead, at each look
END_S = 5.0  # the longest wait for a thread that hangs in the store


def silence_s(lease_s: float) -> float:
    """Return T, after which an incarnation without a new renewal is declared dead: 16 s for a lease of 10 s."""
    return 1.5 * lease_s + 1.0


class Lease:
    """The lease; one incarnation of this process after the other. In its context its threads renew and watch.

    scope        the name of the account for which it sends, in the store
    scopes       those it looks at, its own first
    incarnation  the full name of the one that lives, or is about to
    members      the others and ourselves, with what each said
    hungry       the words of what we could use, as the others are told with the next renewal
    broken       an error that ended a thread for good; None most often

    `say` gets a line when the store is out of reach for as long as a lease, one when it is back, and one for a death of
    ours; `on_lost` the name of an incarnation of ours that was declared dead, `on_renewed` that of each that begins.
    All are called from our threads.
    """

    takeover_s: float  # T

    def __init__(
        self,
        store: Store,
        account: str,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], float] = clocks.steady,
        wall: Callable[[], float] = time.time,
        host: str = "",
        pid: int = 0,
    ) -> None:
        self.store = store
        self.scope = name_of(account)
        self.scopes: tuple[str, ...] = (self.scope,)
        self.lease_s = lease_s
        self.renew_s = lease_s / 4
        self.takeover_s = silence_s(lease_s)
        self.clock = clock
        self.members = Members(silence_s=self.takeover_s, blind_s=2 * self.renew_s)
        self.incarnation = ""
        self.broken: Exception | None = None
        self.say: Callable[[str], None] = _nothing
        self.on_lost: Callable[[str], None] = _nothing
        self.on_renewed: Callable[[str], None] = _nothing
        self._after_looks: list[Callable[[], None]] = []
        self._left_over: deque[tuple[str, int]] = deque()  # renewals of the dead
        self._wall = wall
        self._about = {"host": host or socket.gethostname(), "pid": pid or os.getpid(), "version": __version__}
        self.hungry: frozenset[str] = frozenset()
        self._trying: tuple[bytes, float, float] | None = None  # a renewal, the steady clock before it, the wall's lead
        self._ended = False
        self._term = (
            float("-inf"),
            0.0,
        )  # the deadline, and by how much wall time is ahead of the steady clock at most
        self._kept = max(16, int(KEPT_S / self.renew_s))
        self._silent = False  # `say` was told that the store is out of reach
        self._one_renewal = threading.Lock()
        self._one_scope = threading.Lock()
        self._begin()
        self._turns = [
            RepeatingThread(f"lease-{name}", step, failed=self._fail, every_s=self.renew_s, soon_s=self.renew_s / 5)
            for name, step in (("renew", self.renew), ("watch", self.look))
        ]

    def __repr__(self) -> str:
        return f"Lease({self.incarnation!r}, renewals={self._number}, allowed={self.allowed()})"

    def __enter__(self) -> Self:
        for turns in self._turns:
            turns.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bye()

    def allowed(self) -> bool:
        """Return whether a call may be sent now. Ask right before its first byte, with no wait in between."""
        return self.allowed_at(self.clock())

    def allowed_at(self, now: float) -> bool:
        """Return what `allowed` does, for a caller that has just read `clock` itself."""
        until, ahead = self._term
        return now < until and self._wall() - now <= ahead

    def set_hungry(self, words: frozenset[str]) -> None:
        """Tell the others soon what we could use."""
        if words != self.hungry:
            self.hungry = words
            self._turns[0].hurry()

    def dead(self, names: Collection[str]) -> frozenset[str]:
        """Return which of some incarnations are known to be dead, and look at the scopes of all from now on.

        So whoever asks again and again hears of each death in the end, wherever it happens. Several threads may ask.
        """
        if not {scope for name in names if (scope := scope_of(name))} <= {*self.scopes}:
            with self._one_scope:
                self.scopes = (*self.scopes, *sorted({scope_of(name) for name in names} - {"", *self.scopes}))
            self.look_soon()
        return self.members.dead & frozenset(names)

    def after_looks(self, step: Callable[[], None]) -> None:
        """Take a step in the watching thread after each look at the others."""
        self._after_looks = [*self._after_looks, step]
        self.look_soon()

    def without(self, step: Callable[[], None]) -> None:
        """Take this step no more after looks; one that is under way may still go on."""
        self._after_looks = [one for one in self._after_looks if one != step]

    def look_soon(self) -> None:
        """Look at the others soon, and take the steps that follow."""
        self._turns[1].hurry()

    def renew(self) -> None:
        """Put the next renewal, or the one again whose answer was lost, from whose first try its lease counts."""
        with self._one_renewal:
            if self._ended:
                return
            if self._trying is None:
                begun = self.clock()
                self._trying = self._renewal(), begun, self._wall() - begun
            value, begun, ahead = self._trying
            try:
                ours = put_value(self.store, self._series, self._number + 1, value)
            except StoreUnknown as error:
                self._tell_silence(error)
                return
            if not ours:
                self._lose()
                return
            self._number += 1
            self._trying = None
            self._term = begun + self.lease_s, ahead + min(AHEAD_S, AHEAD_OF_LEASE * self.lease_s)
            self._answered()
        if self.clock() - begun > self.renew_s:  # the try lasted long: most of its lease is over
            self._turns[0].hurry()

    def look(self) -> float | None:
        """Look at all incarnations of our scopes, and declare dead whose silence has lasted too long.

        Return in how many seconds to look again at the latest: when the next silence will have lasted too long, and
        soon among a few, since silence counts from when a renewal is seen. None where nobody is known to live.
        """
        try:
            found: dict[str, Entry] = {}
            for scope in self.scopes:
                found |= self.store.newest(f"{ROOM}/{scope}")
            self.members.seen(found, self.clock())
            for name, entry in self.members.silent(self.clock()).items():
                if put_after(self.store, f"{ROOM}/{name}", entry, {"dead": self.incarnation}):
                    self.members.died(name)
                    oldest = max(1, entry.number - self._kept)
                    self._left_over.extend((f"{ROOM}/{name}", old) for old in range(oldest, entry.number + 1))
                else:
                    self.members.lives(name, self.clock())
            for _ in range(min(DROPPED_AT_ONCE, len(self._left_over))):
                self.store.drop(*self._left_over.popleft())
        except StoreUnknown:
            return None
        for step in self._after_looks:
            step()
        over_at = self.members.silent_from()
        if over_at is None:
            return None
        usual_s = self.renew_s / 2 if 1 < len(self.members.living) <= FEW else self.renew_s
        return min(over_at - self.clock(), usual_s)

    def bye(self) -> None:
        """Send nothing more, end the threads and tell the others at once. Do it again without harm."""
        self._term = (float("-inf"), 0.0)
        stopped = [turns.end(END_S) for turns in self._turns]
        self._term = (float("-inf"), 0.0)  # a renewal that was under way has set it
        if not self._ended and all(stopped):
            within(END_S, self._say_bye)

    def _say_bye(self) -> None:
        with self._one_renewal:
            self._ended = True
            try:
                if self._trying is not None and put_value(self.store, self._series, self._number + 1, self._trying[0]):
                    self._number += 1
                if self._number:
                    put_mine(self.store, self._series, self._number + 1, {"bye": True})
                for old in range(self._dropped + 1, self._number + 1):
                    self.store.drop(self._series, old)
            except StoreUnknown:  # the others find out by our silence
                return

    def _begin(self) -> None:
        self.incarnation = f"{self.scope}/{secrets.token_hex(8)}"
        self._series = f"{ROOM}/{self.incarnation}"
        self._number = 0  # of the newest renewal that is known to be in the store
        self._dropped = 0
        self._trying = None
        self._since = self._wall()

    def _lose(self) -> None:
        self._term = (float("-inf"), 0.0)
        lost = self.incarnation
        self._begin()
        self.say("this process was silent for longer than its lease; others took what it held, and it begins a new one")
        self.on_lost(lost)
        self._turns[0].hurry()

    def _renewal(self) -> bytes:
        about = {"since": self._since, "silence_s": self.takeover_s, **self._about}
        return written({"hungry": sorted(self.hungry), **about})

    def _answered(self) -> None:
        if self._number == 1:
            self.on_renewed(self.incarnation)
            self.look_soon()  # what waited for the lease need not wait for the next look
        if self._silent and self.allowed():
            self._silent = False
            self.say("the store of leases answers again: calls go on")
        self._drop_old()

    def _drop_old(self) -> None:
        """Drop renewals that nobody needs, oldest first; whoever acts on an old view is told apart by those kept."""
        try:
            while self._dropped < self._number - self._kept:
                self.store.drop(self._series, self._dropped + 1)
                self._dropped += 1
        except StoreUnknown:  # the next renewal drops them
            return

    def _tell_silence(self, error: StoreUnknown) -> None:
        if not self._silent and not self.allowed():
            self._silent = True
            self.say(f"the store of leases is out of reach, and no call goes until it answers: {error}")

    def _fail(self, error: Exception) -> None:
        self._term = (float("-inf"), 0.0)
        self.broken = error
        self.say(f"the lease ended, and no call goes any more: {type(error).__name__}: {error}")


def _nothing(_: str) -> None:
    """Do nothing with what is told."""
