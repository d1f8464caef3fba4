"""Records of earlier runs that lack details: the patents that each asks for, and what it gains by the answers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from pipeline.endpoints.details import NOT_FOUND, PENDING, REFUSED, Details, PatentDetail
from pipeline.engine.best_hits import best
from pipeline.models import Hits
from pipeline.results.behind import behind
from pipeline.results.reading import RecordView


class Wanted(Protocol):
    """The hits that a job asks details of: of each item the best `top` that score `above`, and their families."""

    @property
    def top(self) -> int: ...
    @property
    def above(self) -> float: ...
    @property
    def family(self) -> bool: ...


class Lacking(NamedTuple):
    """A record that lacks details.

    ids     the patents that are asked for
    before  the details that it has, with reasons why there are none; None where its run ended before they came
    order   of all its hits, the best first
    """

    item: str
    ids: Sequence[str]
    before: Mapping[str, PatentDetail] | None
    order: Sequence[str] = ()


def asked_by(wanted: Wanted) -> str:
    """Write what a job asks details of, so that another run can tell whether its job asks for more."""
    return f"{wanted.top} {float(wanted.above)!r} {int(wanted.family)}"


def lacking(folder: Path, wanted: Wanted, *, every: bool, until: int | None = None) -> Iterator[Lacking]:
    """Read the records that lack details.

    Where `every` is, also those that never had any, or fewer than are wanted now, or that lack some for want of budget,
    of permission or of an answer.
    """
    for record in behind(folder, every=every, until=until):
        if (one := _lacking(record, wanted)) is not None:
            yield one


def _lacking(record: RecordView, wanted: Wanted) -> Lacking | None:
    hits = _hits_of(record)
    ids = best(hits, top=wanted.top, above=wanted.above)
    if record.details_state == PENDING:
        return Lacking(record.item, ids, None)
    before = record.details
    new = [id_ for id_ in ids if id_ not in before or not _is_said(before[id_])]
    if wanted.family and ids and (new or record.designs is None):
        new = ids
    return Lacking(record.item, new, before, best(hits, top=len(hits.scores), above=0.0)) if new else None


def gained(before: Mapping[str, PatentDetail], order: Sequence[str], details: Details) -> Details | None:
    """Add what came to the details that a record has, in the order of its hits; None where that is nothing.

    What was not answered is left out.
    """
    came = (
        {} if isinstance(details.patents, str) else {id_: one for id_, one in details.patents.items() if _is_said(one)}
    )
    if came.keys() <= {id_ for id_, one in before.items() if _is_said(one)} and details.designs is None:
        return None
    both = {**before, **came}
    in_order = {id_: both[id_] for id_ in order if id_ in both}
    return Details({**in_order, **both}, details.designs if before.keys() <= came.keys() else None)


def is_whole(details: Details) -> bool:
    """Return whether all that was asked for is said."""
    return not isinstance(details.patents, str) and all(map(_is_said, details.patents.values()))


def _is_said(one: PatentDetail) -> bool:
    return one.known or one.missing in (NOT_FOUND, REFUSED)


def _hits_of(record: RecordView) -> Hits:
    hits = record.hits
    scores = tuple([hit.get("score") if isinstance(hit.get("score"), int | float) else None for hit in hits])
    return Hits(bytes(record.raw_hits), scores, (), len(hits), "", 0.0)
