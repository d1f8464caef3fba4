"""Our own codes, and errors that never change."""

import msgspec
import pytest

from pipeline.errors import Code, InDoubt, ItemRefused, PipelineError
from pipeline.models import Problem

ON_DISK = {
    "aiohttp",
    "bad_name",
    "bad_row",
    "budget",
    "credentials",
    "expired",
    "id_twice",
    "incomplete_hits",
    "interrupted",
    "max_in_doubt",
    "not_public",
    "picture",
    "proxy",
    "quota",
    "repaired",
    "same_picture",
    "stale",
    "system_limit",
    "unknown_codes",
    "vendor_down",
}


def test_a_code_once_written_to_disk_keeps_its_value() -> None:
    assert {code.value for code in Code} >= ON_DISK


def test_a_code_is_written_and_read_back_as_its_word() -> None:
    line = msgspec.json.encode(Problem("read", Code.BAD_ROW, "why", "fail", retryable=False))

    assert b'"code":"bad_row"' in line
    assert msgspec.json.decode(line, type=Problem).code == Code.BAD_ROW


@pytest.mark.parametrize("name", ["code", "condition", "may_exist", "request_id", "then"])
def test_an_error_of_a_call_never_changes(name: str) -> None:
    error = InDoubt("no answer", code="no_answer", may_exist=True)
    before = dict(vars(error))

    with pytest.raises(AttributeError):
        setattr(error, name, "other")

    assert vars(error) == before


def test_an_error_of_a_call_can_be_raised_chained_and_noted() -> None:
    error = ItemRefused("refused", code="68300004")

    with pytest.raises(ItemRefused) as caught:
        raise error from PipelineError("the cause")

    error.add_note("seen in a test")
    assert caught.value.with_traceback(None) is error
