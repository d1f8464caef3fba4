"""What is said on the wire: requests from values, and every recorded answer read."""

import email.parser
import email.policy
import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from pipeline.endpoints.interface import Answer
from pipeline.endpoints.patsnap.wire import (
    create_request,
    read_create,
    read_search,
    read_token,
    read_upload,
    search_request,
    token_request,
    upload_request,
)
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
from pipeline.models import UPLOAD_LIFE_S, Choice, Hits, Kind, Task, Upload
from pipeline.results.hits import choose
from tests.support.refusals import read_or_error

SAMPLES = Path(__file__).parents[2] / "samples" / "api"
AT = 1_795_262_400.0


def answer(body: bytes | object, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, raw, "request-1", AT, headers or {})


def sample(case: str) -> Answer:
    (file,) = (SAMPLES / case).iterdir()
    return answer(file.read_bytes(), status=int(file.stem))


def read_upload_(given: Answer) -> Upload:
    return read_upload(given, lifetime_s=UPLOAD_LIFE_S)


READERS = {Kind.SEARCH: read_search, Kind.CREATE: read_create, Kind.UPLOAD: read_upload_, Kind.TOKEN: read_token}


def error_of(kind: Kind, given: Answer) -> CallError:
    error = read_or_error(kind, READERS[kind], given)
    assert isinstance(error, CallError)
    return error


# --- every recorded answer ---

# case -> (what a search makes of it, what a create makes of it); a number is the hits that were found.
RECORDED: dict[str, tuple[int | type[CallError], type[CallError] | type[Task]]] = {
    "create_201": (TryAgain, Task),
    "create_no_task_id": (TryAgain, InDoubt),
    "create_ok": (TryAgain, Task),
    "create_task_id_empty": (TryAgain, InDoubt),
    "create_task_id_number": (TryAgain, InDoubt),
    "deep": (TryAgain, InDoubt),
    "duplicate_keys": (TryAgain, InDoubt),
    "duplicate_status": (TryAgain, InDoubt),
    "empty": (TryAgain, InDoubt),
    "error_67200000": (HoldAll, HoldAll),
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
    "hits_not_a_list": (TryAgain, InDoubt),
    "hits_one_without_title": (3, InDoubt),
    "hits_pretty_crlf": (1, InDoubt),
    "hits_score_text": (1, InDoubt),
    "hits_unknown_fields": (1, InDoubt),
    "html_with_200": (TryAgain, InDoubt),
    "no_data": (TryAgain, InDoubt),
    "no_status": (TryAgain, InDoubt),
    "not_a_number": (TryAgain, InDoubt),
    "not_found": (RunStopped, RunStopped),
    "not_utf8": (TryAgain, InDoubt),
    "p009_hundred": (100, InDoubt),
    "p009_no_hits": (0, InDoubt),
    "p009_ok": (3, InDoubt),
    "p060_no_hits": (0, InDoubt),
    "p060_ok": (3, InDoubt),
    "query_ok": (TryAgain, Task),  # AI39-2 names the task too; nobody mixes them up but a test
    "rate_limited": (SlowDown, SlowDown),
    "server_error": (TryAgain, InDoubt),
    "token_nested": (TryAgain, InDoubt),
    "token_ok": (TryAgain, InDoubt),
    "truncated": (TryAgain, InDoubt),
    "unauthorized": (RefreshToken, RefreshToken),
    "upload_ok": (TryAgain, InDoubt),
}


def test_every_recorded_answer_is_in_the_table() -> None:
    assert {folder.name for folder in SAMPLES.iterdir()} == set(RECORDED)


@pytest.mark.parametrize("case", RECORDED)
def test_a_search_reads_every_recorded_answer_as_agreed(case: str) -> None:
    expected = RECORDED[case][0]
    if isinstance(expected, int):
        assert len(read_search(sample(case)).scores) == expected
    else:
        assert type(error_of(Kind.SEARCH, sample(case))) is expected


@pytest.mark.parametrize("case", RECORDED)
def test_a_create_reads_every_recorded_answer_as_agreed(case: str) -> None:
    expected = RECORDED[case][1]
    if expected is Task:
        assert read_create(sample(case)) == Task("80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11", AT)
    else:
        assert type(error_of(Kind.CREATE, sample(case))) is expected


@pytest.mark.parametrize("case", ["token_ok", "token_nested"])
def test_both_shapes_of_a_token_are_read(case: str) -> None:
    assert read_token(sample(case)) == ("sample-token", 1799.0)


