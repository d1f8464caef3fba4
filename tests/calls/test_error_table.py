"""T1, end to end: every code and every fault, for a search, a create and a query, met once and met always.

A real server on a real socket, in virtual time: a pause of minutes costs nothing. How often the server was asked,
what was counted, and how the call ended are written out here once more.
"""

from typing import NamedTuple

import anyio
import pytest

from pipeline.errors import CallError, GivenUp, InDoubt, ItemRefused, RunPaused, RunStopped, TryAgain
from pipeline.models import Kind
from tests.support import misbehaving as bad
from tests.support.clients import API_KEY, CREATE, QUERY, SEARCH, Call, FakeMeter, client_at
from tests.support.misbehaving import CREATED, NO_HITS, Misbehaving, Script, Seen, answers, envelope, http, then
from tests.support.virtual_time import run_virtually

OK = type(None)  # the call ends well


class Row(NamedTuple):
    """The ends of a search and of a create, with the requests they took, if this is met once and if always.

    A query ends as a search does: it may be repeated.
    """

    search_once: tuple[type, int]
    search_always: tuple[type, int]
    create_once: tuple[type, int]
    create_always: tuple[type, int]

    def of(self, call: Call, often: str) -> tuple[type, int]:
        """The end of a call, and the requests it took."""
        kind = "create" if call.kind is Kind.CREATE else "search"
        found: tuple[type, int] = getattr(self, f"{kind}_{often}")
        return found


def both(once: tuple[type, int], always: tuple[type, int]) -> Row:
    return Row(once, always, once, always)


def in_passing(attempts: int) -> Row:
    """Tried again where that is safe; a create is in doubt at once."""
    return Row((OK, 2), (TryAgain, attempts), (InDoubt, 1), (InDoubt, 1))


def final(error: type) -> Row:
    return both((error, 1), (error, 1))


PAUSED = (CallError, 0)  # for an hour: test_pauses.py and test_client_pauses.py
WAITS = PAUSED  # for a quarter of an hour at the slowest rate, then the run ends: test_refused_for_speed.py
SLOWER = both((OK, 2), WAITS)
CODES: dict[int, Row] = {
    67200000: Row((OK, 2), PAUSED, (InDoubt, 1), (InDoubt, 1)),
    67200001: both((OK, 2), PAUSED),
    67200002: SLOWER,
    67200003: final(RunStopped),  # an API key cannot be refreshed
    67200004: final(RunStopped),
    67200005: final(RunPaused),
    67200006: final(RunStopped),
    67200007: final(RunPaused),
    67200008: final(RunStopped),
    67200009: final(RunStopped),
    67200012: final(ItemRefused),
    67200100: in_passing(4),
    67200101: final(RunStopped),
    68300004: final(ItemRefused),
    68300005: in_passing(3),
    68300006: in_passing(4),
    68300007: final(ItemRefused),
    68300008: in_passing(4),
    68300010: final(ItemRefused),
    68399999: in_passing(2),  # nobody knows it
}
REDIRECTED = Row((RunStopped, 1), (RunStopped, 1), (InDoubt, 1), (InDoubt, 1))
PAGE = b"<html>said by a gateway</html>"
FAULTS: dict[str, tuple[Script, Row]] = {
    "HTTP 301": (
        then(http(301, b"", "Location: http://127.0.0.1:9/")),
        Row(*[(RunStopped, 1)] * 2, *[(InDoubt, 1)] * 2),
    ),
    "HTTP 400": (then(http(400, PAGE)), final(ItemRefused)),
    "HTTP 401": (then(http(401, PAGE)), final(RunStopped)),
    "HTTP 404": (then(http(404, PAGE)), final(ItemRefused)),
    "HTTP 408": (then(http(408, PAGE)), in_passing(4)),
    "HTTP 413": (then(http(413, PAGE)), final(ItemRefused)),
    "HTTP 429": (then(http(429, PAGE, "Retry-After: 2")), SLOWER),
    "HTTP 500": (then(http(500, PAGE)), in_passing(4)),
    "HTTP 503": (then(http(503, PAGE, "Retry-After: 20")), in_passing(4)),
    "reset": (bad.reset_after_request, in_passing(4)),
    "no answer in time": (bad.hang, in_passing(4)),
    "a short body": (bad.half_body, in_passing(4)),
    "no JSON": (bad.garbage, in_passing(4)),
    "too large": (bad.oversized, in_passing(4)),
    "success without data": (then(http(200, b'{"status":true,"error_code":0,"error_msg":""}')), in_passing(2)),
}
TABLE = {str(code): (then(http(200, envelope(code), "Connection: close")), row) for code, row in CODES.items()} | FAULTS
NOTHING = answers(http(200, NO_HITS))
GOOD = {Kind.SEARCH: NOTHING, Kind.CREATE: answers(http(200, CREATED)), Kind.QUERY: NOTHING}
CASES = [
    pytest.param(met, call, often, id=f"{met}-{call.kind.value}-{often}")
    for met, (_, row) in TABLE.items()
    for call in (SEARCH, CREATE, QUERY)
    for often in ("once", "always")
    if row.of(call, often) != PAUSED
]


def test_the_table_has_the_nineteen_codes_an_unknown_one_and_fourteen_faults() -> None:
    assert len(CODES) == 19 + 1
    assert len(FAULTS) >= 14


@pytest.mark.parametrize(("met", "call", "often"), CASES)
def test_what_is_met_ends_as_the_table_says_after_as_many_requests(met: str, call: Call, often: str) -> None:
    script, row = TABLE[met]
    expected, requests = row.of(call, often)

    async def scenario() -> tuple[CallError | None, FakeMeter, list[Seen]]:
        meter = FakeMeter()
        scripts = (script, GOOD[call.kind]) if often == "once" else (script,)
        async with Misbehaving(*scripts) as server, client_at(server.url, credentials=API_KEY) as client:
            with anyio.fail_after(24 * 3600.0):
                try:
                    await call.make(client, meter)
                except GivenUp as given_up:
                    return given_up.error, meter, server.seen
                except CallError as error:
                    return error, meter, server.seen
        return None, meter, server.seen

    error, meter, seen = run_virtually(scenario)
    assert len(seen) == meter.total == requests
    assert len({request.headers["x-request-id"] for request in seen}) == requests
    assert isinstance(error, expected)
    doubtful = isinstance(error, InDoubt)
    assert doubtful == (expected is InDoubt)
    # What was refused or may be repeated is taken back; what ended well, or may have been executed, is not.
    assert meter.taken_back == [True] * (requests - (error is None or doubtful))
