"""The changes of a product and its hits since the run before, as the page shows them."""

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.results.before import Before
from pipeline.results.reading import RecordView
from pipeline.results.score import ten_thousandths
from pipeline.results.since import NEW, NOT_SEARCHED, NOT_THEN, OTHERWISE, RISEN, Compared, Found, Gone, hits_of
from pipeline.results.standing import Standing


class Change(NamedTuple):
    """The change of one hit; scores are in ten thousandths, -1 where there is none."""

    mark: str = ""  # NEW, RISEN or SAME; "" where nothing is compared
    before: int = -1  # the score in the run before
    again: bool = False  # a decision about it does not hold any more
    decided: int = -1  # the score that it had then

    @property
    def worth_seeing(self) -> bool:
        """Whether a person should see it."""
        return self.mark in (NEW, RISEN) or self.again


NO_CHANGE = Change()


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one product: of each hit, in the record's order.

    not_then   it was not searched in the run before
    otherwise  it was searched otherwise then
    best_new   the highest score of a hit that is new, or has risen; of any hit where nothing is compared
    """

    hits: list[Change] = field(default_factory=list)
    not_then: bool = False
    otherwise: bool = False
    best_new: int = -1
    gone: list[Gone] = field(default_factory=list)

    def of(self, place: int) -> Change:
        """Return the change of the hit at a place."""
        return self.hits[place] if place < len(self.hits) else NO_CHANGE


NOTHING = Changes()


def changes_of(record: RecordView, before: Before, standing: Standing) -> Changes:
    """Compare a record with the run before, and with the decisions about its hits."""
    if before.earlier is None and not standing:
        return NOTHING
    hits = hits_of(record) or []
    found = Compared(reason=NOT_SEARCHED) if before.earlier is None else before.earlier.compare(record)
    changes = [Change(mark, score) for mark, score in zip(found.marks, found.before, strict=True)]
    changes = changes or [NO_CHANGE] * len(hits)
    if standing:
        changes = [_decided(record.item, hit, one, standing) for hit, one in zip(hits, changes, strict=True)]
    return Changes(
        changes,
        not_then=found.reason == NOT_THEN,
        otherwise=found.reason == OTHERWISE,
        best_new=-1 if found.reason == NOT_SEARCHED else found.best_new(hit.score for hit in hits),
        gone=found.gone,
    )


def _decided(item: str, hit: Found, change: Change, standing: Standing) -> Change:
    was = standing.again(item, hit.patent_pn or "", ten_thousandths(hit.score), change.mark)
    return change if was is None else change._replace(again=True, decided=was)
