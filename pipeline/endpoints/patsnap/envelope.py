"""The envelope around every answer (`status`, `error_code`, `error_msg`, `data`): what is in it, or a Refusal."""

import math
from email.utils import parsedate_to_datetime
from typing import Any

from pipeline.endpoints import strict_json
from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.codes import condition_of_code, condition_of_status
from pipeline.models import Kind


def read_data(kind: Kind, answer: Answer) -> tuple[Any, strict_json.Whole]:
    """Return the envelope's data, and the whole answer around it. Raises Refusal."""
    if not 200 <= answer.status < 300:
        raise refusal_in(kind, answer, read_json_or_none(answer))
    whole = read_json(answer)
    envelope = whole.value
    if not isinstance(envelope, dict) or not isinstance(envelope.get("status"), bool):
        raise Refusal("malformed", detail="no envelope")
    if not envelope["status"] or envelope.get("error_code") not in (0, None, "0"):
        raise refusal_in(kind, answer, envelope)
    if envelope.get("data") is None:
        raise Refusal("no_task_id" if kind is Kind.CREATE else "no_data")
    return envelope["data"], whole


def refusal_in(kind: Kind, answer: Answer, whole: Any) -> Refusal:
    """Make the refusal of an answer that is no success; `whole` is its JSON, None where it has none.

    A create is not executed only where a whole envelope says so: one that names a task as well, or a code outside an
    envelope, leaves it open, and the same create again might be paid twice.
    """
    retry_after_s = _retry_after_s(answer)
    envelope = whole if isinstance(whole, dict) else {}
    code = number_in(envelope.get("error_code"))
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
        return Refusal(condition_of_code(number), code=str(number), detail=detail, retry_after_s=retry_after_s)
    if 200 <= answer.status < 300:
        return Refusal("unknown_code", detail=detail or "no error text")
    condition = condition_of_status(answer.status)
    return Refusal(condition, code=f"http_{answer.status}", detail=detail, retry_after_s=retry_after_s)


def read_json(answer: Answer) -> strict_json.Whole:
    """Decode the whole answer. Raises Refusal for what is not strict JSON."""
    try:
        return strict_json.read(answer.body)
    except ValueError as exc:
        reason = "not UTF-8" if isinstance(exc, UnicodeDecodeError) else str(exc).split(":")[0]
        raise Refusal("malformed", detail=reason) from None


def read_json_or_none(answer: Answer) -> Any:
    """Decode the whole answer; None for what is not strict JSON.

    Raises Refusal for JSON that nests too deep: what nobody has read may say that the call was executed.
    """
    try:
        return strict_json.read(answer.body).value
    except strict_json.TooDeep as exc:
        raise Refusal("malformed", detail=str(exc)) from None
    except ValueError:
        return None


def number_in(value: Any) -> float | None:
    """Read a finite number, or one written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _retry_after_s(answer: Answer) -> float | None:
    """Read the seconds from either form of Retry-After (RFC 9110 10.2.3)."""
    text = answer.headers.get("Retry-After", "")
    try:
        return float(text) if text.isdigit() else max(0.0, parsedate_to_datetime(text).timestamp() - answer.at)
    except (ValueError, OverflowError):
        return None
