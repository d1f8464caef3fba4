"""The intake of a job's items into the journal, in batches, while the first ones are already worked on."""

import functools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import anyio

from pipeline.errors import SpecError
from pipeline.models import Item, PictureChange, State
from pipeline.ports import Admissions
from pipeline.system.fault import Fault

_log = logging.getLogger(__name__)

BATCH = 500
_SHOWN = 3


class Intake:
    """One reading of a job's items.

    generation   the number of this reading
    tally        new items per state, so far
    repeated     rows with an id that came before, so far
    done         True once no more items will come
    """

    def __init__(
        self,
        items: Iterable[Item],
        journal: Admissions,
        *,
        generation: int,
        fingerprint: str,
        accept_changes: bool = False,
    ) -> None:
        self.generation = generation
        self.tally: Counter[State] = Counter()
        self.repeated = 0
        self.done = False
        self._items = items
        self._journal = journal
        self._fingerprint = fingerprint
        self._accept_changes = accept_changes
        self._more = anyio.Event()
        self._ending = False

    def skip(self) -> None:
        """Read nothing: the journal knows all items of this job already."""
        self.done = True

    def stop(self) -> None:
        """Let no more items in; the next run reads the rest."""
        self._ending = True

    async def run(self) -> None:
        """Admit every item. Raises SpecError when a known item shows another picture now and that was not accepted.

        Accepted, an item that is already paid keeps the picture that was paid, and the log says so.
        """
        source = iter(self._items)
        changed: list[PictureChange] = []
        try:
            while not self._ending and (batch := await anyio.to_thread.run_sync(_next_batch, source)):
                admitted = await self._journal.admit(
                    batch, generation=self.generation, accept_changes=self._accept_changes
                )
                self.tally[State.PENDING] += admitted.new - admitted.failed - admitted.doubtful
                if admitted.doubtful:
                    self.tally[State.IN_DOUBT] += admitted.doubtful
                self.tally[State.FAILED] += admitted.failed
                self.repeated += admitted.repeated
                if self._accept_changes:
                    _log_kept(admitted.changes)
                else:
                    changed.extend(admitted.changes[: _SHOWN + 1 - len(changed)])
                self._wake_waiters()
            if changed:
                raise SpecError(*differences(changed))
            if not self._ending:
                await self._journal.close_admission(self.generation, self._fingerprint)
        finally:
            self.done = True
            self._wake_waiters()

    async def run_whole(self) -> None:
        """Admit every item before any is worked on, or none: an error, or a kill, leaves the journal as it was.

        Raises SpecError as `run` does. `tally` stays empty: the journal's own counts have these items.
        """
        changed = await self._journal.admit_whole(
            iter(functools.partial(_next_batch, iter(self._items)), []),
            generation=self.generation,
            fingerprint=self._fingerprint,
            accept_changes=self._accept_changes,
        )
        if self._accept_changes:
            _log_kept(changed)
        elif changed:
            raise SpecError(*differences(changed))
        self.done = True

    async def more(self) -> None:
        """Wait until more items are in, or all are."""
        if not self.done:
            await self._more.wait()

    def _wake_waiters(self) -> None:
        self._more.set()
        self._more = anyio.Event()


def _next_batch(source: Iterator[Item]) -> list[Item]:
    return list(islice(source, BATCH))


def _log_kept(changes: Sequence[PictureChange]) -> None:
    for change in changes:
        _log.warning("item.picture_kept item=%s paid=%s listed=%s", change.id, change.before, change.now)


def differences(changed: Sequence[PictureChange]) -> list[str]:
    """Say which known items show other pictures now, and what to do."""
    shown = "; ".join(f"{change.id!r} was {change.before}, is now {change.now}" for change in changed[:_SHOWN])
    more = " and more" if len(changed) > _SHOWN else ""
    what = (
        f"known items show other pictures now, and nothing was sent: {shown}{more}. --accept-changes takes them for "
        "the items that are not yet paid, --new starts a new run and pays for all of them"
    )
    return [Fault(what, where=f"item {changed[0].id!r}", fix="--accept-changes")]
