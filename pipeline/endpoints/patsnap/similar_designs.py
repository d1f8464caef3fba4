"""The searches for similar designs: the job's section that all of them share, and the hits in their answer.

Hits stay the bytes that the vendor sent: an answer is checked as a whole (UTF-8, one value per key, plain numbers), and
what is passed on is proved to be those bytes, or cut out of them.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from pydantic import Field

from pipeline.endpoints import strict_json
from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.endpoints.parameters import Strict, not_yet
from pipeline.endpoints.patsnap.envelope import number_in, read_data
from pipeline.endpoints.strict_json import NonEmpty, Score, UsualHit
from pipeline.models import Hits, Kind
from pipeline.system.wording import count, enumerated

_MOST_RESULTS = 2**53  # beyond it a float is no whole number any more, and a record could not hold it
_REQUIRED = ("patent_id", "patent_pn", "title", "url")


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

    limit: Annotated[int, Field(ge=1, le=100, description="Hits asked for")] = 100
    min_score: Annotated[int | float, Field(ge=0, le=1, description="Hits below it do not reach the task")] = 0.0
    depth: Annotated[int | None, not_yet("depth (pages beyond the first 100 hits)"), Field(exclude=True)] = None
    if TYPE_CHECKING:  # fields of the subclasses, declared there to keep their order in job files
        endpoint: Any = ""
        filters: Filters = Filters()

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters of every call beside the picture, as the vendor's names and values."""
        return {"limit": self.limit, **self.filters.asked()}

    def request(self, asked: str) -> Request:
        """Search the picture at a URL."""
        raise NotImplementedError

    def read(self, answer: Answer) -> Hits:
        """Read the hits. Raises Refusal."""
        return read_hits(answer, endpoint=self.endpoint, params=self.params)

    @classmethod
    def left_out_by(cls, params: Mapping[str, Any]) -> list[str]:
        """List what a search with these parameters leaves out of sight beside the hits beyond its limit, for people."""
        filters: type[Filters] = cls.model_fields["filters"].annotation  # type: ignore[assignment]
        return [*filters.left_out_by(params), cls._other_patents(params)]

    def not_looked_at(self) -> list[str]:
        """List what the search leaves out of sight, one phrase each, for people."""
        return [*self.left_out_by(self.params), beyond_limit(self.params)]

    def warnings(self, *, task_country: list[str] | None) -> list[str]:
        """List what is allowed but probably not meant; `task_country` is None when no task is limited to countries."""
        return []

    @classmethod
    def _other_patents(cls, _: Mapping[str, Any]) -> str:
        return "utility models"


def beyond_limit(params: Mapping[str, Any]) -> str:
    """Say which hits a search with these parameters does not ask for."""
    return f"hits beyond the first {params['limit']}" if "limit" in params else "hits beyond those returned"


def read_hits(answer: Answer, *, endpoint: str, params: Mapping[str, Any]) -> Hits:
    """Read the hits of a search, as bytes, with what was asked. Raises Refusal.

    No hits come as an empty list, or without any list: `"data":{}` was seen, and null says the same.
    """
    data, whole = read_data(Kind.SEARCH, answer)
    if not isinstance(data, dict):
        raise Refusal("no_data", detail="the data is no object")
    hits = data.get("patent_messages")
    total = number_in(data.get("total_search_result_count"))
    if not hits and (hits is None or isinstance(hits, list)):
        refuse_missing_hits(total or 0, offset=params.get("offset", 0))
        hits, array = [], b"[]"
    elif not isinstance(hits, list) or (whole.usual is None and not {dict}.issuperset(map(type, hits))):
        raise Refusal("no_data", detail="patent_messages is no list of hits")
    else:
        array = whole.hits or _sliced(answer)  # refuses half a surrogate pair, which no record could hold
    scores, complete = judged(hits, whole.usual)
    return Hits(
        array=array,
        scores=scores,
        complete=complete,
        total=total_of(total, hits),
        request_id=answer.request_id,
        at=answer.at,
        endpoint=endpoint,
        params=params,
    )


def total_of(said: Any, hits: list[Any]) -> int:
    """Read how many results there are in all; as many as there are hits where nothing usable is said."""
    total = number_in(said)
    return int(total) if total is not None and 0 <= total <= _MOST_RESULTS else len(hits)


def refuse_missing_hits(total: float, *, offset: int) -> None:
    """Raise Refusal where the vendor counts hits and sent none: nothing found is another thing."""
    if 0 < total <= offset:
        raise Refusal("past_the_end", detail=f"{count(round(total), 'hit')} in all, and offset leaves out {offset:,}")
    if total > 0:
        raise Refusal("hits_missing", detail=f"total_search_result_count is {total:,.0f}")


class _Full(msgspec.Struct, gc=False):
    """A hit with all that AI39-1 requires, and perhaps more."""

    patent_id: NonEmpty
    patent_pn: NonEmpty
    title: NonEmpty
    url: NonEmpty
    score: Score = None


def judged(
    hits: list[dict[str, Any]], usual: list[UsualHit] | None
) -> tuple[tuple[float | None, ...], tuple[bool, ...]]:
    """Return for each hit its score, and whether it has all that AI39-1 requires."""
    try:
        full = usual if usual is not None else msgspec.convert(hits, list[_Full])
    except msgspec.ValidationError:
        complete = [all(isinstance(hit.get(key), str) and hit[key] for key in _REQUIRED) for hit in hits]
        return tuple([number_in(hit.get("score")) for hit in hits]), tuple(complete)
    return tuple([hit.score for hit in full]), (True,) * len(hits)


def _sliced(answer: Answer) -> bytes:
    try:
        return strict_json.sliced(answer.body)
    except ValueError as exc:
        raise Refusal("malformed", detail=str(exc)) from None


def _shown(value: Any, meanings: Mapping[str, str] | None) -> str:
    if meanings is not None:
        words = [meanings.get(code, f"status {code}") for code in str(value).split(",")]
        return enumerated(words, "or")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
