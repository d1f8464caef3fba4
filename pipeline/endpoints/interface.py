"""The shapes that every endpoint of every vendor shares: a request, an answer, and the refusal read from one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.models import Kind


@dataclass(frozen=True, slots=True)
class Request:
    """One call, ready for any HTTP client: path and query without the credentials."""

    kind: Kind
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    status      the HTTP status
    body        the decoded body
    request_id  the X-Request-ID that was sent with the request
    at          when the answer was complete (epoch seconds)
    headers     the answer's headers, whatever their case
    """

    status: int
    body: bytes
    request_id: str
    at: float
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """A call without a result: what was said or met, and nothing of what follows from it.

    condition      the row of the vendor's table
    code           the vendor's code or `http_<status>`; the condition's name where there is neither
    detail         the vendor's own words, neither cut nor masked
    retry_after_s  how long the vendor asks to wait; None when it does not ask

    The text of the exception is the condition alone, so that `detail` shows in no traceback.
    """

    def __init__(self, condition: str, *, code: str = "", detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(condition)
        self.condition = condition
        self.code = code or condition
        self.detail = detail
        self.retry_after_s = retry_after_s
