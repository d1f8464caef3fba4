"""Twins that show another picture by now, foreseen: the next run parts each from its first item and works on it."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from pipeline.engine.cost import upload_lasts
from pipeline.engine.sharing import is_alike
from pipeline.journal.sql import twins, waiting
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.sent import first_item, unsearched_pictures
from pipeline.models import CONTENT, SETTLED, WAITING, State, Work

_BATCH = 512


@dataclass(frozen=True, slots=True)
class Parting:
    """The circumstances of the next run.

    digest    says what bytes a file has now; None where it cannot be read
    unusable  items whose pictures cannot be sent
    repeated  items in doubt that are created once more
    """

    digest: Callable[[str], str | None]
    unusable: Collection[int]
    repeated: Collection[int]
    now: float

    def part_changed(self, db: Database, *, generation: int) -> set[int]:
        """Part twins in an imagined journal as the run would; return those that it works on by themselves then."""
        parted: list[int] = []
        known = False
        for twin, first in _waiting(db, generation=generation):
            if not twin.item.local or (shown := self.digest(twin.item.source)) is None:
                continue
            sent = self._sent_for(db, first)
            if sent is None or sent == shown or is_alike(twin, shown, sent):
                continue
            if not known:
                known = True
                self._know_by_uploads(db, generation=generation)
            if twins.part(db, twin.ord, shown):
                parted.append(twin.ord)
        return {ord_ for ord_ in parted if twins.first_of(db, ord_) is None}

    def _know_by_uploads(self, db: Database, *, generation: int) -> None:
        """Know items by what is uploaded for them before any twin is parted: a parted twin joins one of its picture."""
        for ord_, source in unsearched_pictures(db, generation=generation):
            if (shown := self.digest(source)) is not None:
                twins.identify(db, ord_, CONTENT + shown)

    def _sent_for(self, db: Database, ord_: int) -> str | None:
        """Return the digest of what is sent for a first item by the time its outcome is shared.

        It is "" where its file cannot be sent, and None where nobody compares: nothing was noted, or it stays open.
        """
        first = first_item(db, ord_)
        if first.state in SETTLED:
            return first.sha256
        if not first.local or (first.state not in WAITING and ord_ not in self.repeated):
            return None
        if first.has_hits and first.state in WAITING:
            return first.sha256
        shown = self.digest(first.source)
        lives = upload_lasts(first.upload_expires, now=self.now)
        if first.state is State.IN_DOUBT:  # it is never repeated for another picture
            return first.sha256 if lives or shown == first.sha256 else None
        if lives and shown in (None, first.sha256):
            return first.sha256
        return "" if ord_ in self.unusable else shown or ""


def _waiting(db: Database, *, generation: int) -> Iterator[tuple[Work, int]]:
    after = 0
    while batch := waiting.twins(db, after=after, limit=_BATCH, generation=generation):
        after = batch[-1][0].ord
        yield from batch
