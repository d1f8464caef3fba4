"""Budgets of one job that several machines spend: the total that all have drawn, in the store, never above the cap.

A series for each kind of call, and one for money, holds the total that is drawn, one entry for each draw. Of two
machines that draw at once one loses its put, looks again, and adds to the new total. So what is sent is at most what is
drawn, and that is at most the cap of whoever draws. What a machine drew and did not send before its death stays spent.
"""

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal

from pipeline.leases.series import Series
from pipeline.leases.store import Store, StoreUnknown, name_of

CHUNK = 64  # calls drawn at once, or a hundredth of the rest if that is more
LEAST_UNCAPPED = 1024  # where no cap asks, fewer entries are enough
_HUNDREDTH, _SHARE_OF_THE_REST = 100, 16
_LAST_CHUNKS = 4
MOST_SENDERS = 16  # an account has at most so many slots
_NOTHING, _ONE = Decimal(0), Decimal(1)


def chunk_of(rest: int) -> int:
    """Return the most calls that one machine may hold unused of a budget that has so many left."""
    return max(CHUNK, rest // _HUNDREDTH)


class SharedBudget:
    """The budgets of one job of an account. All but `left`, `fair` and `most_held` block; any thread may call them.

    account  the digest that names it, or what stands for several that spend one job's budgets together
    job      the name that all machines give the job's run directory
    caps     of this machine, by the names of the budgets: no draw of ours goes beyond; None is no cap
    sharers  returns among how many machines the rest is to be shared
    """

    def __init__(
        self,
        store: Store,
        account: str,
        job: str,
        caps: Mapping[str, Decimal | None],
        *,
        sharers: Callable[[], int] = lambda: MOST_SENDERS,
    ) -> None:
        self._caps = caps
        self._sharers = sharers
        self._series = {kind: Series(store, f"b/{name_of(account)}/{name_of(job)}/{kind}") for kind in caps}
        self._locks = {kind: threading.Lock() for kind in caps}
        self._trying: dict[str, Decimal] = {}  # what was drawn with the last change, whose answer may be lost
        self._found: dict[str, Decimal] = {}  # what was drawn so and turned out to be ours, for the next draw

    def seed(self, kind: str, *, spent: Decimal, unknown: Decimal) -> bool:
        """Let the total hold what a run directory has `spent`, of which `unknown` was never drawn here.

        It is never less than what is spent: a store that was lost begins with that. Return False when the store does
        not answer: seed again, with the same, which counts once even where the answer alone was lost.
        """
        with self._locks[kind]:
            try:
                if self._settle(kind) and not self._trying[kind]:
                    return True
            except StoreUnknown:
                return False
            return self._change(kind, lambda total: max(total + unknown, spent) - total) is not None

    def draw(self, kind: str, least: int, most: int, *, unit: Decimal = _ONE, held: int = 0) -> int | None:
        """Draw `least` to `most` units, at most a chunk with those that we `held`; 0 when fewer than `least` are left.

        A chunk is `chunk_of` the rest, and near the end a sixteenth of it, so that nobody holds what others need.
        Return None when the store does not answer: draw again.
        """
        with self._locks[kind]:
            drawn = self._change(
                kind, lambda total: unit * self._more(kind, total, least, most, unit, held), draws=True
            )
            if drawn is None:
                return None
            drawn += self._found.pop(kind, _NOTHING)
            return int(drawn // unit)

    def give_back(self, kind: str, amount: Decimal) -> bool:
        """Give back what was drawn and will never be spent. Return False when the store does not answer."""
        with self._locks[kind]:
            back = self._change(kind, lambda total: -min(amount + self._found.get(kind, _NOTHING), total))
            self._found.pop(kind, None)
            return back is not None

    def left(self, kind: str) -> Decimal | None:
        """Return what our cap leaves beyond the total that was seen last; None without a cap."""
        cap = self._caps[kind]
        return None if cap is None else max(_NOTHING, cap - self._total(kind))

    def fair(self, kind: str, *, unit: Decimal = _ONE) -> Decimal | None:
        """Return the part of `left` that one machine may count on, though others draw meanwhile; None without a cap.

        The last few chunks belong to nobody before they are drawn, also where no others are seen: they may have begun
        a moment ago. Of the rest each of several counts on half its part: the others may have drawn since we looked.
        """
        left, sharers = self.left(kind), self._sharers()
        if left is None:
            return None
        rest = max(_NOTHING, left - _LAST_CHUNKS * CHUNK * unit)
        return rest if sharers <= 1 else rest / (2 * sharers)

    def most_held(self, kind: str, *, unit: Decimal = _ONE) -> int | None:
        """Return how many units one machine may hold unused; None without a cap."""
        left = self.left(kind)
        return None if left is None else chunk_of(int(left // unit))

    def _total(self, kind: str) -> Decimal:
        return _total_in(self._series[kind].body)

    def _more(self, kind: str, total: Decimal, least: int, most: int, unit: Decimal, held: int) -> int:
        """Return how many units to draw beyond the total; none where a draw whose answer was lost is enough."""
        cap, found = self._caps[kind], int(self._found.get(kind, _NOTHING) // unit)
        if found >= least:
            return 0
        if cap is None:
            room = max(LEAST_UNCAPPED, int(total // unit) // _HUNDREDTH)
            return max(least, min(most, room - held))
        rest = int((cap - total) // unit)
        if rest < least:
            return 0
        room = min(chunk_of(rest), max(1, rest // _SHARE_OF_THE_REST))
        return min(rest, max(least, min(most, room - held)))

    def _change(self, kind: str, change: Callable[[Decimal], Decimal], *, draws: bool = False) -> Decimal | None:
        """Add to the total what `change` makes of it, and return that; None when the store does not answer."""
        series = self._series[kind]
        try:
            looked = self._settle(kind) is not None or series.newest is None
            if looked:
                series.look()
            while True:
                total = self._total(kind)
                amount = change(total)
                if not amount and looked:
                    return amount
                if amount:
                    self._trying[kind] = amount if draws else _NOTHING
                    if series.put({"total": format(total + amount, "f")}):
                        return amount
                series.look()
                looked = True
        except StoreUnknown:
            return None

    def _settle(self, kind: str) -> bool | None:
        """Find out whether the last change was put, if its answer was lost; what it drew is for the next draw.

        Return None where no answer was lost.
        """
        series = self._series[kind]
        if not series.is_doubtful:
            return None
        was_put = series.settle()
        if was_put:
            self._found[kind] = self._found.get(kind, _NOTHING) + self._trying[kind]
        return was_put


def _total_in(body: Mapping[str, object]) -> Decimal:
    return Decimal(str(body.get("total", 0)))
