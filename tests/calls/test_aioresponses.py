"""The transport over aioresponses: no socket at all, for the shape of a call and the reading of its answer.

aioresponses replaces `ClientSession._request`, so no request is made that lets an attempt depart: nothing is
counted, no permit is taken, no Authorization is set. What was sent and how often is proved against real sockets, in
test_transport.py.
"""

import re
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aioresponses import aioresponses

from pipeline.calls.transport import open_transport
from pipeline.endpoints.interface import Answer, Creation, Refusal, Request
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.errors import CallError, InDoubt, SlowDown
from pipeline.models import Kind
from tests.support.answers import CREATE, SAMPLES, SEARCH, TOKEN, outcome_of
from tests.support.clients import CHOICE, BareAttempt

pytestmark = pytest.mark.anyio

HOST = "https://connect.patsnap.com"


class Response(aiohttp.ClientResponse):
    """A response with the argument that aiohttp 3.14 asks for and aioresponses 0.7.9 leaves out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=Mock(output_size=0), **kwargs)


async def exchange(request: Request, *, apikey: str | None = None) -> Answer:
    def never() -> None:
        raise AssertionError("the attempt departed: aioresponses has changed, say so above")

    async with open_transport(HOST) as opened:
        return await opened.exchange(request, BareAttempt(apikey=apikey, on_depart=never))


async def test_a_search_is_one_get_with_the_apikey_in_its_query() -> None:
    body = (SAMPLES / "p009_ok" / "200.json").read_bytes()
    with aioresponses() as vendor:
        url = re.compile(rf"{re.escape(HOST)}/image-search/search\?.*")
        vendor.get(url, body=body, headers={"x-openapi-amount": "1"}, response_class=Response)
        answer = await exchange(P009Search(limit=3).request("https://a.example/1.jpg"), apikey="client-1")
        ((method, called),) = vendor.requests
        ((call,),) = vendor.requests.values()
    assert (method, called.path) == ("GET", "/image-search/search")
    assert dict(called.query) == {"url": "https://a.example/1.jpg", "limit": "3", "apikey": "client-1"}
    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["headers"]["X-Request-ID"] == "id-1"
    assert len(SEARCH.read(answer).scores) == 3
    assert answer.headers["x-openapi-amount"] == "1"


@pytest.mark.parametrize(
    ("case", "file", "status", "consequence"),
    [
        ("error_67200002", "200.json", 200, SlowDown),
        ("rate_limited", "429.json", 429, SlowDown),
        ("gateway_html", "502.html", 502, InDoubt),
        ("create_no_task_id", "200.json", 200, InDoubt),
    ],
)
async def test_a_recorded_answer_keeps_its_status_and_meaning(
    case: str, file: str, status: int, consequence: type[CallError]
) -> None:
    with aioresponses() as vendor:
        url = f"{HOST}/ai/infringement-detection-creation"
        body = (SAMPLES / case / file).read_bytes()
        vendor.post(url, status=status, body=body, headers={"Retry-After": "7"}, response_class=Response)
        answer = await exchange(CREATE.request(Creation("https://a.example/1.jpg", CHOICE)))
    assert answer.status == status
    assert type(outcome_of(Kind.CREATE, answer)) is consequence


async def test_an_error_of_aiohttp_becomes_a_refusal() -> None:
    with aioresponses() as vendor:
        vendor.post(f"{HOST}/oauth/token", exception=aiohttp.ServerDisconnectedError())
        with pytest.raises(Refusal) as caught:
            await exchange(TOKEN.request(None))
    assert caught.value.condition == "not_sent"  # the attempt did not depart, so nothing was sent
    assert caught.value.__suppress_context__  # the text of aiohttp's error may hold the apikey
