"""The token call."""

import pytest

from pipeline.errors import (
    CallError,
    ItemRefused,
    RefreshToken,
    RunStopped,
    TryAgain,
)
from pipeline.models import Kind
from tests.support.answers import (
    TOKEN,
    answer,
    error_of,
    sample,
)


@pytest.mark.parametrize("case", ["token_ok", "token_nested"])
def test_both_shapes_of_a_token_are_read(case: str) -> None:
    assert TOKEN.read(sample(case)) == ("sample-token", 1799.0)


def test_a_token_request_is_a_form() -> None:
    request = TOKEN.request(None)
    assert (request.method, request.path, request.body) == ("POST", "/oauth/token", b"grant_type=client_credentials")
    assert request.content_type == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [(1799, 1799), ("60", 60), (None, 1799), (-5, 1799), ("x", 1799), (0, 1799)]
)
def test_a_token_lives_as_long_as_it_says_and_the_usual_time_when_it_says_nonsense(
    lifetime: object, seconds: float
) -> None:
    assert TOKEN.read(answer({"token": "t", "expires_in": lifetime})).lifetime_s == seconds


@pytest.mark.parametrize(
    ("body", "status", "consequence"),
    [
        ({"data": None, "status": False, "error_code": 67200003, "error_msg": "no"}, 200, RefreshToken),
        ({"data": None, "status": False, "error_code": 67200006, "error_msg": "expired"}, 403, RunStopped),
        ({"error": "invalid_client"}, 400, ItemRefused),
        ({"error": "invalid_client"}, 401, RefreshToken),
        ({"token": ""}, 200, TryAgain),
        (b'{"token":"t","expires_in":NaN}', 200, TryAgain),
        (b'{"token":"t","token":"u"}', 200, TryAgain),
        (True, 200, TryAgain),
        ("token", 200, TryAgain),
        ({"token": "two\nlines"}, 200, TryAgain),
        ([], 200, TryAgain),
        (b"<html>", 200, TryAgain),
        (b"<html>", 503, TryAgain),
    ],
)
def test_a_refused_token_says_what_follows(body: object, status: int, consequence: type[CallError]) -> None:
    assert type(error_of(Kind.TOKEN, answer(body, status=status))) is consequence