def test_an_upload_lives_as_long_as_the_vendor_says_and_never_longer_than_agreed() -> None:
    recorded = read_upload_(sample("upload_ok"))
    assert recorded.url.startswith("https://sandbox.invalid/upload/")
    assert recorded.expires_at == AT + 32_400
    body = {"data": {"url": "https://a.example/1", "expire": 60}, "status": True}
    assert read_upload_(answer(body)).expires_at == AT + 60
    body["data"] = {"url": "https://a.example/1", "expire": 10**9}
    assert read_upload_(answer(body)).expires_at == AT + UPLOAD_LIFE_S


@pytest.mark.parametrize("url", [None, 7, "", "ftp://a.example/1", "javascript:alert(1)", "https://a.example/\n1"])
def test_an_upload_without_a_usable_url_is_tried_again(url: object) -> None:
    error = error_of(Kind.UPLOAD, answer({"data": {"url": url}, "status": True}))
    assert (type(error), error.attempts) == (TryAgain, 2)


# --- hits stay the vendor's bytes ---


def test_hits_are_a_slice_of_the_answer_byte_for_byte() -> None:
    given = sample("hits_unknown_fields")
    hits = read_search(given)
    assert hits.array in given.body
    assert "手提包 Sac à main".encode() in hits.array
    assert b"12345678901234567890" in hits.array  # more than 64 bits: not squeezed through a number
    assert (hits.scores, hits.complete, hits.total) == ((0.99,), (True,), 1)
    assert (hits.request_id, hits.at) == ("request-1", AT)


def test_raw_line_breaks_between_tokens_become_spaces_and_nothing_else_changes() -> None:
    given = sample("hits_pretty_crlf")
    assert b"\r\n" in given.body
    hits = read_search(given)
    assert b"\r" not in hits.array
    assert b"\n" not in hits.array
    assert len(hits.array) == len(given.body[given.body.index(b"[") : given.body.rindex(b"]") + 1])
    assert json.loads(hits.array) == json.loads(given.body)["data"]["patent_messages"]


def test_escapes_in_hits_stay_escapes() -> None:
    text = rb'{"data":{"patent_messages":[{"title":"\u624b \n \ud83d\ude00"}]},"status":true}'
    assert read_search(answer(text)).array == rb'[{"title":"\u624b \n \ud83d\ude00"}]'


@pytest.mark.parametrize(
    "hit",
    [
        rb'{"title":"\ud800"}',
        rb'{"patent_id":"1","patent_pn":"US1","title":"\ud800","url":"https://x/1","score":0.5}',
        rb'{"patent_id":"1","patent_pn":"US1","title":"x","url":"https://x/1","more":{"\udfff":1}}',
    ],
    ids=["incomplete", "complete", "in a key of more"],
)
def test_a_hit_with_half_a_surrogate_pair_is_malformed(hit: bytes) -> None:
    """No record could hold it as Unicode."""
    text = rb'{"data":{"patent_messages":[%b]},"status":true}' % hit
    assert (type(error := error_of(Kind.SEARCH, answer(text))), error.code) == (TryAgain, "malformed")


def test_a_hit_without_a_required_field_is_kept_and_marked() -> None:
    hits = read_search(sample("hits_one_without_title"))
    assert hits.complete == (False, True, False)
    assert len(json.loads(hits.array)) == 3


def test_a_score_as_text_counts_and_one_that_is_none_does_not() -> None:
    assert read_search(sample("hits_score_text")).scores == (0.99,)
    scores = ["much", True, None, [], 1e400, "NaN"]
    body = {"data": {"patent_messages": [{"score": score} for score in scores[:4]]}, "status": True}
    assert read_search(answer(body)).scores == (None,) * 4
    assert read_search(
        answer(b'{"data":{"patent_messages":[{"score":1e999},{"score":"NaN"},{"score":"inf"}]},"status":true}')
    ).scores == (None, None, None)
    whole = b'{"patent_id":"1","patent_pn":"US1","title":"x","url":"https://x/1","score":%b}'
    for score, read in (
        (b"1e999", None),
        (b"-1e999", None),
        (b"1.5", 1.5),
        (b"1", 1.0),
        (b"null", None),
        (b"true", None),
    ):
        hits = read_search(answer(b'{"data":{"patent_messages":[%b]},"status":true}' % (whole % score)))
        assert (hits.scores, hits.complete) == ((read,), (True,))


@pytest.mark.parametrize(
    "total", [None, "many", -1, 10**30, 1e300, True, [], "1e300", 2**64], ids=lambda value: f"{value!r:.12}"
)
def test_a_total_that_is_none_is_the_number_of_hits_and_can_be_recorded(total: object) -> None:
    body = {"data": {"patent_messages": [{}, {}], "total_search_result_count": total}, "status": True}
    hits = read_search(answer(body))
    assert hits.total == 2
    msgspec.json.encode(hits.total)


