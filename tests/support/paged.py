"""A vendor with many hits that answers a search page by page, through the job's own requests and readings."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from pipeline.endpoints.interface import Answer
from pipeline.errors import CallError
from pipeline.models import Kind
from pipeline.ports import Endpoint, Meter
from tests.support.fakes import FakeVendor
from tests.support.refusals import read_or_error

Body = Callable[[dict[str, Any]], dict[str, Any]]


def hit(number: int, score: float | None = None) -> dict[str, Any]:
    """Make the hit of a number; by default the first is the most similar."""
    score = round(1 - number / 10_000, 4) if score is None else score
    texts = {"title": f"Täsche {number}", "patent_id": f"p{number}", "patent_pn": f"US{number}S"}
    return {"url": f"https://cdn.example/{number}.png", "score": score, **texts}


def found(hits: Sequence[dict[str, Any]], *, total: int | None = None) -> Body:
    """Answer from these hits; `total` is what the vendor says that there are, None says nothing."""

    def body(asked: dict[str, Any]) -> dict[str, Any]:
        start = int(asked.get("offset", 0))
        page = list(hits[start : start + int(asked["limit"])])
        said = {} if total is None else {"total_search_result_count": total}
        return {"data": {"patent_messages": page, **said}, "status": True}

    return body


def asked_of(request: Any) -> dict[str, Any]:
    """The parameters of a request, whether in its query or its body."""
    if request.body is not None:
        return dict(msgspec.json.decode(request.body))
    return dict(parse_qsl(urlencode(request.query)))


class PagedVendor(FakeVendor):
    """Answers searches with `body`, which is given the parameters. `asked` are those of all searches that were sent."""

    def __init__(self, body: Body, **options: Any) -> None:
        self.asked: list[dict[str, Any]] = []
        self.body = body
        super().__init__(**options)

    async def call(self, endpoint: Endpoint[Any, Any], asked: Any, meter: Meter) -> Any:
        if endpoint.kind is not Kind.SEARCH:
            return await super().call(endpoint, asked, meter)
        request = endpoint.request(asked)
        await super().call(endpoint, asked, meter)
        self.asked.append(asked_of(request) | {"path": request.path})
        raw = json.dumps(self.body(asked_of(request)), ensure_ascii=False).encode()
        answer = Answer(200, raw, f"search-{len(self.asked)}", self.now)
        read = read_or_error(Kind.SEARCH, endpoint.read, answer)
        if isinstance(read, CallError):
            raise read
        return read

    @property
    def offsets(self) -> list[int]:
        """Where each page began that was asked for."""
        return [int(asked.get("offset", 0)) for asked in self.asked]
