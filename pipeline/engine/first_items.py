"""The care with the first items of an account: what is wrong with it shows at one paid item, not at hundreds."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import anyio

from pipeline.errors import NotConfirmed
from pipeline.models import SETTLED, Kind, State, Work

ENOUGH = 3  # items that ended with a call, after which nobody waits for others that need such calls


class First(NamedTuple):
    """The item that ran alone: its id, its state, and the kinds of call that it needs and the account had not made."""

    item: str
    state: State
    kinds: Sequence[Kind]


class FirstItems:
    """Lets one item run alone to its end, then two more, then as many as there are; for each kind of call that is new.

    `known` counts per kind the items that ended well with one, in earlier runs; a kind that is not in it needs no care.
    `also` are kinds of call that go with every item, though it does not wait for their budget: details of its hits.
    `keep` keeps such a count for later runs. `go_on` is asked once, after the first item and before the next.
    """

    def __init__(
        self,
        known: Mapping[Kind, int] | None = None,
        *,
        also: Sequence[Kind] = (),
        keep: Callable[[Kind, int], None] = lambda kind, count: None,
        go_on: Callable[[First], Awaitable[bool]] | None = None,
    ) -> None:
        # Counts for later runs, of answers alone; and those of this run, in which items that failed count too: a list
        # whose pictures are all refused must come to its end.
        self._kept = {kind: count for kind, count in (known or {}).items() if count < ENOUGH}
        self._seen = Counter(self._kept)
        self._also = also
        self._keep = keep
        self._go_on = go_on
        self._unconfirmed: list[Kind] = []  # answers that are kept once a person goes on: else the next run asks again
        self._begun: dict[int, Sequence[Kind]] = {}
        self._under_way: Counter[Kind] = Counter()
        self._asks = go_on is not None and not all(self._kept.values())
        self._first: First | None = None
        self._asking: anyio.CancelScope | None = None
        self._ending = False
        self._changed = anyio.Event()

    @property
    def watching(self) -> bool:
        """Return whether calls of any kind are new."""
        return bool(self._kept)

    async def turn(self, work: Work, calls: Sequence[Kind]) -> None:
        """Wait until an item that needs these calls may be begun, or the run ends. Raises NotConfirmed."""
        kinds = tuple(kind for kind in dict.fromkeys((*calls, *self._also)) if kind in self._kept)
        while not self._ending and any(self._is_full(kind) for kind in kinds):
            await self._changed.wait()
        if self._first is not None and not self._ending:
            await self._ask(self._first)
        self._begun[work.ord] = kinds
        self._under_way.update(kinds)

    def ended(self, work: Work, state: State | None, *, sent: bool) -> None:
        """Count an item that ended in this state; None where it could not be recorded. `sent`: it made a call."""
        kinds = self._begun.pop(work.ord, ())
        if not kinds:
            return
        self._under_way.subtract(kinds)
        if sent and state is not None:
            new = tuple(kind for kind in kinds if not self._seen[kind])
            if self._asks and new:
                self._asks = False
                self._first = First(work.item.id, state, new)
            self._seen.update(kinds)
            if state in SETTLED or state is State.REPORT_PENDING:
                self._unconfirmed += [kind for kind in kinds if kind in self._also or getattr(work.calls, kind.value)]
            if self._first is None:
                self._keep_counts()
        self._wake()

    def end(self) -> None:
        """Let nobody wait any longer: the run is ending."""
        self._ending = True
        if self._asking is not None:
            self._asking.cancel()
        self._wake()

    def _is_full(self, kind: Kind) -> bool:
        """Return whether as many items that need such a call are under way as may be."""
        seen, under_way = self._seen[kind], self._under_way[kind]
        return seen < ENOUGH and under_way > 0 and (not seen or seen + under_way >= ENOUGH)

    async def _ask(self, first: First) -> None:
        """Ask whether to go on; the end of the run ends the question."""
        assert self._go_on is not None
        with anyio.CancelScope() as self._asking:
            if not await self._go_on(first):
                raise NotConfirmed("stopped after the first item, as you said; run again to go on")
            self._first = None
            self._keep_counts()
        self._asking = None

    def _keep_counts(self) -> None:
        for kind in self._unconfirmed:
            if kind in self._kept:
                self._kept[kind] += 1
                self._keep(kind, self._kept[kind])
                if self._kept[kind] >= ENOUGH:
                    del self._kept[kind]
        self._unconfirmed.clear()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
