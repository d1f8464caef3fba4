"""The envelope around every answer: every recorded one, and every kind of broken one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example
from hypothesis import strategies as st

from pipeline.endpoints.interface import Answer
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
from pipeline.models import Hits, Kind, Task
from pipeline.results.hits import choose
from tests.support.answers import (
    AT,
    CREATE,
    ENDPOINTS,
    SAMPLES,
    SEARCH,
    answer,
    error_of,
    outcome_of,
    sample,
)
from tests.support.fuzzing import JSON, fuzzed

# --- every recorded answer ---

# case -> (what a search makes of it, what a create makes of it); a number is the hits that were found. A success that
# tells a search of no hits has none, whatever else stands in it.
RECORDED: dict[str, tuple[int | type[CallError], type[CallError] | type[Task]]] = {
    "absent_hits": (0, InDoubt),
    "create_201": (0, Task),
    "create_no_task_id": (0, InDoubt),
    "create_ok": (0, Task),
    "create_task_id_blank": (0, InDoubt),
    "create_task_id_empty": (0, InDoubt),
    "create_task_id_number": (0, InDoubt),
    "d301_contract": (TryAgain, InDoubt),
    "d301_none": (TryAgain, InDoubt),
    "d301_not_a_list": (0, InDoubt),
    "d301_odd": (TryAgain, InDoubt),
    "d301_ok": (TryAgain, InDoubt),
    "deep": (TryAgain, InDoubt),
    "duplicate_keys": (TryAgain, InDoubt),
    "duplicate_status": (TryAgain, InDoubt),
    "empty": (TryAgain, InDoubt),
    "error_67200000": (HoldAll, InDoubt),
    "error_67200001": (HoldAll, HoldAll),
    "error_67200002": (SlowDown, SlowDown),
    "error_67200003": (RefreshToken, RefreshToken),
    "error_67200004": (RunStopped, RunStopped),
    "error_67200005": (RunPaused, RunPaused),
    "error_67200006": (RunStopped, RunStopped),
    "error_67200007": (RunPaused, RunPaused),
    "error_67200008": (RunStopped, RunStopped),
    "error_67200009": (RefreshToken, RefreshToken),
    "error_67200012": (ItemRefused, ItemRefused),
    "error_67200100": (TryAgain, InDoubt),
    "error_67200101": (RunStopped, RunStopped),
    "error_68300004": (ItemRefused, ItemRefused),
    "error_68300005": (TryAgain, InDoubt),
    "error_68300006": (TryAgain, InDoubt),
    "error_68300007": (ItemRefused, ItemRefused),
    "error_68300008": (TryAgain, InDoubt),
    "error_68300010": (ItemRefused, ItemRefused),
    "error_unknown_67209999": (TryAgain, InDoubt),
    "error_unknown_99999999": (TryAgain, InDoubt),
    "error_without_data": (TryAgain, InDoubt),
    "forbidden": (RunStopped, RunStopped),  # HTTP 403 with an envelope: the code says more than the status
    "gateway_html": (TryAgain, InDoubt),
    "gateway_timeout": (TryAgain, InDoubt),
    "hits_missing": (TryAgain, InDoubt),
    "hits_not_a_list": (TryAgain, InDoubt),
    "hits_one_without_title": (3, InDoubt),
    "hits_pretty_crlf": (1, InDoubt),
    "hits_score_text": (1, InDoubt),
    "hits_unknown_fields": (1, InDoubt),
    "html_with_200": (TryAgain, InDoubt),
    "lost_hits": (TryAgain, InDoubt),
    "no_data": (TryAgain, InDoubt),
    "no_hits_data_empty": (0, InDoubt),
    "no_hits_null": (0, InDoubt),
    "no_status": (TryAgain, InDoubt),
    "not_a_number": (TryAgain, InDoubt),
    "not_found": (RunStopped, RunStopped),
    "not_utf8": (TryAgain, InDoubt),
    "p009_hundred": (100, InDoubt),
    "p009_no_hits": (0, InDoubt),
    "p009_ok": (3, InDoubt),
    "p009_past_the_end": (TryAgain, InDoubt),  # of a first page; a later page may lie there
    "p009_v2_ok": (3, InDoubt),
    "p009_v2_old_search_id": (ItemRefused, ItemRefused),
    "p009_v2_page": (3, InDoubt),
    "p009_v2_past_the_end": (TryAgain, InDoubt),
    "p014_none_named": (TryAgain, InDoubt),
    "p014_ok": (TryAgain, InDoubt),
    "p060_beta_ok": (3, InDoubt),
    "p060_no_hits": (0, InDoubt),
    "p060_ok": (3, InDoubt),
    "p061_no_hits": (0, InDoubt),
    "p061_ok": (3, InDoubt),
    "p061_one_view": (ItemRefused, ItemRefused),
    "query_failed": (0, Task),  # AI39-2 names the task too; nobody mixes them up but a test
    "query_no_status": (0, Task),
    "query_no_status_running": (0, Task),
    "query_nothing_compared": (0, Task),
    "query_nothing_compared_null": (0, Task),
    "query_ok": (0, Task),
    "query_ok_fraction": (0, Task),
    "query_running": (0, Task),
    "query_running_bare": (0, Task),
    "query_running_data_empty": (0, InDoubt),
    "query_running_null": (0, Task),
    "query_unknown_fields": (0, Task),
    "query_unknown_task": (ItemRefused, ItemRefused),
    "rate_limited": (SlowDown, SlowDown),
    "report_failed": (0, Task),  # and the newer pair's report, whose hits lie deeper
    "report_hits_missing": (TryAgain, Task),
    "report_lost_hits": (TryAgain, Task),
    "report_no_hits": (TryAgain, Task),
    "report_no_status": (TryAgain, Task),
    "report_no_status_running": (0, Task),
    "report_nothing_compared": (TryAgain, Task),
    "report_nothing_compared_null": (TryAgain, Task),
    "report_ok": (TryAgain, Task),
    "report_running": (0, Task),
    "report_running_data_empty": (0, InDoubt),
    "report_unknown_task": (ItemRefused, ItemRefused),
    "report_without_a_drawing": (TryAgain, Task),
    "server_error": (TryAgain, InDoubt),
    "statement_nothing_used": (0, InDoubt),
    "statement_ok": (0, InDoubt),
    "submit_ok": (0, Task),
    "token_nested": (0, InDoubt),
    "token_ok": (TryAgain, InDoubt),
    "truncated": (TryAgain, InDoubt),
    "unauthorized": (RefreshToken, RefreshToken),
    "upload_ok": (0, InDoubt),
}


def test_every_recorded_answer_is_in_the_table() -> None:
    assert {folder.name for folder in SAMPLES.iterdir()} == set(RECORDED)


@pytest.mark.parametrize("case", RECORDED)
def test_every_recorded_answer_is_read_as_agreed_to_a_search_and_to_a_create(case: str) -> None:
    to_search, to_create = RECORDED[case]
    if isinstance(to_search, int):
        assert len(SEARCH.read(sample(case)).scores) == to_search
    else:
        assert type(error_of(Kind.SEARCH, sample(case))) is to_search
    if to_create is Task:
        assert CREATE.read(sample(case)) == Task("80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11", AT)
    else:
        assert type(error_of(Kind.CREATE, sample(case))) is to_create


# --- envelopes that are none ---

OK_TASK = {"data": {"task_id": "t-1"}, "status": True, "error_code": 0}


@pytest.mark.parametrize("code", [0, "0", None, 0.0])
def test_success_is_zero_in_any_shape(code: object) -> None:
    assert CREATE.read(answer({**OK_TASK, "error_code": code})).task_id == "t-1"


@pytest.mark.parametrize("code", [67200002, "67200002", 67200002.0])
def test_an_error_code_counts_as_number_and_as_text(code: object) -> None:
    error = error_of(Kind.CREATE, answer({"status": False, "error_code": code, "error_msg": "too fast"}))
    assert isinstance(error, SlowDown)
    assert error.code == "67200002"
    assert "too fast" in error.message


BROKEN = {
    "status missing": b'{"data":{"task_id":"t","patent_messages":[]},"error_code":0}',
    "status as text": b'{"data":{"task_id":"t","patent_messages":[]},"status":"true"}',
    "status as number": b'{"data":{"task_id":"t","patent_messages":[]},"status":1}',
    "data null": b'{"data":null,"status":true,"error_code":0}',
    "data missing": b'{"status":true,"error_code":0}',
    "data a list": b'{"data":[],"status":true,"error_code":0}',
    "data a text": b'{"data":"task_id","status":true,"error_code":0}',
    "hits not a list": b'{"data":{"patent_messages":{}},"status":true,"error_code":0}',
    "a hit not an object": b'{"data":{"patent_messages":[1]},"status":true,"error_code":0}',
    "a list": b"[]",
    "a number": b"0",
    "a text": b'"{}"',
    "null": b"null",
    "nothing": b"",
    "NaN": b'{"data":{"task_id":"t","patent_messages":[{"score":NaN}]},"status":true}',
    "Infinity": b'{"data":{"task_id":"t","patent_messages":[{"score":-Infinity}]},"status":true}',
    "key repeated at the top": b'{"data":{"task_id":"t","patent_messages":[]},"status":true,"status":true}',
    "key repeated below": b'{"data":{"task_id":"t","task_id":"u","patent_messages":[{"a":1,"a":1}]},"status":true}',
    "key repeated by escape": rb'{"data":{"task_id":"t","t\u0061sk_id":"u","patent_messages":[]},"status":true}',
    "not UTF-8": b'{"data":{"task_id":"t\xff","patent_messages":[]},"status":true}',
    "UTF-16": '{"data":{"task_id":"t"},"status":true}'.encode("utf-16"),
    "surrogates in UTF-8": b'{"data":{"task_id":"t\xed\xa0\x80","patent_messages":[]},"status":true}',
    "byte order mark": b'\xef\xbb\xbf{"data":{"task_id":"t","patent_messages":[]},"status":true}',
    "more after the end": b'{"data":{"task_id":"t","patent_messages":[]},"status":true} {}',
    "cut": b'{"data":{"task_id":"t","patent_messages":[',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a number without end": b'{"data":{"task_id":"t","patent_messages":[],"n":' + b"9" * 5_000 + b'},"status":true}',
    "control character in a text": b'{"data":{"task_id":"a\nb","patent_messages":[{"title":"a\nb"}]},"status":true}',
    "zero byte": b'{"data":{"task_id":"t","patent_messages":[]},"status":true}\x00',
}  # fmt: skip


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_search_is_tried_again_after_a_broken_answer(body: bytes) -> None:
    error = error_of(Kind.SEARCH, answer(body))
    assert type(error) is TryAgain
    assert error.sent


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_create_is_in_doubt_after_a_broken_answer(body: bytes) -> None:
    error = error_of(Kind.CREATE, answer(body))
    assert type(error) is InDoubt
    assert error.sent


@pytest.mark.parametrize("status", [200, 201, 400, 404, 429, 500, 502])
@pytest.mark.parametrize("code", [67200002, 67200003, 67200000, 68300004])
def test_a_create_refused_and_granted_in_one_answer_is_in_doubt(status: int, code: int) -> None:
    """The task would be opened, and paid, once more if the code alone counted."""
    for verdict in (True, False):
        contradiction = {"data": {"task_id": "t-1"}, "status": verdict, "error_code": code, "error_msg": "?"}
        assert type(error_of(Kind.CREATE, answer(contradiction, status=status))) is InDoubt


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("verdict", [None, "false", 0, 500], ids=repr)
def test_a_code_outside_an_envelope_does_not_say_that_a_create_was_not_executed(status: int, verdict: object) -> None:
    page = {"status": verdict, "error_code": 67200002, "error_msg": "of some gateway"}
    assert type(error_of(Kind.CREATE, answer(page, status=status))) is InDoubt


@pytest.mark.parametrize("message", [None, 7, [], {"a": [1]}, "\ud800", "x" * 5_000, "a\nb"], ids=lambda v: f"{v!r:.9}")
def test_whatever_stands_as_error_text_the_error_can_be_written_down(message: object) -> None:
    error = error_of(Kind.SEARCH, answer({"status": False, "error_code": 68300004, "error_msg": message}))
    assert type(error) is ItemRefused
    assert "\n" not in error.message
    assert len(error.message.encode()) < 6_500


# --- waiting as long as we are told ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("Sat, 21 Nov 2026 12:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("²", None),
        ("1.5", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(text: str, seconds: float | None) -> None:
    error = error_of(Kind.SEARCH, answer(b"<html>", status=429, headers={"Retry-After": text}))
    assert isinstance(error, SlowDown)
    assert error.retry_after_s == seconds


@fuzzed(st.text(max_size=60), short=30, long=1000)
@example("Mon, 99 Foo 99999 99:99:99 +9999")
@example("1 Jan 0001 00:00:00")
@example("1 Jan 9999 23:59:59 -2359")
@example(" ")
@example("9" * 400)
def test_no_retry_after_header_breaks_the_reading(text: str) -> None:
    error = error_of(Kind.SEARCH, answer(b"", status=429, headers={"Retry-After": text}))
    assert error.retry_after_s is None or error.retry_after_s >= 0


# --- fuzz: a value or a CallError, never anything else ---

STATUS = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 502])


def assert_value_or_call_error(kind: Kind, given: Answer) -> Any:
    """Read an answer, hold what is read to what holds for every outcome, and return it."""
    value = outcome_of(kind, given)
    if isinstance(value, CallError):
        value.message.encode()
        assert len(value.message) < 2_300
        assert value.sent
        assert kind is not Kind.CREATE or type(value) is not TryAgain
    assert value is not None
    return value


@fuzzed(st.sampled_from(list(ENDPOINTS)), STATUS, st.binary(max_size=200), short=30, long=1000)
def test_any_bytes_give_a_value_or_a_call_error(kind: Kind, status: int, body: bytes) -> None:
    assert_value_or_call_error(kind, answer(body, status=status))


@fuzzed(st.sampled_from(list(ENDPOINTS)), STATUS, JSON, short=30, long=1000)
def test_any_json_gives_a_value_or_a_call_error(kind: Kind, status: int, body: object) -> None:
    assert_value_or_call_error(kind, answer(body, status=status))


@fuzzed(JSON, st.booleans() | JSON, JSON, JSON, STATUS, st.sampled_from(list(ENDPOINTS)), short=30, long=1000)
def test_any_envelope_gives_a_value_or_a_call_error(
    data: object, verdict: object, code: object, text: object, status: int, kind: Kind
) -> None:
    body = {"data": data, "status": verdict, "error_code": code, "error_msg": text}
    assert_value_or_call_error(kind, answer(body, status=status))


@fuzzed(
    st.sampled_from(["p009_ok", "p060_ok", "hits_unknown_fields", "create_ok", "token_nested", "upload_ok"]),
    st.data(),
    short=60,
    long=1000,
)
def test_a_damaged_real_answer_gives_a_value_or_a_call_error(case: str, data: st.DataObject) -> None:
    body = bytearray(sample(case).body)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body) - 1))
        end = data.draw(st.integers(start, min(len(body), start + 40)))
        body[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"NaN", b"{", b"]", b"\\ud800", b'"', b"\r\n"])
        )
        if not body:
            break
    for kind in ENDPOINTS:
        result = assert_value_or_call_error(kind, answer(bytes(body)))
        if isinstance(result, Hits):
            assert b"\n" not in result.array
            assert len(json.loads(result.array)) == len(result.scores) == len(result.complete)
            choose(result, min_score=0.5, max_hits=2)
            msgspec.json.encode(result.total)


@fuzzed(
    st.integers(900, 1100),
    st.sampled_from(["[", '{"a":']),
    st.sampled_from(["error_msg", "data", "extra"]),
    short=60,
    long=1000,
)
def test_nesting_at_the_edge_of_the_stack_gives_a_value_or_a_call_error(depth: int, opening: str, field: str) -> None:
    """No depth may break the reading, whatever parser reaches its limit there."""
    closing = "]" if opening == "[" else "}"
    nested = opening * depth + "1" + closing * depth
    for verdict in ("true", "false"):
        body = f'{{"{field}":{nested},"status":{verdict},"error_code":68300004}}'.encode()
        for kind in ENDPOINTS:
            assert_value_or_call_error(kind, answer(body))
