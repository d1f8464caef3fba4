"""The records that reports end with: of an item's own hits, or of what a run recorded when it paid for the task."""

import anyio
import msgspec

from pipeline.endpoints.details import Details
from pipeline.engine.parts import Ports
from pipeline.engine.report_turns import Waiting
from pipeline.models import State, Work
from pipeline.reports import Report, WholeReport
from pipeline.results.collected import spent_since, with_report
from pipeline.results.record import RecordLines, Spliced


class ReportRecords:
    """The records of one run, or of the reports that are collected for one."""

    def __init__(self, ports: Ports, records: RecordLines) -> None:
        self._ports = ports
        self._records = records

    async def make(self, one: Waiting, report: Report) -> tuple[Work, State, Spliced]:
        """Return the item, its new state and its line; a drawing that the report brings is kept before the line."""
        reports = self._ports.ledger.reports
        if isinstance(report, WholeReport) and report.drawing is not None:
            await anyio.to_thread.run_sync(self._ports.keep_drawing, report.drawing_file, report.drawing)
        paid = None if self._ports.follow is None else await reports.record(one.work.ord)
        if paid is not None and paid.has_task:
            return (one.work, *with_report(self._records, paid.line, one.work.calls, report))
        work, note, hits_lost = await reports.whole(one.work.ord)
        work.calls = one.work.calls
        if isinstance(report, WholeReport):
            work.hits, hits_lost = report.hits, False
            if self._ports.keep_pictures is not None:
                self._ports.keep_pictures(work, report.hits)
        details = await self._details(work)
        told = work if paid is None else msgspec.structs.replace(work, calls=spent_since(paid.line, work.calls))
        return work, *self._records.reported(told, one.task, note, report, details, hits_lost=hits_lost)

    async def _details(self, work: Work) -> Details | None:
        """Return the details of an item's hits, a minute from now at the latest."""
        asked = self._ports.details
        if asked is None:
            return None
        if not asked.knows(work.ord) and work.hits is not None:  # its task is of an earlier run
            asked.begin(work.ord, work.item.id, work.hits)
        if not asked.has(work.ord):
            await asked.wait(work.ord)
        return asked.end(work.ord)
