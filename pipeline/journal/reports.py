"""The items of a run directory whose reports may still come, for one run (ports.Reports)."""

from pipeline.journal.spool import mark_of
from pipeline.journal.sql import items, reports
from pipeline.journal.sql.rows import hits_of
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import Work
from pipeline.reports import Awaited, TaskNote, reused_task


class Reports:
    """The items of one run directory whose tasks are paid and whose reports are not here."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def awaited(self, *, after: int) -> list[Awaited]:
        """Read some of the items whose reports may still come, beyond `after`, in order; [] = no more."""
        return await self._writer.do(lambda disk: reports.awaited(disk.db, after=after))

    async def whole(self, ord_: int) -> tuple[Work, TaskNote, bool]:
        """Read an item with its hits, what was asked of its task, and whether the hits are lost.

        Where they are, the item has its search with no bytes of them: its report is a record all the same.
        """

        def read(disk: Disk) -> tuple[Work, TaskNote, bool]:
            work, note, ref = items.work(disk.db, ord_)
            array = None
            if note is not None and ref is not None:
                array = disk.spool.read(ref, mark=mark_of(ord_, note))
                disk.spool.hold(ord_, ref.segment)
                work.hits = hits_of(note, array or b"[]")
            of_task = reports.note_of_task(disk.db, ord_)
            work.reused = reused_task(reports.task_of(disk.db, ord_), of_task)
            return work, of_task, array is None

        return await self._writer.do(read)
