"""The statement of account: what is asked, what is read of every shape, and that nothing shows the secret."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st

from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.statement import AccountStatement, Asked, Used, closes_at, day_of
from tests.support.answers import sample
from tests.support.fuzzing import JSON, fuzzed

STATEMENT = AccountStatement()
DAY = date(2026, 11, 25)
ROW = {"request_path": "/search/patent/image-single", "usage_times": 3, "fee_times": 2, "used_money": 0.3}


def read(data: Any) -> tuple[Used, ...]:
    body = json.dumps({"data": data, "status": True, "error_code": 0}).encode()
    return STATEMENT.read(Answer(200, body, "r", 0.0))


def test_body_holds_all_four_and_neither_question_nor_request_shows_the_secret() -> None:
    asked = Asked("client-1", "secret-2", DAY, DAY)
    request = STATEMENT.request(asked)
    assert (request.method, request.path) == ("POST", "/open-user/statement/v2")
    assert json.loads(request.body or b"") == {
        "apikey": "client-1",
        "client_secret": "secret-2",
        "time_start": "20261125",
        "time_end": "20261125",
    }
    assert "secret-2" not in repr(asked) + repr(request) + str(request.query)


def test_example_of_the_contract_is_read() -> None:
    assert STATEMENT.read(sample("statement_ok")) == (
        Used("/search/patent/image-single", "P060", 120, 118, Decimal("236.0")),
        Used("/ai/image-search/submit", "AI39-submit", 40, None, Decimal(0)),
    )


def test_nothing_used_is_nothing_and_no_fault() -> None:
    assert STATEMENT.read(sample("statement_nothing_used")) == ()
    assert read({"usage": None, "combo_usage": []}) == ()


def test_rows_of_one_path_are_added_up_exactly() -> None:
    """A statement may have a row for each day, and one in a package beside."""
    combo = {"url": ROW["request_path"], "used_num": 5}
    assert read({"usage": [ROW, ROW, ROW], "combo_usage": [combo]}) == (
        Used("/search/patent/image-single", "P060", 14, 6, Decimal("0.9")),
    )


def test_endpoint_that_nobody_named_here_has_the_vendors_name() -> None:
    assert read({"usage": [ROW | {"request_path": "/a/b", "serial_number": "X1"}]})[0].name == "X1"
    assert read({"usage": [ROW | {"request_path": "/a/b", "serial_number": "\x1b[31m"}]})[0].name == "/a/b"


@pytest.mark.parametrize(
    "data",
    [
        [],
        "x",
        {"usage": {}},
        {"usage": [1]},
        {"usage": [ROW | {"request_path": None}]},
        {"usage": [ROW | {"request_path": "/a\x1b[31m"}]},
        {"usage": [ROW | {"usage_times": -1}]},
        {"usage": [ROW | {"fee_times": 1.5}]},
        {"usage": [ROW | {"fee_times": None}]},
        {"usage": [ROW | {"used_money": "much"}]},
        {"combo_usage": [{"url": "/a"}]},
    ],
)
def test_statement_that_is_not_whole_is_refused(data: Any) -> None:
    """A count that is guessed would agree with anything."""
    with pytest.raises(Refusal) as refused:
        read(data)
    assert refused.value.condition == "malformed"


@fuzzed(JSON, JSON, st.sampled_from(["usage", "combo_usage"]), short=60, long=1000)
def test_any_json_gives_a_statement_or_a_refusal(row: Any, data: Any, key: str) -> None:
    for given in (data, {key: row}, {key: [row]}, {key: [ROW | (row if isinstance(row, dict) else {})]}):
        try:
            assert all(one.calls >= 0 for one in read(given))
        except Refusal:
            continue


def test_day_begins_at_midnight_in_china_and_closes_at_eight_on_the_next() -> None:
    assert day_of(datetime(2026, 11, 24, 15, 59, 59, tzinfo=UTC).timestamp()) == date(2026, 11, 24)
    assert day_of(datetime(2026, 11, 24, 16, 0, 0, tzinfo=UTC).timestamp()) == DAY
    assert closes_at(DAY) == datetime(2026, 11, 26, 0, 0, tzinfo=UTC).timestamp()
