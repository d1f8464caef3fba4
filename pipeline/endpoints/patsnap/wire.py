"""What is said on the wire: requests from values, values from answers. Pure: no I/O, no clock, no aiohttp.

Hits stay the bytes that the vendor sent: an answer is checked as a whole (UTF-8, one value per key, plain numbers), and
what is passed on is proved to be those bytes, or cut out of them.
"""

import hashlib
import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from pipeline.endpoints import strict_json as strict
from pipeline.endpoints.consequences import condition_of_code, condition_of_status
from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.models import Choice, Hits, Kind, Task, Upload

MAX_ANSWER_BYTES = 2 << 20
MAX_TOKEN_BYTES = 64 << 10
_MOST_RESULTS = 2**53  # beyond it a float is no whole number any more, and a record could not hold it
_REQUIRED = ("patent_id", "patent_pn", "title", "url")


class Token(NamedTuple):
    """An access token and how long it lives, in seconds."""

    value: str
    lifetime_s: float


def token_request() -> Request:
    """Ask for an access token; the caller adds the Basic authorization."""
    return Request(
        Kind.TOKEN,
        "POST",
        "/oauth/token",
        body=b"grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
    )


def upload_request(picture: bytes, file_type: str) -> Request:
    """P010: send a local picture (`file_type` is jpeg or png). The file's own name stays with us."""
    boundary = "picture-" + hashlib.sha256(picture).hexdigest()[:32]
    suffix = "jpg" if file_type == "jpeg" else "png"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="picture.{suffix}"\r\n'
        f"Content-Type: image/{file_type}\r\n\r\n"
    )
    body = head.encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    content_type = f"multipart/form-data; boundary={boundary}"
    return Request(Kind.UPLOAD, "POST", "/image-search/image-upload", body=body, content_type=content_type)


def search_request(endpoint: str, url: str, params: Mapping[str, Any]) -> Request:
    """P009 (`params` into the query) or P060 (`params` into the JSON body)."""
    if endpoint == "P009":
        query = (("url", url), *((key, str(value)) for key, value in params.items()))
        return Request(Kind.SEARCH, "GET", "/image-search/search", query=query)
    body = msgspec.json.encode({"url": url, **params})
    return Request(Kind.SEARCH, "POST", "/search/patent/image-single", body=body, content_type="application/json")


def create_request(url: str, choice: Choice, *, report_lang: str, country: list[str] | None) -> Request:
    """AI39-1: open the task; the hits' bytes are spliced in as they came."""
    tail: dict[str, Any] = {"report_lang": report_lang}
    if country:
        tail["country"] = country
    urls, rest = msgspec.json.encode([url]), msgspec.json.encode(tail)[1:]
    body = b"".join((b'{"urls":', urls, b',"patent_messages":', choice.array, b",", rest))
    return Request(
        Kind.CREATE, "POST", "/ai/infringement-detection-creation", body=body, content_type="application/json"
    )


def read_upload(answer: Answer, *, lifetime_s: float) -> Upload:
    """The public URL of an uploaded picture. `lifetime_s` counts where the vendor names none."""
    data, _ = _data(Kind.UPLOAD, answer)
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str) or not url.isprintable() or not url.startswith(("https://", "http://")):
        raise Refusal("no_data", detail="no url in the answer")
    assert isinstance(data, dict)
    named = _number(data.get("expire"))
    return Upload(url, answer.at + min(named or lifetime_s, lifetime_s))


def read_search(answer: Answer, *, endpoint: str = "", params: Mapping[str, Any] | None = None) -> Hits:
    """The hits of a search, as bytes, with what was asked; raises Refusal."""
    data, array = _data(Kind.SEARCH, answer)
    hits = data.get("patent_messages") if isinstance(data, dict) else None
    if not isinstance(hits, list) or not {dict}.issuperset(map(type, hits)):
        raise Refusal("no_data", detail="no patent_messages in the answer")
    assert isinstance(data, dict)
    total = _number(data.get("total_search_result_count"))
    if total is None or not 0 <= total <= _MOST_RESULTS:
        total = len(hits)
    array = array or _sliced(answer)  # refuses half a surrogate pair, which no record could hold
    scores, complete = _judged(hits)
    return Hits(
        array=array,
        scores=scores,
        complete=complete,
        total=int(total),
        request_id=answer.request_id,
        at=answer.at,
        endpoint=endpoint,
        params=params or {},
    )


def read_create(answer: Answer) -> Task:
    """The created task; anything less than a task id is in doubt."""
    data, _ = _data(Kind.CREATE, answer)
    task_id = data.get("task_id") if isinstance(data, dict) else None
    if not isinstance(task_id, str) or not 1 <= len(task_id) <= 128 or not task_id.isprintable():
        raise Refusal("no_task_id")
    return Task(task_id, answer.at)


