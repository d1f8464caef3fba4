"""The newer pair's report: the hits, the comparisons and a line drawing of a task that AI39-submit opened.

Assumed, since the vendor's document does not say it: nothing found is an object without hits, as elsewhere, and an
unknown or old task is 68300004. A `task_status` that is absent decides as it does for AI39-2. A report that compares
patents and counts hits, but sends none of these, is read all the same, for it is paid; one that only counts is refused.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from pipeline.endpoints.interface import Answer, Refusal, Request, posting
from pipeline.endpoints.own_answers import text_of
from pipeline.endpoints.patsnap.ai39_2 import progress_in, read_comparisons, sliced_data
from pipeline.endpoints.patsnap.envelope import number_in, read_data
from pipeline.endpoints.patsnap.hits import judged, refuse_missing_hits, total_of
from pipeline.models import Hits, Kind
from pipeline.picture_formats import JPG_BEGIN, PNG_BEGIN
from pipeline.reports import WholeReport

# A picture may have 4 MB, a drawing of it as much, and base64 makes a third more of it.
MOST_BYTES = 16 << 20
_DRAWING = "line_drawing_base64"


class _Messages(msgspec.Struct):
    patent_messages: msgspec.Raw


class _WithHits(msgspec.Struct):
    patent_messages: _Messages


class _WithDrawing(msgspec.Struct):
    line_drawing_base64: msgspec.Raw


_HITS = msgspec.json.Decoder(_WithHits)
_DRAWN = msgspec.json.Decoder(_WithDrawing)


@dataclass(frozen=True, slots=True)
class WholeReportQuery:
    """The endpoint that tells of a task which searches by itself; `endpoint` and `params` say what was submitted."""

    endpoint: str
    params: Mapping[str, Any]
    kind = Kind.QUERY

    def request(self, asked: str) -> Request:
        """Ask for the report of the task with an id."""
        body = msgspec.json.encode({"task_id": asked})
        return posting(Kind.QUERY, "/ai/image-search/report", body, most_bytes=MOST_BYTES)

    def read(self, answer: Answer) -> WholeReport:
        """Read the state of the task, and what it brings where it is done. Raises Refusal."""
        data, _ = read_data(Kind.QUERY, answer)
        if not isinstance(data, dict):
            raise Refusal("no_data", detail="the data is no object")
        inner = _object(data, "report")
        raw, drawing = _without_drawing(sliced_data(answer), data.get(_DRAWING))
        report = WholeReport(
            progress=progress_in(data),
            comparisons=read_comparisons(inner.get("comparisons")),
            data=raw,
            request_id=answer.request_id,
            at=answer.at,
            hits=None,
            drawing=drawing,
            task_id=text_of(data.get("task_id")),
        )
        if not report.is_in:
            return report
        hits = self._hits(data, raw, answer, compares=bool(report.comparisons))
        return replace(report, hits=hits, lacks_hits=hits.total > 0 and not hits.scores)

    def _hits(self, data: Mapping[str, Any], raw: bytes, answer: Answer, *, compares: bool) -> Hits:
        found = _object(data, "patent_messages")
        hits = found.get("patent_messages")
        hits = [] if hits is None else hits
        if not isinstance(hits, list) or not {dict}.issuperset(map(type, hits)):
            raise Refusal("no_data", detail="patent_messages is no list of hits")
        if not hits and not compares:
            refuse_missing_hits(number_in(found.get("total_search_result_count")) or 0, offset=0)
        scores, complete = judged(hits)
        return Hits(
            array=bytes(_HITS.decode(raw).patent_messages.patent_messages) if hits else b"[]",
            scores=scores,
            complete=complete,
            total=total_of(found.get("total_search_result_count"), hits),
            request_id=answer.request_id,
            at=answer.at,
            endpoint=self.endpoint,
            params=self.params,
        )


def _object(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object in the data; an empty one where there is none. Raises Refusal for anything else."""
    found = data.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise Refusal("no_data", detail=f"{key} is no object")
    return found


def _without_drawing(raw: bytes, sent: Any) -> tuple[bytes, bytes | None]:
    """Take the drawing out of the data, where its digest stays: records do not hold megabytes of a picture each."""
    drawing = _decoded(sent)
    if drawing is None:
        return raw, None
    text = bytes(_DRAWN.decode(raw).line_drawing_base64)
    start = raw.find(text, max(0, raw.find(f'"{_DRAWING}"'.encode())))
    named = f'"sha256:{hashlib.sha256(drawing).hexdigest()}"'.encode()
    return raw[:start] + named + raw[start + len(text) :], drawing


def _decoded(sent: Any) -> bytes | None:
    """Read a `data:` URI of a PNG or JPEG; None for anything else, which stays where it is."""
    if not isinstance(sent, str) or not sent.startswith("data:image/"):
        return None
    head, _, encoded = sent.partition(",")
    if not head.endswith(";base64"):
        return None
    try:
        drawing = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return None
    return drawing if drawing.startswith((PNG_BEGIN, JPG_BEGIN)) else None