@pytest.mark.parametrize("total", [20783, "20783", 20783.0])
def test_a_total_is_read_as_number_or_text(total: object) -> None:
    body = {"data": {"patent_messages": [], "total_search_result_count": total}, "status": True}
    assert read_search(answer(body)).total == 20783


# --- envelopes that are none ---

OK_TASK = {"data": {"task_id": "t-1"}, "status": True, "error_code": 0}


@pytest.mark.parametrize("code", [0, "0", None, 0.0])
def test_success_is_zero_in_any_shape(code: object) -> None:
    assert read_create(answer({**OK_TASK, "error_code": code})).task_id == "t-1"


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
    """It would be opened, and paid, once more if the code alone counted."""
    for verdict in (True, False):
        contradiction = {"data": {"task_id": "t-1"}, "status": verdict, "error_code": code, "error_msg": "?"}
        assert type(error_of(Kind.CREATE, answer(contradiction, status=status))) is InDoubt


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("verdict", [None, "false", 0, 500], ids=repr)
def test_a_code_outside_an_envelope_does_not_say_that_a_create_was_not_executed(status: int, verdict: object) -> None:
    page = {"status": verdict, "error_code": 67200002, "error_msg": "of some gateway"}
    assert type(error_of(Kind.CREATE, answer(page, status=status))) is InDoubt


@pytest.mark.parametrize(
    "task_id", ["", None, 7, True, [], "x" * 129, "a\u0000b", "line\nbreak"], ids=lambda value: f"{value!r:.9}"
)
def test_a_task_id_that_cannot_be_one_is_in_doubt(task_id: object) -> None:
    error = error_of(Kind.CREATE, answer({"data": {"task_id": task_id}, "status": True}))
    assert (type(error), error.code) == (InDoubt, "no_task_id")


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


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
@example("Mon, 99 Foo 99999 99:99:99 +9999")
@example("1 Jan 0001 00:00:00")
@example("1 Jan 9999 23:59:59 -2359")
@example(" ")
@example("9" * 400)
def test_no_retry_after_header_breaks_the_reading(text: str) -> None:
    error = error_of(Kind.SEARCH, answer(b"", status=429, headers={"Retry-After": text}))
    assert error.retry_after_s is None or error.retry_after_s >= 0


# --- fuzz: a value or a CallError, never anything else ---

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from([67200002, "67200003", 68300004, 10**400, -0.0, "t-1", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "status",
                    "error_code",
                    "error_msg",
                    "patent_messages",
                    "task_id",
                    "url",
                    "score",
                    "token",
                    "title",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
STATUS = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 408, 429, 500, 502])


def outcome(kind: Kind, given: Answer) -> Any:
    """Read, and hold what is promised of every outcome."""
    value = read_or_error(kind, READERS[kind], given)
    if isinstance(value, CallError):
        value.message.encode()
        assert len(value.message) < 2_300
        assert value.sent
        assert kind is not Kind.CREATE or type(value) is not TryAgain
    assert value is not None
    return value


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(READERS)), STATUS, st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_call_error(kind: Kind, status: int, body: bytes) -> None:
    outcome(kind, answer(body, status=status))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(READERS)), STATUS, JSON)
def test_any_json_gives_a_value_or_a_call_error(kind: Kind, status: int, body: object) -> None:
    outcome(kind, answer(body, status=status))


@settings(max_examples=300, deadline=None)
@given(JSON, st.booleans() | JSON, JSON, JSON, STATUS, st.sampled_from(list(READERS)))
def test_any_envelope_gives_a_value_or_a_call_error(
    data: object, verdict: object, code: object, text: object, status: int, kind: Kind
) -> None:
    body = {"data": data, "status": verdict, "error_code": code, "error_msg": text}
    outcome(kind, answer(body, status=status))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["p009_ok", "p060_ok", "hits_unknown_fields", "create_ok", "token_nested", "upload_ok"]), st.data()
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
    for kind in READERS:
        result = outcome(kind, answer(bytes(body)))
        if isinstance(result, Hits):
            assert b"\n" not in result.array
            assert len(json.loads(result.array)) == len(result.scores) == len(result.complete)
            choose(result, min_score=0.5, max_hits=2)
            msgspec.json.encode(result.total)


@settings(max_examples=300, deadline=None)
@given(st.integers(900, 1100), st.sampled_from(["[", '{"a":']), st.sampled_from(["error_msg", "data", "extra"]))
def test_nesting_at_the_edge_of_the_stack_gives_a_value_or_a_call_error(depth: int, opening: str, field: str) -> None:
    """Where the parser still copes, nothing after it may fail."""
    closing = "]" if opening == "[" else "}"
    nested = opening * depth + "1" + closing * depth
    for verdict in ("true", "false"):
        body = f'{{"{field}":{nested},"status":{verdict},"error_code":68300004}}'.encode()
        for kind in READERS:
            outcome(kind, answer(body))


