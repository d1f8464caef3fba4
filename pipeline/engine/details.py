"""The details of an item's best hits: asked for as its hits come, beside its task, which never waits for them."""

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import msgspec
from anyio.abc import TaskGroup

from pipeline.endpoints.details import FAILED, NOT_FOUND, PENDING, REFUSED, Details, PatentDetail
from pipeline.engine.best_hits import best
from pipeline.engine.catching_up import Lacking, gained, is_whole
from pipeline.engine.patent_batches import PatentBatches, WantedPatent
from pipeline.engine.patent_budget import PatentBudget
from pipeline.models import Hits

WAIT_S = 60.0  # the longest that a record waits for its details
MOST_LATE = 500  # records of earlier runs whose details are asked for at once

_DETAIL = msgspec.json.Decoder(PatentDetail)
_FAMILY = msgspec.json.Decoder(str)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Item:
    """An item that wants to know of these patents."""

    id: str
    ids: Sequence[str]
    wanted: Sequence[WantedPatent]
    families: dict[str, WantedPatent] = field(default_factory=dict)
    gain: Callable[[Details], Details | None] | None = None  # of a record that has details, or never asked for any
    done: anyio.Event = field(default_factory=anyio.Event)

    def details(self, *, families: bool) -> Details:
        """Say what is known now."""
        patents = {id_: self._detail(id_, wanted) for id_, wanted in zip(self.ids, self.wanted, strict=True)}
        words = {detail.missing for detail in patents.values()}
        if PENDING in words or any(wanted.missing == PENDING for wanted in self.families.values()):
            return Details(PENDING)
        if patents and "" not in words and len(words) == 1 and not words & {NOT_FOUND, REFUSED}:
            return Details(words.pop())
        told = families and all(wanted.missing in ("", NOT_FOUND, REFUSED) for wanted in self.families.values())
        return Details(patents, _designs(patents) if told else None)

    def _detail(self, id_: str, wanted: WantedPatent) -> PatentDetail:
        if wanted.answer is None:
            return PatentDetail(missing=wanted.missing)
        try:
            detail = _DETAIL.decode(wanted.answer)
            family = self.families.get(id_)
            if family is None or family.answer is None:
                return detail
            return msgspec.structs.replace(detail, family=_FAMILY.decode(family.answer))
        except (msgspec.MsgspecError, UnicodeDecodeError):  # a row of the cache that another program wrote
            return PatentDetail(missing=FAILED)


