"""T13: whatever the vendor answers, it is read or classified; a create that is not clearly answered is in doubt."""

import json
from typing import Any

import msgspec
from hypothesis import example
from hypothesis import strategies as st

from pipeline.endpoints.details import PatentDetail
from pipeline.endpoints.interface import Answer, Creation
from pipeline.endpoints.patsnap.codes import ROWS
from pipeline.endpoints.patsnap.p014 import PatentFamilies
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
from pipeline.models import Hits, Kind, Task, Upload
from pipeline.results.hits import choose
from tests.support.answers import CREATE, outcome_of
from tests.support.fuzzing import fuzzed
from tests.support.refusals import read_or_error

CODES = [int(name) for name in ROWS if name.isdigit()]
NUMBERS = st.sampled_from([0, -0.0, 1, -1, 2**53, 2**63, 2**64, -(2**63), 10**30, 1e308, 0.1, 67200002, 68300008])
TEXTS = st.sampled_from(
    ["", "a", "é", "\u202e", "\x1b[31m", "\x00", "https://a.example/1.jpg", "x" * 5000, "0", "67200005", "1e5"]
)
KEYS = st.sampled_from(
    [
        "data",
        "status",
        "error_code",
        "error_msg",
        "patent_messages",
        "total_search_result_count",
        "task_id",
        "url",
        "expire",
        "score",
        "patent_id",
        "patent_pn",
        "title",
        "token",
        "expires_in",
        "simple_legal_status",
        "current_assignee",
        "expiration_date",
        "images",
        "classification_data",
        "category_type",
        "category",
        "patent_family",
        "simple_family_id",
        "x",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
HIT = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["patent_id", "patent_pn", "title", "url", "score", "apno", "x"], VALUES)
)
PATENT = st.fixed_dictionaries(
    {"patent_id": st.sampled_from(["p1", "p2", "", "\ud800", 1])},
    optional={
        "current_assignee": VALUES,
        "simple_legal_status": st.sampled_from(["有效", "失效", "审中", "未确认", "ACTIVE"]) | VALUES,
        "application_date": st.sampled_from([20230102, 20230230, "20230102", "²²²²²²²²", 0]) | VALUES,
        "images": VALUES,
        "classification_data": st.lists(
            st.fixed_dictionaries({"category_type": st.just("LOC"), "category": VALUES}) | VALUES, max_size=3
        ),
        "patent_family": st.fixed_dictionaries({"simple_family_id": VALUES}) | VALUES,
    },
)
DATA = st.one_of(
    VALUES,
    st.lists(PATENT | VALUES, max_size=4),
    st.fixed_dictionaries(
        {}, optional={"patent_messages": st.lists(HIT, max_size=3) | VALUES, "total_search_result_count": VALUES}
    ),
    st.fixed_dictionaries({}, optional={"task_id": VALUES, "url": VALUES, "expire": VALUES}),
)
ENVELOPE = st.fixed_dictionaries(
    {},
    optional={
        "data": DATA,
        "status": st.booleans() | VALUES,
        "error_code": st.sampled_from([0, *CODES, 99999999, "0", "67200005", None, True, 0.5]) | VALUES,
        "error_msg": VALUES,
    },
)


