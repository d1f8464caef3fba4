"""The vendor's table, row by row, against the consequences that were agreed: written out here once more."""

from typing import NamedTuple

import pytest

from pipeline.endpoints.patsnap.codes import ROWS, condition_of_code, condition_of_status
from pipeline.errors import (
    CallError,
    HoldAll,
    InDoubt,
    ItemRefused,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    TryAgain,
)
from pipeline.models import Kind
from tests.support.refusals import error_for


class Follows(NamedTuple):
    """The consequence for calls that may be repeated, and for a create; `base_s` is the first backoff in seconds."""

    repeatable: type[CallError]
    create: type[CallError]
    attempts: int = 1
    create_attempts: int = 1
    base_s: float = 1.0


# Every documented code.
CODES = {
    67200000: Follows(HoldAll, InDoubt),
    67200001: Follows(HoldAll, HoldAll),
    67200002: Follows(SlowDown, SlowDown),
    67200003: Follows(RefreshToken, RefreshToken),
    67200004: Follows(RunStopped, RunStopped),
    67200005: Follows(RunPaused, RunPaused),
    67200006: Follows(RunStopped, RunStopped),
    67200007: Follows(RunPaused, RunPaused),
    67200008: Follows(RunStopped, RunStopped),
    67200009: Follows(RefreshToken, RefreshToken),
    67200012: Follows(ItemRefused, ItemRefused),
    67200100: Follows(TryAgain, InDoubt, attempts=4, base_s=1.0),
    67200101: Follows(RunStopped, RunStopped),
    68300004: Follows(ItemRefused, ItemRefused),
    68300005: Follows(TryAgain, InDoubt, attempts=3),
    68300006: Follows(TryAgain, InDoubt, attempts=4, base_s=2.0),
    68300007: Follows(ItemRefused, ItemRefused),
    68300008: Follows(TryAgain, InDoubt, attempts=4, base_s=2.0),
    68300010: Follows(ItemRefused, ItemRefused),
}
UNKNOWN_CODE = Follows(TryAgain, InDoubt, attempts=2)
STATUSES = {
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), Follows(RunStopped, InDoubt)),
    **dict.fromkeys((401, 403), Follows(RefreshToken, RefreshToken)),
    **dict.fromkeys((400, 404, 413, 415, 422), Follows(ItemRefused, ItemRefused)),
    429: Follows(SlowDown, SlowDown),
    **dict.fromkeys((408, 500, 501, 502, 503, 504, 520, 599), Follows(TryAgain, InDoubt, attempts=4)),
}
ON_THE_WAY = {
    "not_sent": Follows(TryAgain, TryAgain, attempts=4, create_attempts=4, base_s=0.05),
    "certificate": Follows(RunStopped, InDoubt),  # and stops the run; unsent it only stops the run
    "no_answer": Follows(TryAgain, InDoubt, attempts=4),
    "malformed": Follows(TryAgain, InDoubt, attempts=4),
    "too_large": Follows(TryAgain, InDoubt, attempts=4),
    "no_data": Follows(TryAgain, InDoubt, attempts=2),
    "no_task_id": Follows(TryAgain, InDoubt, attempts=2),
    "of_another": Follows(TryAgain, InDoubt, attempts=4),
    "hits_missing": Follows(TryAgain, InDoubt, attempts=2),
    "old_search_id": Follows(ItemRefused, ItemRefused),
    "past_the_end": Follows(ItemRefused, ItemRefused),
}
KINDS = [Kind.SEARCH, Kind.UPLOAD, Kind.CREATE, Kind.QUERY, Kind.DETAILS]


def assert_follows(error: CallError, kind: Kind, follows: Follows) -> None:
    create = kind is Kind.CREATE
    assert type(error) is (follows.create if create else follows.repeatable), kind
    assert error.attempts == (follows.create_attempts if create else follows.attempts), kind
    if isinstance(error, TryAgain):
        assert error.base_s == follows.base_s, kind


@pytest.mark.parametrize("code", CODES)
def test_every_documented_code_has_the_agreed_consequence(code: int) -> None:
    for kind in KINDS:
        error = error_for(kind, condition_of_code(code), code=str(code))
        assert_follows(error, kind, CODES[code])
        assert error.code == str(code)
        assert str(code) in str(error)


@pytest.mark.parametrize("status", STATUSES)
def test_every_http_status_has_the_agreed_consequence(status: int) -> None:
    for kind in KINDS:
        assert_follows(error_for(kind, condition_of_status(status)), kind, STATUSES[status])


@pytest.mark.parametrize("condition", ON_THE_WAY)
def test_everything_on_the_way_has_the_agreed_consequence(condition: str) -> None:
    for kind in KINDS:
        assert_follows(error_for(kind, condition), kind, ON_THE_WAY[condition])


@pytest.mark.parametrize(
    ("code", "row"),
    [
        (67209999, "672"),
        (67200010, "672"),
        (68300009, "683"),
        (68399999, "683"),
        (99999999, "unknown_code"),
        (6720, "unknown_code"),
        (672000000, "unknown_code"),
        (1, "unknown_code"),
        (-1, "unknown_code"),
    ],
)
def test_an_unknown_code_goes_by_its_prefix_and_is_never_swallowed(code: int, row: str) -> None:
    assert condition_of_code(code) == row
    for kind in KINDS:
        error = error_for(kind, row, code=str(code), detail="the vendor's own words")
        assert_follows(error, kind, UNKNOWN_CODE)
        assert str(code) in error.message
        assert "the vendor's own words" in error.message


def test_there_is_one_table_and_it_holds_exactly_what_is_agreed() -> None:
    codes = {name for name in ROWS if name.isdigit() and len(name) == 8}
    assert codes == {str(code) for code in CODES}
    conditions = set(ROWS) - codes - {"672", "683", "unknown_code"}
    assert {name for name in conditions if not name.startswith("http_")} == set(ON_THE_WAY)


def test_every_status_there_is_finds_a_row() -> None:
    assert {status for status in range(100, 1000) if condition_of_status(status) not in ROWS} == set()


@pytest.mark.parametrize("condition", ROWS)
def test_a_create_is_tried_again_only_when_it_was_provably_not_executed(condition: str) -> None:
    error = error_for(Kind.CREATE, condition)
    if isinstance(error, TryAgain):
        assert condition == "not_sent"
    assert error.attempts == 1 or condition == "not_sent"


def test_vendor_text_in_an_error_is_one_line_and_bounded() -> None:
    message = error_for(Kind.SEARCH, "68300004", detail="a\r\nb\t" + "x" * 10_000).message
    assert "\n" not in message
    assert "a b x" in message
    assert len(message) < 2_200


def test_vendor_text_that_is_no_unicode_can_still_be_written_down() -> None:
    assert b"half a pair" in error_for(Kind.SEARCH, "68300004", detail="half a pair \ud800").message.encode()
