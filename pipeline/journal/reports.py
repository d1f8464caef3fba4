"""The items of a run directory whose reports may still come, for one run (ports.Reports)."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.journal.collected import unread
from pipeline.journal.places import RESULTS, run_of
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import collected, items, reports
from pipeline.journal.sql.rows import Line, hits_of
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import Work
from pipeline.reports import Awaited, PaidRecord, TaskNote, reused_task
from pipeline.system.checksum import crc32


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

    async def record(self, ord_: int) -> PaidRecord | None:
        """Read the record that an item has in the run whose reports are collected.

        None in a run itself, and for a record that is not what was written.
        """

        def read(disk: Disk) -> PaidRecord | None:
            found, run = collected.line_of(disk.db, ord_), run_of(disk.folder)
            if found is None or run is None:
                return None
            line, has_task = found
            data = read_at(run / RESULTS, line)
            return None if data is None else PaidRecord(data, has_task)

        return await self._writer.do(read)

    async def unread(self, *, now: float) -> list[float]:
        """List when the tasks were created that live and of which nothing became yet, the earliest first."""
        return await self._writer.do(lambda disk: unread(disk.db, disk.folder, now=now))

    async def take_in(self, rows: Sequence[collected.PaidRow], note: TaskNote) -> int:
        """Enter tasks of the run whose reports are collected; return how many were not known."""
        return await self._writer.do(lambda disk: collected.take_in(disk.db, rows, note=note))


def read_at(results: Path, line: Line) -> bytes | None:
    """Read one line of a file of records; None where it is not what was written."""
    try:
        with results.open("rb") as file:
            file.seek(line.offset)
            data = file.read(line.length)
    except FileNotFoundError:
        return None
    return data if crc32(data) == line.crc else None