class HitDetails:
    """The details of the hits of all items of a run: the best `top` of an item that score at least `above`.

    budget    of all calls for details
    families  None where families are not asked for; else those of the patents that were found
    late      writes an item's details where they come after its record; it returns False where it could not
    """

    def __init__(
        self,
        patents: PatentBatches,
        families: PatentBatches | None,
        *,
        budget: PatentBudget,
        top: int,
        above: float,
        late: Callable[[str, Details], Awaitable[bool]],
    ) -> None:
        self.budget = budget
        self._patents = patents
        self._families = families
        self._top, self._above = top, above
        self._late = late
        self._items: dict[int, _Item] = {}
        self._waiting_late: set[str] = set()
        self._is_behind = False
        self._is_over = False  # nothing is asked for any more
        self._catching_up = False  # more records of earlier runs are to come
        self._idle = anyio.Event()
        self._group: TaskGroup | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Do the work of all items, until cancelled."""
        async with anyio.create_task_group() as group:
            self._group = group
            for batches in self._batches():
                group.start_soon(batches.run)
            task_status.started()
            await anyio.sleep_forever()

    def begin(self, ord_: int, item_id: str, hits: Hits) -> None:
        """Ask for the details of an item's best hits, whose search was just answered, or paid by an earlier run."""
        ids = best(hits, top=self._top, above=self._above)
        item = self._items[ord_] = _Item(item_id, ids, self._patents.want(ids))
        self._follow(item)

    def knows(self, ord_: int) -> bool:
        """Return whether an item's details were asked for in this run, and its record has not come."""
        return ord_ in self._items

    def has(self, ord_: int) -> bool:
        """Return whether nothing needs to be waited for."""
        item = self._items.get(ord_)
        return item is None or item.done.is_set()

    async def wait(self, ord_: int) -> None:
        """Wait until an item's details are there, for a minute at most."""
        with anyio.move_on_after(WAIT_S):
            await self._items[ord_].done.wait()

    def end(self, ord_: int) -> Details | None:
        """Return what is known for an item's record; what comes later goes to `late`. None where nothing was asked."""
        item = self._items.pop(ord_, None)
        if item is None:
            return None
        details = item.details(families=self._families is not None)
        if details.patents == PENDING:
            self._wait_late(item)
        elif not is_whole(details):
            self._is_behind = True
        return details

    def forget(self, ord_: int) -> None:
        """Drop an item that gets no record now; what was asked for it is in the cache."""
        self._items.pop(ord_, None)

    def catch_up(
        self, item_id: str, ids: Sequence[str], gain: Callable[[Details], Details | None] | None = None
    ) -> None:
        """Ask for the details of an item whose record was written without them.

        `gain` makes of what comes what its record gains; None of a record that says that its details are pending.
        """
        item = _Item(item_id, ids, self._patents.want(ids), gain=gain)
        self._follow(item)
        self._wait_late(item)

    async def catch_up_all(self, batches: AsyncIterator[Sequence[Lacking]]) -> None:
        """Ask for the details of records of earlier runs, some at a time, until there are no more or the run ends."""
        self._catching_up = True
        try:
            async for batch in batches:
                for one in batch:
                    gain = None if one.before is None else functools.partial(gained, one.before, one.order)
                    self.catch_up(one.item, one.ids, gain)
                while len(self._waiting_late) >= MOST_LATE:
                    await self._idle.wait()
                if self._is_over:
                    self._is_behind = True
                    return
        except (OSError, ValueError) as error:
            _log.warning("details.not_caught_up %s", error)
            self._is_behind = True
        finally:
            self._catching_up = False
            self._stir()

    def stop(self) -> None:
        """Wait for nothing more."""
        self._is_over = True
        for batches in self._batches():
            batches.stop()

    async def finish(self, grace_s: float = WAIT_S) -> bool:
        """Wait for what is late, while some of it comes within `grace_s`; return whether all was said of every item."""
        while self._waiting_late or self._catching_up:
            with anyio.move_on_after(grace_s) as waiting:
                await self._idle.wait()
            if waiting.cancelled_caught:
                return False
        return not self._is_behind

    def _batches(self) -> list[PatentBatches]:
        return [self._patents] if self._families is None else [self._patents, self._families]

    def _follow(self, item: _Item) -> None:
        if self._families is None and all(wanted.done.is_set() for wanted in item.wanted):
            item.done.set()
            return
        assert self._group is not None
        self._group.start_soon(self._until_done, item)

    async def _until_done(self, item: _Item) -> None:
        for wanted in item.wanted:
            await wanted.done.wait()
        if self._families is not None:
            found = [id_ for id_, wanted in zip(item.ids, item.wanted, strict=True) if wanted.answer is not None]
            item.families = dict(zip(found, self._families.want(found), strict=True))
            for family in item.families.values():
                await family.done.wait()
        item.done.set()

    def _wait_late(self, item: _Item) -> None:
        assert self._group is not None
        self._waiting_late.add(item.id)
        self._group.start_soon(self._until_late, item)

    async def _until_late(self, item: _Item) -> None:
        await item.done.wait()
        details = item.details(families=self._families is not None)
        said = details if item.gain is None else item.gain(details)
        if details.patents == PENDING or (item.gain is not None and not is_whole(details)):
            self._is_behind = True  # the run ended first, or may not ask, and the next one does
        if said is not None and said.patents != PENDING:
            with anyio.CancelScope(shield=True):
                is_written = await self._late(item.id, said)
            if not is_written:
                self._is_behind = True
        self._waiting_late.discard(item.id)
        self._stir()

    def _stir(self) -> None:
        self._idle.set()
        self._idle = anyio.Event()


def _designs(patents: Mapping[str, PatentDetail]) -> int:
    """Count the different designs: patents of one family are one, one without a family is one by itself."""
    return len({detail.family or id_ for id_, detail in patents.items() if detail.known})
