"""Errors as the client makes them, without a client: what was said, and the table that counts."""

from collections.abc import Callable
from typing import TypeVar

from pipeline.endpoints.consequences import Table, consequence
from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.errors import CallError
from pipeline.models import Kind

_T = TypeVar("_T")


def error_for(
    kind: Kind,
    condition: str,
    *,
    code: str = "",
    detail: str = "",
    retry_after_s: float | None = None,
    sent: bool = True,
    table: Table = TABLE,
) -> CallError:
    """Make the error that follows from a condition."""
    refusal = Refusal(condition, code=code, detail=detail, retry_after_s=retry_after_s)
    return consequence(refusal, kind, table=table, sent=sent)


def read_or_error(kind: Kind, read: Callable[[Answer], _T], answer: Answer) -> _T | CallError:
    """Read an answer, or make the error that follows from what it says."""
    try:
        return read(answer)
    except Refusal as refusal:
        return consequence(refusal, kind, table=TABLE)
