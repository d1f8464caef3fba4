"""The searches for similar designs: the job's section that all of them share, and the pages that it asks for."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationInfo, model_validator

from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.parameters import Hours, Strict, seconds_of, was_run
from pipeline.endpoints.patsnap.hits import read_hits
from pipeline.endpoints.patsnap.pages import DEEPEST, NextPage, Question, read_page
from pipeline.models import Hits, Kind
from pipeline.paging import PAGE, pages_between
from pipeline.system.wording import enumerated


class Filters(Strict):
    """The optional parameters of a search; a key that is not set is not sent."""

    PHRASES: ClassVar[Mapping[str, str]] = {}  # per filter that hides something: a phrase for what it leaves out
    MEANINGS: ClassVar[Mapping[str, Mapping[str, str]]] = {}  # per filter of codes: the codes in words a person knows

    def asked(self) -> dict[str, Any]:
        """List the parameters that were set, as the vendor's names and values."""
        return self.model_dump(exclude_none=True)

    @classmethod
    def left_out_by(cls, params: Mapping[str, Any]) -> list[str]:
        """List what filters with these values leave out of sight, one phrase each, for people."""
        return [
            phrase.format(_shown(value, cls.MEANINGS.get(key)))
            for key, value in params.items()
            if value and (phrase := cls.PHRASES.get(key))
        ]

    def unfit_for_tasks(self) -> str | None:
        """Say why the first hits would not be the most similar ones; None when they are."""
        return None


class Search(Strict):
    """The `search` section of a job, which is the endpoint that its pictures are searched with.

    Each endpoint has a subclass: `endpoint` (its name in jobs and records), `filters`, what else it takes, `request`.
    """

    kind: ClassVar[Kind] = Kind.SEARCH
    TAKES_VIEWS: ClassVar[bool] = False  # whether several views of one product are one search

    limit: Annotated[int, Field(ge=1, le=100, description="Hits asked for")] = 100
    min_score: Annotated[int | float, Field(ge=0, le=1, description="Hits below it do not reach the task")] = 0.0
    depth: Annotated[
        int, Field(ge=1, le=DEEPEST, description="Hits looked at: beyond the first 100 each page of 100 is paid")
    ] = PAGE
    reuse: Hours = Field(
        default="0h",
        description="Take searches, tasks and reports of other run directories that are not older: 0h to 9h, or 90m",
    )
    if TYPE_CHECKING:  # fields of the subclasses, declared there to keep their order in job files
        endpoint: Any = ""
        filters: Filters = Filters()

    @model_validator(mode="after")
    def _pages_are_whole_and_within_reach(self, info: ValidationInfo) -> Self:
        if self.depth <= PAGE or was_run(info):
            return self
        if self.limit != PAGE:
            raise ValueError(
                f"search.depth: {self.depth} takes pages of {PAGE} hits, each paid; leave search.limit out (it is "
                f"{self.limit}), or write depth: {PAGE}"
            )
        if self._offset + self.depth > DEEPEST:
            raise ValueError(
                f"search.depth: the vendor shows {DEEPEST:,} hits of a picture, and search.filters.offset leaves out "
                f"{self._offset:,}; write depth: {DEEPEST - self._offset}"
            )
        return self

    @property
    def reuse_s(self) -> float:
        """The age in seconds up to which searches of other run directories are reused; 0 = never."""
        return seconds_of(self.reuse)

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters of every call beside the picture, as the vendor's names and values."""
        return {"limit": self.most, **self.filters.asked()}

    @property
    def most(self) -> int:
        """Hits that the first page asks for."""
        return min(self.limit, self.depth)

    @property
    def by_score(self) -> bool:
        """True if the hits come by their scores, the highest first."""
        return True

    @property
    def further(self) -> str:
        """The vendor's name of the endpoint that further pages are asked of, where it is another one; else ""."""
        return ""

    def request(self, asked: str) -> Request:
        """Search the picture at a URL."""
        raise NotImplementedError

    def of_picture(self, asked: str) -> "Search":
        """Return the search for what is asked: another endpoint may be the one for a single picture."""
        return self

    def read(self, answer: Answer) -> Hits:
        """Read the hits. Raises Refusal."""
        if self.depth <= PAGE:
            return read_hits(answer, endpoint=self.endpoint, params=self.params)
        return read_page(answer, self.question, offset=self._offset)

    def asked(self) -> dict[str, Any]:
        """Return the section as a run directory remembers it: what it asks of the vendor, and no default of later."""
        default = {"depth"} if self.depth == PAGE else set()
        return self.model_dump(mode="json", exclude_none=True, exclude={"reuse", *default})

    def pages_left(self, hits: Hits | None) -> int:
        """Count the pages that are still to be asked for, at most; `hits` are those that are paid."""
        if hits is None:
            return 1 if self.depth <= PAGE else pages_between(self._offset, self.question.end)
        return 0 if self.depth <= PAGE else pages_between(self.question.next_of(hits), self.question.end)

    def next_page(self, hits: Hits, *, now: float) -> NextPage | None:
        """Return the endpoint that brings the page after these hits; None when they are all that is asked for."""
        if self.depth <= PAGE or (offset := self.question.next_of(hits)) is None:
            return None
        return self._page_at(offset, hits, now=now)

    def _page_at(self, offset: int, hits: Hits, *, now: float) -> NextPage:
        return NextPage(self.question, offset, self._only(offset).request)

    def _only(self, offset: int) -> Self:
        """Return the search for the page at `offset` alone."""
        filters = self.filters.model_copy(update={"offset": offset})
        page = self.model_copy(update={"limit": self.question.length_at(offset), "depth": PAGE, "filters": filters})
        for cached in ("params", "question"):
            page.__dict__.pop(cached, None)  # the copy keeps what was cached of the whole search
        return page

    @cached_property
    def question(self) -> Question:
        """The question that is asked page by page."""
        params, start = self.params, self._offset
        return Question(self.endpoint, params, start, start + self.depth, self.by_score, self.min_score)

    @property
    def _offset(self) -> int:
        return getattr(self.filters, "offset", None) or 0

    @classmethod
    def left_out_by(cls, params: Mapping[str, Any]) -> list[str]:
        """List what a search with these parameters leaves out of sight beside the hits beyond its limit, for people."""
        filters: type[Filters] = cls.model_fields["filters"].annotation  # type: ignore[assignment]
        return [*filters.left_out_by(params), cls._other_patents(params)]

    def not_looked_at(self) -> list[str]:
        """List what the search leaves out of sight, one phrase each, for people."""
        low = self.depth > PAGE and self.by_score and self.min_score > 0
        early = [f"pages after one that ends with a hit below {self.min_score:g}"] if low else []
        return [*self.left_out_by(self.params), beyond_limit(self.params, depth=self.depth), *early]

    def warnings(self, *, task_country: list[str] | None) -> list[str]:
        """List what is allowed but probably not meant; `task_country` is None when no task is limited to countries."""
        return []

    @classmethod
    def _other_patents(cls, _: Mapping[str, Any]) -> str:
        return "utility models"


def beyond_limit(params: Mapping[str, Any], *, depth: int = 0) -> str:
    """Say which hits a search with these parameters, and perhaps of several pages, does not ask for."""
    if depth > PAGE:
        return f"hits beyond the first {depth:,}"
    return f"hits beyond the first {params['limit']}" if "limit" in params else "hits beyond those returned"


def _shown(value: Any, meanings: Mapping[str, str] | None) -> str:
    if meanings is not None:
        words = [meanings.get(code, f"status {code}") for code in str(value).split(",")]
        return enumerated(words, "or")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
