"""The shapes that every endpoint of every vendor shares. Pure: no I/O, no clock, no HTTP client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from pipeline.models import Choice, Hits, Kind, Task, Upload
from pipeline.reports import Report

MAX_ANSWER_BYTES = 2 << 20

Asked = TypeVar("Asked", contravariant=True)
Got = TypeVar("Got", covariant=True)


class Request(msgspec.Struct, frozen=True):
    """One call, ready for any HTTP client: path and query without the credentials.

    kind          the kind of call: its limiter, its budget, its column in the error table
    query         names and values, not yet encoded
    body          None for a request without one
    content_type  None for a request without a body
    most_bytes    the size after decompression beyond which no answer is read
    """

    kind: Kind
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str | None = None
    most_bytes: int = MAX_ANSWER_BYTES

    def __repr__(self) -> str:
        """Name the call alone: its body may hold a secret, or a picture."""
        return f"Request({self.kind}, {self.method} {self.path})"


def posting(kind: Kind, path: str, body: bytes, *, most_bytes: int = MAX_ANSWER_BYTES) -> Request:
    """Make the request that posts a JSON body."""
    return Request(kind, "POST", path, body=body, content_type="application/json", most_bytes=most_bytes)


class Answer(msgspec.Struct, frozen=True):
    """A whole answer.

    status      the HTTP status
    body        the decoded body
    request_id  the X-Request-ID that was sent with the request
    at          the time when the answer was complete (epoch seconds)
    headers     looked up without regard to case, where the transport gives them
    """

    status: int
    body: bytes
    request_id: str
    at: float
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class Refusal(Exception):
    """A call that brought no result: only what was said or met, and not yet its consequence.

    condition      the row of the vendor's table
    code           the vendor's code or `http_<status>`; the condition's name where there is neither
    detail         the vendor's own words, neither cut nor masked
    retry_after_s  the seconds that the vendor asks to wait; None when it does not ask

    The text of the exception is the condition alone, so that `detail` shows in no traceback.
    """

    def __init__(self, condition: str, *, code: str = "", detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(condition)
        self.condition = condition
        self.code = code or condition
        self.detail = detail
        self.retry_after_s = retry_after_s


class Endpoint(Protocol[Asked, Got]):
    """One of a vendor's endpoints: what is asked becomes a request, its answer a value."""

    @property
    def kind(self) -> Kind:
        """The kind of its calls."""

    def request(self, asked: Asked, /) -> Request:
        """Build the request."""

    def read(self, answer: Answer, /) -> Got:
        """Read the answer. Raises Refusal and nothing else."""


class PictureFile(Protocol):
    """A picture's bytes, and its type: jpeg or png."""

    @property
    def data(self) -> bytes: ...
    @property
    def file_type(self) -> str: ...


class Creation(NamedTuple):
    """The material of a task: the URL of the picture, or of all its views, and the chosen hits."""

    url: str
    choice: Choice


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints that a run uses, each with the parameters of the job; a search is asked with a picture's URL.

    A report is asked for with the id of its task.

    names      per kind of call, the vendor's name of its endpoint
    otherwise  per kind of call, what a person can do whose account may not use its endpoint
    """

    upload: Endpoint[PictureFile, Upload]
    search: Endpoint[str, Hits]
    create: Endpoint[Creation, Task]
    query: Endpoint[str, Report]
    names: Mapping[Kind, str] = field(default_factory=dict)
    otherwise: Mapping[Kind, str] = field(default_factory=dict)