def read_token(answer: Answer) -> Token:
    """The access token, from the flat or the older nested shape; `expires_in` may be text."""
    granted = answer.status in (200, 201)
    whole = _strict(answer).value if granted else _json_or_none(answer)
    if not granted or not isinstance(whole, dict):
        raise _refusal(Kind.TOKEN, answer, whole)
    nested = whole.get("data")
    inner = nested if isinstance(nested, dict) else whole
    value, lifetime_s = inner.get("token") or inner.get("access_token"), _number(inner.get("expires_in"))
    if not isinstance(value, str) or not value.isprintable() or not value:
        raise _refusal(Kind.TOKEN, answer, whole)
    return Token(value, lifetime_s if lifetime_s and lifetime_s > 0 else 1799.0)


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Full(msgspec.Struct, gc=False):
    """A hit with all that AI39-1 requires."""

    patent_id: _Text
    patent_pn: _Text
    title: _Text
    url: _Text
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


def _judged(hits: list[dict[str, Any]]) -> tuple[tuple[float | None, ...], tuple[bool, ...]]:
    """For each hit its score, and whether it has what AI39-1 requires."""
    try:
        return tuple([hit.score for hit in msgspec.convert(hits, list[_Full])]), (True,) * len(hits)
    except msgspec.ValidationError:
        complete = [all(isinstance(hit.get(key), str) and hit[key] for key in _REQUIRED) for hit in hits]
        return tuple([_number(hit.get("score")) for hit in hits]), tuple(complete)


def _sliced(answer: Answer) -> bytes:
    try:
        return strict.sliced(answer.body)
    except ValueError as exc:
        raise Refusal("malformed", detail=str(exc)) from None


def _data(kind: Kind, answer: Answer) -> tuple[Any, bytes]:
    """The envelope's data, and the bytes of its hits where they are known; raises Refusal."""
    if not 200 <= answer.status < 300:
        raise _refusal(kind, answer, _json_or_none(answer))
    whole, array = _strict(answer)
    if not isinstance(whole, dict) or not isinstance(whole.get("status"), bool):
        raise Refusal("malformed", detail="no envelope")
    if not whole["status"] or whole.get("error_code") not in (0, None, "0"):
        raise _refusal(kind, answer, whole)
    if whole.get("data") is None:
        raise Refusal("no_task_id" if kind is Kind.CREATE else "no_data")
    return whole["data"], array


def _refusal(kind: Kind, answer: Answer, whole: Any) -> Refusal:
    """The error for an answer that is no success.

    A create is not executed only where a whole envelope says so: one that names a task as well, or a code outside an
    envelope, leaves it open, and the same create again might be paid twice.
    """
    retry_after_s = _retry_after_s(answer)
    envelope = whole if isinstance(whole, dict) else {}
    code = _number(envelope.get("error_code"))
    said = envelope.get("error_msg")
    detail = said if isinstance(said, str) else ""
    if kind is Kind.CREATE:
        data = envelope.get("data")
        if envelope.get("status") is True or (isinstance(data, dict) and data.get("task_id")):
            return Refusal("malformed", detail="refused and granted in one answer")
        if envelope.get("status") is not False:
            code = None
    if code:
        number = int(code)
        return Refusal(
            condition_of_code(number),
            code=str(number),
            detail=detail,
            retry_after_s=retry_after_s,
        )
    if 200 <= answer.status < 300:
        return Refusal("unknown_code", detail=detail or "no error text")
    condition = condition_of_status(answer.status)
    return Refusal(condition, code=f"http_{answer.status}", detail=detail, retry_after_s=retry_after_s)


def _retry_after_s(answer: Answer) -> float | None:
    """Seconds, from either form of Retry-After (RFC 9110 10.2.3)."""
    text = answer.headers.get("Retry-After", "")
    try:
        return float(text) if text.isdigit() else max(0.0, parsedate_to_datetime(text).timestamp() - answer.at)
    except (ValueError, OverflowError):
        return None


def _json_or_none(answer: Answer) -> Any:
    try:
        return _strict(answer).value
    except Refusal:
        return None


def _strict(answer: Answer) -> strict.Whole:
    """Decode the whole answer; what is not strict JSON is malformed."""
    try:
        return strict.read(answer.body)
    except (ValueError, RecursionError) as exc:
        reason = "not UTF-8" if isinstance(exc, UnicodeDecodeError) else str(exc).split(":")[0]
        raise Refusal("malformed", detail=reason) from None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
