"""The pages of a search beyond its first hundred hits: what each asks for, how it is read, and after which one to stop.

Assumptions: past its end a search answers with an empty list (the vendor does not say so). An empty page within the
total that the vendor names is no answer of that kind; it is refused like a first page without its hits.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.endpoints.own_answers import refuse_another
from pipeline.endpoints.patsnap.hits import Found, read_found
from pipeline.models import Hits, Kind
from pipeline.paging import PAGE, Page, PagedHits, Paging, paging_of

_TOO_OLD = ("68300004", "hits_missing")  # how the vendor may answer for a search_id that it has forgotten
DEEPEST = 1100  # the vendor's highest offset is 1000, its longest page 100 hits


class Question(NamedTuple):
    """A job's question to a search that may take several pages.

    params      the parameters of its first page
    offset      the places that the job itself leaves out
    end         the place after which nothing is asked for
    by_score    whether the hits come by their scores, the highest first
    min_score   the score below which no hit is wanted; 0 wants all
    """

    endpoint: str
    params: Mapping[str, Any]
    offset: int
    end: int
    by_score: bool
    min_score: float

    def is_of(self, hits: Hits) -> bool:
        """Return whether these hits answer the same question: a job may have been changed since its first page."""
        return hits.endpoint == self.endpoint and dict(hits.params) == dict(self.params)

    def length_at(self, offset: int) -> int:
        """Return how many hits the page at `offset` asks for."""
        return min(PAGE, self.end - offset)

    def next_of(self, hits: Hits) -> int | None:
        """Return where the next page begins; None when there is none to ask for."""
        paging = paging_of(hits)
        if paging is None or paging.next_offset is None or paging.next_offset >= self.end or not self.is_of(hits):
            return None
        return paging.next_offset


@dataclass(frozen=True, slots=True)
class NextPage:
    """The endpoint that brings one more page of a search.

    named   the paging with the search_id by which the page is asked for, and which may have expired; None where the
            picture is searched anew
    """

    question: Question
    offset: int
    ask: Callable[[str], Request]
    named: Paging | None = None
    kind = Kind.SEARCH

    def request(self, asked: str) -> Request:
        """Ask for the page of the picture at a URL."""
        return self.ask(asked)

    def read(self, answer: Answer) -> PagedHits:
        """Read the page. Raises Refusal; with `old_search_id` the page is to be searched anew."""
        if self.named is None:
            return read_page(answer, self.question, offset=self.offset)
        try:
            page = read_page(answer, self.question, offset=self.offset)
        except Refusal as refusal:
            if refusal.condition not in _TOO_OLD:
                raise
            code = refusal.code if refusal.condition == "68300004" else ""
            raise Refusal("old_search_id", code=code, detail=refusal.detail) from None
        refuse_another("search_id", page.paging.search_id, asked=self.named.search_id)
        if not page.scores and self.offset < (self.named.total or 0):
            raise Refusal("old_search_id", detail=f"an empty page at {self.offset} of {self.named.total}")
        return page.with_paging(search_id=self.named.search_id, named_at=self.named.named_at)


def read_page(answer: Answer, question: Question, *, offset: int) -> PagedHits:
    """Read the page of a search at `offset`. Raises Refusal."""
    later = offset > question.offset
    found = read_found(answer, endpoint=question.endpoint, params=question.params, offset=offset, later_page=later)
    hits, number = found.hits, len(found.hits.scores)
    search_id = found.data.get("search_id")
    paging = Paging(
        pages=(Page(offset, number, answer.request_id, answer.at),),
        ranks=tuple(range(offset + 1, offset + number + 1)),
        by_score=question.by_score,
        end=question.end,
        total=found.total,
        next_offset=_after(found, question, offset=offset),
        search_id=search_id if isinstance(search_id, str) and search_id.isprintable() else "",
        named_at=answer.at,
    )
    return PagedHits.of(hits, paging)


def _after(found: Found, question: Question, *, offset: int) -> int | None:
    """Return where the page after this one begins; None when it is the last.

    It is the last where the asked depth, or the vendor's total, is reached; where it has no hits, or fewer than asked
    for and nobody says how many there are; and where its last hit scores below what is asked for.
    """
    scores = found.hits.scores
    following = offset + PAGE
    if following >= question.end or not scores:
        return None
    if (following >= found.total) if found.total is not None else (len(scores) < question.length_at(offset)):
        return None
    last = scores[-1]
    if question.by_score and last is not None and last < question.min_score:
        return None
    return following
