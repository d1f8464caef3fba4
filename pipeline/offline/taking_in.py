"""The sources of a job taken into an imagined journal, as the next run would take them in; nothing is sent."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from msgspec.structs import replace

from pipeline.engine.intake import BATCH, differences
from pipeline.errors import Code
from pipeline.job.schema import JobSpec
from pipeline.journal.sql import admission, changes
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import find_waiting
from pipeline.journal.sql.twins import storable
from pipeline.models import Item, PictureChange
from pipeline.run.begin import NOTED, Reading, reading_of, refusal
from pipeline.sources.check import fingerprint

Items = Callable[[], Iterable[Item]]


class Listing:
    """A reading of what a job lists: the number of its rows, and the items whose pictures cannot be sent."""

    def __init__(self) -> None:
        self.rows = 0
        self._unusable: list[Item] = []

    def read(self, items: Iterable[Item]) -> Iterator[Item]:
        """Count the items and pass them on as a run finds them: it opens a picture only when it comes to it."""
        for item in items:
            self.rows += 1
            if item.problem is not None and item.problem.code == Code.PICTURE:
                self._unusable.append(item)
                item = replace(item, problem=None)
            yield item

    def unusable(self, db: Database) -> tuple[set[int], list[Item]]:
        """Find the items that wait or are in doubt and whose pictures cannot be sent: their numbers.

        Return also those of them that wait: they become failed items.
        """
        found = [(find_waiting(db, item.id, storable(item.source)), item) for item in self._unusable]
        numbers = {place[0] for place, _ in found if place is not None}
        return numbers, [item for place, item in found if place is not None and place[1]]


def take_in(db: Database, spec: JobSpec, items: Items, *, accept_changes: bool) -> tuple[Listing, Reading, list[str]]:
    """Take the job's items into an imagined journal; return what was listed, how, and why a run would refuse it.

    What is refused is taken in all the same, as `--accept-changes` would: so the calls can be counted.
    """
    noted = {key: db.meta(key) for key in NOTED}
    refused = refusal(spec, vendor=noted["vendor"], asked=noted["asked"], accept_changes=accept_changes)
    now = fingerprint(spec)
    reading = reading_of(noted, now)
    listing = Listing()
    if not reading.again:
        changes.requeue_failed(db)
        for _ in listing.read(items()):
            pass
        return listing, reading, refused
    changed = _admit(db, listing.read(items()), reading, now, accept_changes=accept_changes)
    if changed and not accept_changes:
        refused = [*refused, *differences(changed)]
        if reading.first:  # nothing was taken in
            _admit(db, Listing().read(items()), reading, now, accept_changes=True)
    return listing, reading, refused


def _admit(
    db: Database, items: Iterator[Item], reading: Reading, fingerprint: str, *, accept_changes: bool
) -> list[PictureChange]:
    batches = iter(lambda: list(islice(items, BATCH)), [])
    generation = reading.generation
    if reading.first:
        return admission.admit_whole(
            db,
            batches,
            generation=generation,
            fingerprint=fingerprint,
            accept_changes=accept_changes,
            ended=lambda: False,
        )
    db.do("BEGIN")
    changes.requeue_failed(db)
    found: list[PictureChange] = []
    for batch in batches:
        found += admission.admit(db, batch, generation=generation, accept_changes=accept_changes).changes
    admission.close_admission(db, generation, fingerprint)
    db.do("COMMIT")
    return found
