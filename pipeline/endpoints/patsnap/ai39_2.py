"""AI39-2: ask for the report of a task that AI39-1 opened.

Assumed, since the vendor's page does not say it: a running task may also answer `"data":{}` or a null list, an answer
may lack `task_status`, a task that is unknown or older than 8 hours is 68300004 as any wrong parameter is, and one
report has all its scores on one scale, which is per cent as soon as one of them is above 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pipeline.endpoints import strict_json
from pipeline.endpoints.interface import Answer, Refusal, Request, posting
from pipeline.endpoints.own_answers import text_of
from pipeline.endpoints.patsnap.envelope import number_in, read_data
from pipeline.models import Kind
from pipeline.reports import Comparison, Progress, Report

_PER_CENT = 100.0
_MOST = 2**53  # beyond it a float is no whole number any more
_TEXTS = (
    "patent_id",
    "patent_pn",
    "title",
    "country",
    "similar",
    "difference",
    "confusion",
    "risk_desc",
    "risk_level",
    "suggestion",
    "patent_image_url",
)


class ReportQuery:
    """The endpoint that tells of a task: running, failed, or done with a report."""

    kind = Kind.QUERY

    def request(self, asked: str) -> Request:
        """Ask for the report of the task with an id."""
        body = msgspec.json.encode({"task_id": asked})
        path = "/ai/infringement-detection-query"
        return posting(Kind.QUERY, path, body)

    def read(self, answer: Answer) -> Report:
        """Read the state of the task, and its report where there is one. Raises Refusal."""
        data, _ = read_data(Kind.QUERY, answer)
        if not isinstance(data, dict):
            raise Refusal("no_data", detail="the data is no object")
        return Report(
            progress=progress_in(data),
            comparisons=read_comparisons(data.get("comparisons")),
            data=sliced_data(answer),
            request_id=answer.request_id,
            at=answer.at,
            task_id=text_of(data.get("task_id")),
        )


def progress_in(data: Mapping[str, Any]) -> Progress:
    """Read `task_status`. A number that nobody has told us of says as little as none."""
    number = number_in(data.get("task_status"))
    return Progress(int(number)) if number in (Progress.RUNNING, Progress.DONE, Progress.FAILED) else Progress.UNSAID


def read_comparisons(found: Any) -> tuple[Comparison, ...]:
    """Read a list of comparisons; null and no list at all are an empty one. Raises Refusal."""
    if found is None:
        return ()
    if not isinstance(found, list) or not {dict}.issuperset(map(type, found)):
        raise Refusal("no_data", detail="comparisons is no list of objects")
    scores = [number_in(each.get("score")) for each in found]
    scaled = _from_0_to_1(scores)
    return tuple(map(_comparison, found, scores, scaled))


def sliced_data(answer: Answer) -> bytes:
    """Cut `data` out of an answer, as the bytes that came. Raises Refusal where no record could hold them."""
    try:
        return strict_json.sliced_data(answer.body)
    except ValueError as exc:
        raise Refusal("malformed", detail=str(exc)) from None


def _from_0_to_1(scores: Sequence[float | None]) -> list[float | None]:
    """Bring the scores of one report to 0 to 1; None for one that was not sent, or is on neither scale."""
    divisor = _PER_CENT if any(score is not None and score > 1 for score in scores) else 1.0
    return [score / divisor if score is not None and 0 <= score <= divisor else None for score in scores]


def _comparison(sent: Mapping[str, Any], score: float | None, scaled: float | None) -> Comparison:
    texts = {key: value for key in _TEXTS if isinstance(value := sent.get(key), str)}
    status = number_in(sent.get("status"))
    known = {
        "patent_id": "",  # one that the vendor did not name is kept all the same
        **texts,
        "status": int(status) if status is not None and abs(status) < _MOST and status.is_integer() else None,
        "score": score,
        "score_of_1": scaled,
    }
    return msgspec.convert(known, Comparison)