# --- requests ---

P009 = {
    "loc": "(01-01 OR 01-02)",
    "assignees": "Émile & Söhne + 50%",
    "legal_status": "1,3,222",
    "apply_start_time": "20200101",
    "apply_end_time": "20201231",
    "public_start_time": "20200101",
    "public_end_time": "20211231",
    "limit": 100,
    "offset": 1000,
    "field": "APD",
    "order": "asc",
}
ODD_URLS = [
    "https://a.example/1.jpg?x=1&y=2",
    "https://a.example/a+b%20c.jpg",
    "https://a.example/100%25.jpg?sig=a%2Bb%3D",
    "https://a.example/手提包/Sac à main.jpg",
    "https://a.example/?q='\"<>#fragment;,|^`{}\\~",
    "https://user:pass@a.example:8443/1.jpg",
    "https://a.example/%zz%",
]


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_p009_request_survives_the_quoting_whatever_the_picture_url(url: str) -> None:
    request = search_request("P009", url, P009)
    built = URL("https://connect.patsnap.com").with_path(request.path).with_query(list(request.query))
    assert built.raw_path == "/image-search/search"
    again = list(URL(str(built), encoded=True).query.items())
    assert again == [("url", url), *((key, str(value)) for key, value in P009.items())]
    assert (request.method, request.body, request.kind) == ("GET", None, Kind.SEARCH)


def test_a_p060_request_is_a_json_body_with_typed_values() -> None:
    params = {"limit": 10, "country": ["US", "EU"], "return_img_id": True, "model": 1, "patent_type": "D"}
    request = search_request("P060", ODD_URLS[3], params)
    assert (request.method, request.path, request.query) == ("POST", "/search/patent/image-single", ())
    assert request.content_type == "application/json"
    assert json.loads(request.body or b"") == {"url": ODD_URLS[3], **params}


@pytest.mark.parametrize(("file_type", "file_name"), [("jpeg", "picture.jpg"), ("png", "picture.png")])
def test_an_upload_is_one_multipart_field_that_a_real_parser_reads(file_type: str, file_name: str) -> None:
    picture = random.Random(1).randbytes(10_000) + b"\r\n--picture-\r\n"
    request = upload_request(picture, file_type)
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + (request.body or b""))
    assert not message.defects
    (part,) = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "image"
    assert (part.get_filename(), part.get_content_type()) == (file_name, f"image/{file_type}")
    assert part.get_payload(decode=True) == picture


def test_the_same_picture_makes_the_same_upload_request() -> None:
    assert upload_request(b"picture", "png") == upload_request(b"picture", "png")


def test_a_create_carries_the_hits_byte_for_byte_between_its_own_fields() -> None:
    array = '[{"title" : "手\\u624b", "x":1.0e0,"n":12345678901234567890}]'.encode()
    request = create_request("https://a.example/à.jpg", Choice(array, 1, 0), report_lang="en", country=["US", "EU"])
    expected = (
        '{"urls":["https://a.example/à.jpg"],"patent_messages":'.encode()
        + array
        + b',"report_lang":"en","country":["US","EU"]}'
    )
    assert request.body == expected
    assert (request.method, request.path) == ("POST", "/ai/infringement-detection-creation")
    assert (request.content_type, request.query) == ("application/json", ())
    json.loads(expected)


def test_a_create_without_countries_names_none() -> None:
    body = create_request("https://a.example/1", Choice(b"[]", 0, 0), report_lang="cn", country=None).body
    assert json.loads(body or b"") == {"urls": ["https://a.example/1"], "patent_messages": [], "report_lang": "cn"}


def test_all_hits_of_a_recorded_search_reach_the_create_unchanged() -> None:
    hits = read_search(sample("p009_hundred"))
    choice = choose(hits, min_score=0.0, max_hits=100)
    assert choice is not None
    body = create_request("https://a.example/1", choice, report_lang="en", country=None).body or b""
    assert hits.array in body
    assert hits.array in sample("p009_hundred").body


def test_a_token_request_is_a_form() -> None:
    request = token_request()
    assert (request.method, request.path, request.body) == ("POST", "/oauth/token", b"grant_type=client_credentials")
    assert request.content_type == "application/x-www-form-urlencoded"


# --- tokens ---


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [(1799, 1799), ("60", 60), (None, 1799), (-5, 1799), ("x", 1799), (0, 1799)]
)
def test_a_token_lives_as_long_as_it_says_and_the_usual_time_when_it_says_nonsense(
    lifetime: object, seconds: float
) -> None:
    assert read_token(answer({"token": "t", "expires_in": lifetime})).lifetime_s == seconds


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
