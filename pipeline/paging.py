"""The pages of one search: what was asked for beyond the first hundred hits, and the hits of all pages as one list.

A page is a call: it is counted and paid like the first one, and its hits are durable before the next page is asked for.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from pipeline.models import Hits

PAGE = 100  # hits on one page at most


class Page(msgspec.Struct, frozen=True):
    """One page, as it came."""

    offset: int  # places before it in the vendor's order
    hits: int  # on it, also those that were on an earlier page
    request_id: str
    at: float


class Paging(msgspec.Struct, frozen=True):
    """The way through the pages of one search, as far as it went."""

    pages: tuple[Page, ...]
    ranks: tuple[int, ...]  # per hit, its place in the vendor's order, from 1
    by_score: bool  # whether that order is the score's; else it is the vendor's own, or a date's
    end: int  # the place after which nothing is asked for
    total: int | None  # results at the vendor; None while it has not said
    next_offset: int | None  # where the next page begins; None when no page is to come
    search_id: str = ""  # the vendor's name of this search, where it has one; its age counts from `named_at`
    named_at: float = 0.0

    @property
    def seen(self) -> int:
        """Number of places in the vendor's order that were seen."""
        return sum(page.hits for page in self.pages)


class PagedHits(Hits, frozen=True, kw_only=True):
    """The hits of a search of several pages, so far: in the vendor's order, each patent once across the pages.

    `request_id` and `at` are those of the first page, whose links expire first.
    """

    paging: Paging

    @classmethod
    def of(cls, hits: Hits, paging: Paging) -> "PagedHits":
        """Make these hits those of a search of several pages."""
        given = {name: getattr(hits, name) for name in Hits.__struct_fields__}
        return cls(**given, paging=paging)

    def with_paging(self, **changes: Any) -> "PagedHits":
        """Return the same hits with another way through the pages."""
        return PagedHits.of(self, msgspec.structs.replace(self.paging, **changes))


def paging_of(hits: object) -> Paging | None:
    """Return how far the search behind these hits went; None for a search of one page."""
    return hits.paging if isinstance(hits, PagedHits) else None


def pages_between(offset: int | None, end: int) -> int:
    """Count the pages that begin at `offset` or later, up to `end`; none where `offset` is None."""
    return 0 if offset is None else max(0, -(-(end - offset) // PAGE))


class _Named(msgspec.Struct, gc=False):
    patent_id: object = None


_NAMES = msgspec.json.Decoder(list[_Named])
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def joined(first: PagedHits, page: PagedHits) -> PagedHits:
    """Append the hits of the next page; a patent that was on an earlier page is left out."""
    known = set(patents_in(first.array))
    named = patents_in(page.array)
    new = [index for index, id_ in enumerate(named) if id_ is None or id_ not in known]
    array = page.array if len(new) == len(named) else picked(page.array, new)
    before, after = first.paging, page.paging
    return msgspec.structs.replace(
        first,
        array=_appended(first.array, array),
        scores=(*first.scores, *(page.scores[index] for index in new)),
        complete=(*first.complete, *(page.complete[index] for index in new)),
        total=page.total if after.total is not None else first.total,
        paging=msgspec.structs.replace(
            after,
            pages=(*before.pages, *after.pages),
            ranks=(*before.ranks, *(after.ranks[index] for index in new)),
            total=before.total if after.total is None else after.total,
        ),
    )


def patents_in(array: bytes) -> list[str | None]:
    """List the patents of a JSON array of hits; None for a hit that names none."""
    return [hit.patent_id if isinstance(hit.patent_id, str) else None for hit in _NAMES.decode(array)]


def picked(array: bytes, indexes: Iterable[int]) -> bytes:
    """Cut these hits out of a JSON array of hits, byte for byte."""
    raws = _RAWS.decode(array)
    return b"[" + b",".join(bytes(raws[index]) for index in indexes) + b"]"


def _appended(first: bytes, second: bytes) -> bytes:
    """Write two JSON arrays as one."""
    inner = [array.strip()[1:-1].strip() for array in (first, second)]
    return b"[" + b",".join(part for part in inner if part) + b"]"