def spelt(value: Any, how: int) -> bytes:
    """JSON as different programs write it, and broken in the ways that it comes broken."""
    text = json.dumps(value, ensure_ascii=bool(how & 1), indent=2 if how & 2 else None)
    raw = text.encode("utf-8", "surrogatepass")
    if how & 4:
        raw = raw.replace(b":", b":NaN,", 1)
    if how & 8:
        raw = raw[: len(raw) // 2]
    if how & 16:
        raw = raw.replace(b'"a"', b'"\\ud800"')
    if how & 32:
        raw += b"\xff"
    if how & 64:
        raw = raw.replace(b"{", b'{"status":true,', 1)  # a key twice
    if how & 128:
        raw = b"\xef\xbb\xbf" + raw
    return raw


BODIES = st.one_of(
    st.builds(spelt, ENVELOPE, st.sampled_from([0, 0, 0, 1, 2, 3])),
    st.builds(spelt, ENVELOPE, st.integers(0, 255)),
    st.builds(spelt, VALUES, st.integers(0, 3)),
    st.binary(max_size=60),
    st.integers(1, 3000).map(
        lambda depth: b'{"data":' + b"[" * depth + b"]" * depth + b',"status":true,"error_code":0}'
    ),
    st.integers(1, 6000).map(
        lambda digits: b'{"data":{"task_id":"t"},"status":true,"error_code":' + b"9" * digits + b"}"
    ),
)
STATUSES = st.sampled_from(
    [200, 200, 200, 201, 204, 301, 307, 400, 401, 403, 404, 408, 413, 418, 429, 500, 502, 503, 599]
)
RETRY_AFTER = st.sampled_from(
    ["", "1", "-1", "9" * 400, "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "Mon, 99 Foo 0000", "²"]
)
ANSWERS = st.builds(
    lambda status, body, after: Answer(status, body, "asked", 1_795_262_400.0, {"Retry-After": after} if after else {}),
    STATUSES,
    BODIES,
    RETRY_AFTER,
)
CLEAR = (TryAgain, SlowDown, HoldAll, RefreshToken, ItemRefused, RunPaused, RunStopped, InDoubt)


def assert_classified(error: CallError, kind: Kind) -> None:
    """One of the classes that the engine knows, in a line that any file takes, cut where the vendor goes on and on."""
    assert type(error) in CLEAR
    assert error.code
    assert len(error.message) <= 2_300
    assert "\n" not in error.message
    assert "\r" not in error.message
    error.message.encode()
    msgspec.json.encode(error.message)
    assert error.retry_after_s is None or error.retry_after_s >= 0
    if kind is not Kind.CREATE:
        assert not isinstance(error, InDoubt)


@fuzzed(ANSWERS, long=1250)
def test_a_search_is_read_or_classified(answer: Answer) -> None:
    hits = outcome_of(Kind.SEARCH, answer)
    if isinstance(hits, CallError):
        assert_classified(hits, Kind.SEARCH)
        return
    assert isinstance(hits, Hits)
    assert b"\n" not in hits.array
    assert len(json.loads(hits.array)) == len(hits.scores) == len(hits.complete)
    assert 0 <= hits.total <= 2**53
    choice = choose(hits, min_score=0.0, max_hits=100)
    if choice is not None and choice.count:
        request = CREATE.request(Creation("https://a.example/1.jpg", choice))
        assert len(json.loads(request.body or b"")["patent_messages"]) == choice.count


def may_be_executed(answer: Answer) -> bool:
    """Whether a task may stand behind this answer, read here with other means than the program's."""
    try:
        whole = json.loads(answer.body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_once)
    except (ValueError, RecursionError):
        whole = None
    envelope = whole if isinstance(whole, dict) else {}
    data = envelope.get("data")
    if envelope.get("status") is True or (isinstance(data, dict) and data.get("task_id")):
        return True
    refused = envelope.get("status") is False or (400 <= answer.status < 500 and answer.status != 408)
    return not refused


def _once(pairs: Any) -> dict[str, Any]:
    if isinstance(pairs, str) or len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


@fuzzed(ANSWERS, long=1250)
@example(Answer(200, b'{"data":{"task_id":"t"},"status":true,"error_code":67200002}', "asked", 0.0, {}))
@example(Answer(200, b'{"data":{"task_id":"t"},"status":false,"error_code":67200002}', "asked", 0.0, {}))
@example(Answer(200, b'{"data":{},"status":true,"error_code":0}', "asked", 0.0, {}))
@example(Answer(502, b"<html>", "asked", 0.0, {}))
@example(Answer(429, b'{"data":{"task_id":"t"},"status":true,"error_code":0}', "asked", 0.0, {}))
def test_a_create_is_a_task_or_refused_or_in_doubt(answer: Answer) -> None:
    task = outcome_of(Kind.CREATE, answer)
    if isinstance(task, CallError):
        assert_classified(task, Kind.CREATE)
        assert isinstance(task, InDoubt) or not may_be_executed(answer), task
        assert not isinstance(task, TryAgain), task
        return
    assert isinstance(task, Task)
    assert task.task_id.isprintable()
    assert 1 <= len(task.task_id) <= 128


@fuzzed(ANSWERS, long=1250)
def test_an_upload_is_read_or_classified(answer: Answer) -> None:
    upload = outcome_of(Kind.UPLOAD, answer)
    if isinstance(upload, CallError):
        assert_classified(upload, Kind.UPLOAD)
        return
    assert isinstance(upload, Upload)
    assert upload.url.isprintable()
    assert upload.url.startswith(("https://", "http://"))
    assert upload.expires_at <= answer.at + 32_400


@fuzzed(ANSWERS, long=1250)
def test_a_token_is_read_or_classified(answer: Answer) -> None:
    token = outcome_of(Kind.TOKEN, answer)
    if isinstance(token, CallError):
        assert_classified(token, Kind.TOKEN)
        return
    assert token.value.isprintable()
    assert token.value
    assert token.lifetime_s > 0


@fuzzed(ANSWERS, long=1250)
def test_details_are_read_or_classified(answer: Answer) -> None:
    details = outcome_of(Kind.DETAILS, answer)
    if isinstance(details, CallError):
        assert_classified(details, Kind.DETAILS)
        return
    assert all(details)
    assert msgspec.json.decode(msgspec.json.encode(details), type=dict[str, PatentDetail]) == details  # a line takes it
    assert all(detail.known for detail in details.values())


@fuzzed(ANSWERS, long=1250)
def test_families_are_read_or_classified(answer: Answer) -> None:
    families = read_or_error(Kind.DETAILS, PatentFamilies().read, answer)
    if isinstance(families, CallError):
        assert_classified(families, Kind.DETAILS)
        return
    msgspec.json.encode(families)
