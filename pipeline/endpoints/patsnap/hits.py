"""The hits in the answer of a search, as bytes.

Hits stay the bytes that the vendor sent: an answer is checked as a whole (UTF-8, one value per key, plain numbers), and
what is passed on is proved to be those bytes, or cut out of them.
"""

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pipeline.endpoints import strict_json
from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.envelope import number_in, read_data
from pipeline.endpoints.strict_json import NonEmpty, Score
from pipeline.models import Hits, Kind
from pipeline.system.wording import count

_MOST_RESULTS = 2**53  # beyond it a float is no whole number any more, and a record could not hold it
_SCORE = operator.itemgetter("score")
_REQUIRED = ("patent_id", "patent_pn", "title", "url")


class Found(NamedTuple):
    """The hits of one answer, with what else pages need of it.

    total   results at the vendor; None where it does not say
    data    the answer's data
    """

    hits: Hits
    total: int | None
    data: Mapping[str, Any]


def read_hits(answer: Answer, *, endpoint: str, params: Mapping[str, Any]) -> Hits:
    """Read the hits of a search, as bytes, with what was asked. Raises Refusal."""
    return read_found(answer, endpoint=endpoint, params=params, offset=params.get("offset", 0)).hits


def read_found(
    answer: Answer, *, endpoint: str, params: Mapping[str, Any], offset: int, later_page: bool = False
) -> Found:
    """Read the hits of a search, or of a `later_page` of it, which may lie past the end. Raises Refusal.

    No hits come as an empty list, or without any list: `"data":{}` was seen, and null says the same.
    """
    data, whole = read_data(Kind.SEARCH, answer)
    if not isinstance(data, dict):
        raise Refusal("no_data", detail="the data is no object")
    hits = data.get("patent_messages")
    total = number_in(data.get("total_search_result_count"))
    if not hits and (hits is None or isinstance(hits, list)):
        if not (later_page and (total or 0) <= offset):
            refuse_missing_hits(total or 0, offset=offset)
        hits, array = [], b"[]"
    elif not isinstance(hits, list) or (not whole.usual and not {dict}.issuperset(map(type, hits))):
        raise Refusal("no_data", detail="patent_messages is no list of hits")
    else:
        array = whole.hits or _sliced(answer)  # refuses half a surrogate pair, which no record could hold
    said = total_in(total)
    scores, complete = judged(hits, usual=whole.usual)
    found = Hits(
        array=array,
        scores=scores,
        complete=complete,
        total=len(hits) if said is None else said,
        request_id=answer.request_id,
        at=answer.at,
        endpoint=endpoint,
        params=params,
    )
    return Found(found, said, data)


def total_in(said: Any) -> int | None:
    """Read how many results there are in all; None where nothing usable is said."""
    total = number_in(said)
    return int(total) if total is not None and 0 <= total <= _MOST_RESULTS else None


def total_of(said: Any, hits: list[Any]) -> int:
    """Read how many results there are in all; as many as there are hits where nothing usable is said."""
    total = total_in(said)
    return len(hits) if total is None else total


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


def judged(hits: list[dict[str, Any]], *, usual: bool = False) -> tuple[tuple[float | None, ...], tuple[bool, ...]]:
    """Return for each hit its score, and whether it has all that AI39-1 requires; `usual` ones are known to."""
    if usual:
        try:
            scores = tuple(map(_SCORE, hits))
        except KeyError:
            scores = tuple([hit.get("score") for hit in hits])
        return scores, (True,) * len(hits)
    try:
        full = msgspec.convert(hits, list[_Full])
    except msgspec.ValidationError:
        complete = [all(isinstance(hit.get(key), str) and hit[key] for key in _REQUIRED) for hit in hits]
        return tuple([number_in(hit.get("score")) for hit in hits]), tuple(complete)
    return tuple([hit.score for hit in full]), (True,) * len(hits)


def _sliced(answer: Answer) -> bytes:
    try:
        return strict_json.sliced(answer.body)
    except ValueError as exc:
        raise Refusal("malformed", detail=str(exc)) from None
