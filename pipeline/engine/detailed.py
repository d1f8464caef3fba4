"""The wait of a record for the details of its hits: what is paid is durable before anybody waits.

A task that was created and is known to this process alone would be in doubt after a kill. So its record is laid by in
the journal first, as one whose details are pending; a start that finds it there settles the item by it.
"""

import logging

from pipeline.endpoints.details import PENDING, Details
from pipeline.engine.details import HitDetails
from pipeline.errors import JournalError
from pipeline.models import Work
from pipeline.outcomes import Settled, Tasked
from pipeline.ports import Steps
from pipeline.results.record import RecordLines

_log = logging.getLogger(__name__)


async def details_for(
    work: Work, outcome: Settled, details: HitDetails, *, steps: Steps, records: RecordLines, is_new: bool
) -> Details | None:
    """Return the details for an item's record, a minute from now at the latest.

    `is_new` says that its hits were found in this run, and may not be in the spool yet.
    """
    if not details.has(work.ord):
        try:
            if isinstance(outcome, Tasked):
                _, line, _ = records.settled(work, outcome, Details(PENDING))
                await steps.lay_by(work, line)
            elif is_new:
                steps.found(work, outcome.hits)  # a kill must not cost the search
            await details.wait(work.ord)
        except JournalError as error:  # the record comes now, and is kept where the journal cannot take it
            _log.warning("details.not_awaited item=%s %s", work.item.id, error)
    return details.end(work.ord)
