"""The durable state of one run directory, and its four faces for the engine.

waiting   the items to work on (engine/order)
steps     the steps of an item from waiting to an outcome (engine)
budget    the paid calls, counted against their budgets (engine/meter)
reports   the items whose reports may still come (engine/reports)

An awaited method has made its change durable when it returns; a change that is not awaited comes with the next group.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from pipeline.journal.budget import Budget
from pipeline.journal.budget_of_many import BudgetOfMany
from pipeline.journal.collected import joined
from pipeline.journal.drawing import SharedCaps
from pipeline.journal.purse import Tariff
from pipeline.journal.reports import Reports
from pipeline.journal.sql import admission, changes, doubts, items, naming, retry_selection, sent_calls
from pipeline.journal.sql.admission import SourceError
from pipeline.journal.steps import Steps
from pipeline.journal.storage import Disk
from pipeline.journal.waiting_items import WaitingItems
from pipeline.journal.writer import Writer
from pipeline.models import Admitted, Item, Kind, PictureChange, Problem, State, Work

OPEN_BATCH = 512


class Journal:
    """The durable state of one run directory. Every method raises JournalError once writing has failed."""

    def __init__(
        self,
        writer: Writer,
        *,
        budgets: Mapping[Kind, int | None],
        duplicates: int = 0,
        tariff: Tariff | None = None,
        beside: Mapping[Kind, int] | None = None,
        shared: SharedCaps | None = None,
    ) -> None:
        """Let at most `duplicates` items in doubt be created once more over the run directory's life.

        `shared` are budgets that other machines spend, too.
        """
        self.steps = Steps(writer)
        self.waiting = WaitingItems(writer, self.steps, duplicates=duplicates)
        self.reports = Reports(writer)
        self.budget = (
            Budget(writer, budgets, tariff, beside=beside)
            if shared is None
            else BudgetOfMany(writer, budgets, tariff, shared, beside=beside)
        )
        self._writer = writer
        self._duplicates = duplicates

    async def begin(self) -> dict[State, int]:
        """Read the counts of calls, and return those of the items in view; to be called once before any paid call."""
        await self.budget.begin()
        return await self._writer.do(lambda disk: items.in_view(disk.db)[0])

    async def recall(self, keys: Sequence[str]) -> dict[str, str | None]:
        """Read the values that were remembered under these keys."""
        return await self._writer.do(lambda disk: {key: disk.db.meta(key) for key in keys})

    async def remember(self, values: Mapping[str, str]) -> None:
        """Remember these values."""

        def write(disk: Disk) -> None:
            for key, value in values.items():
                disk.db.set_meta(key, value)

        await self._writer.do(write)

    async def settle_naming(self, hashed_id: Callable[[str], str]) -> bool:
        """Return, and keep for good, whether pictures without an id are named by a hash here; see `naming`."""
        return await self._writer.do(lambda disk: naming.settle(disk.db, hashed_id))

    async def requeue_failed(self) -> int:
        """Let the items wait again that expired or failed in passing; return how many."""
        return await self._writer.do(lambda disk: changes.requeue_failed(disk.db))

    async def admit(self, batch: Sequence[Item], *, generation: int, accept_changes: bool) -> Admitted:
        """Enter a batch of items, see `admission.admit`."""
        return await self._writer.do(
            lambda disk: admission.admit(disk.db, batch, generation=generation, accept_changes=accept_changes)
        )

    async def close_admission(self, generation: int, fingerprint: str) -> None:
        """Note that every item of the job is in: a start with the same fingerprint reads no source again."""
        await self._writer.do(lambda disk: admission.close_admission(disk.db, generation, fingerprint))

    async def admit_whole(
        self, batches: Iterable[Sequence[Item]], *, generation: int, fingerprint: str, accept_changes: bool
    ) -> list[PictureChange]:
        """Enter all items of changed sources at once, or none of them: see `admission.admit_whole`.

        They are read in the writing thread; an error of theirs is raised here, and leaves the journal as it was.
        """
        ended = threading.Event()

        def write(disk: Disk) -> list[PictureChange] | SourceError:
            try:
                return admission.admit_whole(
                    disk.db,
                    admission.reading(batches),
                    generation=generation,
                    fingerprint=fingerprint,
                    accept_changes=accept_changes,
                    ended=ended.is_set,
                )
            except SourceError as error:  # says nothing of the disk, so it must not latch the writer
                return error

        try:
            outcome = await self._writer.do(write)
        finally:
            ended.set()  # if the caller was cancelled, the thread must not go on reading
        if isinstance(outcome, SourceError):
            raise outcome.error from None
        return outcome

    async def open_items(self, *, after: int) -> list[tuple[Work, State, Problem]]:
        """Read open items beyond `after`, in order; a batch at a time."""

        def read(disk: Disk) -> list[tuple[Work, State, Problem]]:
            repeated = doubts.repeated_by_itself(disk.db, most=self._duplicates)
            return items.open_items(disk.db, after=after, limit=OPEN_BATCH, repeated=repeated)

        return await self._writer.do(read)

    def note_sent(self, account: str, counted: Sequence[tuple[int, str, Kind, int, int, int]]) -> None:
        """Let calls that an account sent follow to disk with the next group (sql/sent_calls)."""
        if counted:
            self._writer.post(lambda disk: sent_calls.add(disk.db, account, counted))

    async def finish(self) -> tuple[dict[State, int], int]:
        """Put creates without an outcome in doubt, and restore what a person selected and the run did not reach.

        Returns the items in view per state, and how many more were paid and are no longer listed.
        """

        def write(disk: Disk) -> tuple[dict[State, int], int]:
            doubts.begin_for_unfinished(disk.db)
            retry_selection.restore(disk.db)
            return joined(disk.db, disk.folder, *items.in_view(disk.db))

        return await self._writer.do(write)

    async def close(self) -> None:
        """Give back calls that were reserved and not used, and close the files, these also once writing has failed."""
        try:
            self.budget.give_back()
            await self._writer.do(lambda disk: retry_selection.restore(disk.db))
            await self.budget.end_sharing()
        finally:
            await self._writer.close()
