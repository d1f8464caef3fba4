"""What the journal keeps of a search beside its hits, and where these lie."""

from typing import Any, NamedTuple

import msgspec

from pipeline.models import Hits


class SpoolRef(NamedTuple):
    """Where hits lie in the spool: segment number, offset and size in bytes."""

    segment: int
    offset: int
    size: int


class SearchNote(msgspec.Struct, frozen=True):
    """What the journal keeps of a search beside its hits. `complete` is empty when all hits are, as they mostly are."""

    scores: tuple[float | None, ...]
    complete: tuple[bool, ...]
    total: int
    request_id: str
    at: float
    endpoint: str = ""
    params: dict[str, Any] = msgspec.field(default_factory=dict)


def note_of(hits: Hits) -> SearchNote:
    """What the journal keeps of hits."""
    asked = (hits.endpoint, dict(hits.params))
    complete = () if all(hits.complete) else hits.complete
    return SearchNote(hits.scores, complete, hits.total, hits.request_id, hits.at, *asked)


def hits_of(note: SearchNote, array: bytes) -> Hits:
    """The hits again, from the journal's note and the spool's bytes."""
    complete = note.complete or (True,) * len(note.scores)
    return Hits(array, note.scores, complete, note.total, note.request_id, note.at, note.endpoint, note.params)
