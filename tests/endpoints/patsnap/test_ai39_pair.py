"""The newer pair: a create that searches by itself, and an answer with hits, comparisons and a drawing in it."""

import base64
import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from pipeline.endpoints.interface import MAX_ANSWER_BYTES, Creation
from pipeline.endpoints.patsnap.ai39_report import WholeReportQuery
from pipeline.endpoints.patsnap.ai39_submit import TaskSubmission
from pipeline.errors import CallError, InDoubt, ItemRefused, TryAgain
from pipeline.models import Choice, Kind, State, Task
from pipeline.reports import Progress, WholeReport
from pipeline.results.hits import choose
from tests.support.answers import AT, QUERY, SAMPLES, SEARCH, answer, sample
from tests.support.fuzzing import fuzzed
from tests.support.refusals import read_or_error

TASK_ID = "80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11"
SUBMIT = TaskSubmission("en", ["US", "EU"], {"loc_items": ["26-05"], "main_field": "lamp"})
PARAMS = {"country": ["US", "EU"], "loc_items": ["26-05"]}
REPORT = WholeReportQuery("AI39-submit", PARAMS)
PNG = b"\x89PNG\r\n\x1a\n and more"
URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

# case -> (progress, comparisons, hits; None where there is no report yet)
STATES = {
    "report_failed": (Progress.FAILED, 0, None),
    "report_lost_hits": (Progress.DONE, 7, 0),
    "report_no_hits": (Progress.DONE, 0, 0),
    "report_no_status": (Progress.UNSAID, 7, 7),
    "report_no_status_running": (Progress.UNSAID, 0, None),
    "report_nothing_compared": (Progress.DONE, 0, 7),
    "report_nothing_compared_null": (Progress.DONE, 0, 7),
    "report_ok": (Progress.DONE, 7, 7),
    "report_running": (Progress.RUNNING, 0, None),
    "report_running_data_empty": (Progress.UNSAID, 0, None),
    "report_without_a_drawing": (Progress.DONE, 1, 1),
}
REFUSED: dict[str, tuple[type[CallError], str]] = {
    "report_hits_missing": (TryAgain, "hits_missing"),
    "report_unknown_task": (ItemRefused, "68300004"),
}


def read(data: object) -> WholeReport:
    return REPORT.read(answer({"data": data, "status": True, "error_code": 0}))


def outcome(body: object) -> Any:
    return read_or_error(Kind.QUERY, REPORT.read, answer(body))


def test_a_report_that_compares_patents_and_lacks_its_hits_says_how_many_there_are() -> None:
    report = REPORT.read(sample("report_lost_hits"))
    assert report.hits is not None
    assert (report.lacks_hits, report.hits.scores, report.hits.total > 0) == (True, (), True)
    assert report.state is State.REPORTED
    assert f"{report.hits.total:,} hits" in report.remark


@pytest.mark.parametrize("case", ["report_ok", "report_no_hits", "report_nothing_compared", "report_running"])
def test_every_other_report_is_without_that_remark(case: str) -> None:
    report = REPORT.read(sample(case))
    assert (report.lacks_hits, report.remark) == (False, "")


# --- submit ---


def test_a_submit_names_picture_countries_language_and_the_filters() -> None:
    request = SUBMIT.request(Creation("https://a.example/à.jpg", Choice(b"[]", 0, 0)))
    assert (request.kind, request.method, request.path) == (Kind.CREATE, "POST", "/ai/image-search/submit")
    assert json.loads(request.body or b"") == {
        "url": "https://a.example/à.jpg",
        "country": ["US", "EU"],
        "lang": "en",
        "loc_items": ["26-05"],
        "main_field": "lamp",
    }


def test_a_submit_gives_the_same_task_as_the_older_create() -> None:
    assert SUBMIT.read(sample("submit_ok")) == Task(TASK_ID, AT)


@pytest.mark.parametrize("case", ["create_no_task_id", "create_task_id_blank", "no_data", "truncated", "server_error"])
def test_a_submit_without_a_sure_answer_is_in_doubt(case: str) -> None:
    assert type(read_or_error(Kind.CREATE, SUBMIT.read, sample(case))) is InDoubt


# --- report ---


def test_the_answer_to_a_report_may_be_larger_than_any_other() -> None:
    request = REPORT.request(TASK_ID)
    assert (request.kind, request.method, request.path) == (Kind.QUERY, "POST", "/ai/image-search/report")
    assert json.loads(request.body or b"") == {"task_id": TASK_ID}
    assert request.most_bytes >= 4 * MAX_ANSWER_BYTES
    assert QUERY.request(TASK_ID).most_bytes == MAX_ANSWER_BYTES


def test_every_recorded_state_is_in_the_table() -> None:
    recorded = {folder.name for folder in SAMPLES.iterdir() if folder.name.startswith("report_")}
    assert recorded == {*STATES, *REFUSED}


@pytest.mark.parametrize("case", STATES)
def test_every_recorded_state_is_read_as_agreed(case: str) -> None:
    given = sample(case)
    report = REPORT.read(given)
    hits, drawing = report.hits, report.drawing
    progress, comparisons, found = STATES[case]
    assert (report.progress, len(report.comparisons)) == (progress, comparisons)
    assert (None if hits is None else len(hits.scores)) == found
    assert (drawing is not None) == (found is not None and case != "report_without_a_drawing")
    expected = json.loads(given.body)["data"]
    if drawing is not None:
        expected["line_drawing_base64"] = f"sha256:{hashlib.sha256(drawing).hexdigest()}"
    assert json.loads(report.data) == expected


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_report_is_refused(case: str) -> None:
    error = read_or_error(Kind.QUERY, REPORT.read, sample(case))
    assert (type(error), error.code) == REFUSED[case]


def test_its_hits_are_the_vendors_bytes_and_fit_where_those_of_a_search_do() -> None:
    given = sample("report_ok")
    hits = REPORT.read(given).hits
    assert hits is not None
    assert hits.array in given.body
    sent = json.loads(given.body)["data"]["patent_messages"]
    assert json.loads(hits.array) == sent["patent_messages"]
    assert (hits.scores, hits.total) == (
        tuple(hit["score"] for hit in sent["patent_messages"]),
        sent["total_search_result_count"],
    )
    assert (hits.endpoint, hits.params, hits.at, hits.request_id) == ("AI39-submit", PARAMS, AT, "request-1")
    assert all(hits.complete)
    assert choose(hits, min_score=0.0, max_hits=100) is not None


def test_each_comparison_belongs_to_a_hit() -> None:
    report = REPORT.read(sample("report_ok"))
    assert report.hits is not None
    ids = {hit["patent_id"] for hit in json.loads(report.hits.array)}
    assert {each.patent_id for each in report.comparisons} <= ids
    assert all(each.score_of_1 == each.score for each in report.comparisons)


def test_the_drawing_is_taken_out_of_megabytes_of_answer() -> None:
    drawing = PNG + bytes(range(256)) * 12_000
    uri = f"data:image/png;base64,{base64.b64encode(drawing).decode()}"
    whole = read({"task_status": 2, "line_drawing_base64": uri, "report": {"loc": ["26-05"]}})
    assert whole.drawing == drawing
    assert len(whole.data) < 200


def test_a_drawing_with_escaped_slashes_is_the_same_drawing() -> None:
    body = json.dumps({"data": {"task_status": 2, "line_drawing_base64": URI}, "status": True})
    whole = REPORT.read(answer(body.replace("/", "\\/").encode()))
    assert whole.drawing == PNG
    assert b"base64," not in whole.data


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "",
        7,
        [],
        "https://a.example/1.png",
        "data:image/png;base64,%%%",
        "data:image/png,plain",
        f"data:text/html;base64,{base64.b64encode(PNG).decode()}",
        f"data:image/png;base64,{base64.b64encode(b'<svg onload=x>').decode()}",
    ],
    ids=repr,
)
def test_what_is_no_drawing_stays_where_it_is(sent: object) -> None:
    whole = read({"task_status": 2, "line_drawing_base64": sent})
    assert whole.drawing is None
    assert json.loads(whole.data)["line_drawing_base64"] == sent


def test_only_the_drawing_is_taken_out_where_another_field_says_the_same() -> None:
    whole = read({"user_image": URI, "task_status": 2, "line_drawing_base64": URI})
    kept = json.loads(whole.data)
    assert kept["user_image"] == URI
    assert kept["line_drawing_base64"].startswith("sha256:")


@pytest.mark.parametrize(
    "found",
    [None, {}, {"patent_messages": None}, {"patent_messages": [], "total_search_result_count": 0}],
    ids=repr,
)
def test_nothing_found_has_many_shapes(found: object) -> None:
    hits = read({"task_status": 2, "patent_messages": found}).hits
    assert hits is not None
    assert (hits.array, hits.total) == (b"[]", 0)


@pytest.mark.parametrize(
    "data",
    [
        [],
        "t-1",
        {"task_status": 2, "patent_messages": []},
        {"task_status": 2, "patent_messages": {"patent_messages": {}}},
        {"task_status": 2, "patent_messages": {"patent_messages": "none"}},
        {"task_status": 2, "patent_messages": {"patent_messages": [1]}},
        {"task_status": 2, "report": []},
        {"task_status": 2, "report": {"comparisons": {}}},
    ],
    ids=repr,
)
def test_hits_or_comparisons_that_cannot_be_read_are_no_report(data: object) -> None:
    error = outcome({"data": data, "status": True})
    assert (type(error), error.code) == (TryAgain, "no_data")


def test_hits_of_a_search_and_of_a_report_are_told_apart_only_by_their_endpoint() -> None:
    (hit,) = json.loads(SEARCH.read(sample("hits_score_text")).array)
    found = read({"task_status": 2, "patent_messages": {"patent_messages": [hit], "total_search_result_count": "9"}})
    assert found.hits is not None
    assert (found.hits.scores, found.hits.complete, found.hits.total) == ((0.99,), (True,), 9)


VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["\ud800", URI])
OBJECT = st.dictionaries(st.sampled_from(["patent_id", "score", "url", "title", "more"]), VALUE, max_size=4)
LIST = st.none() | st.lists(OBJECT | VALUE, max_size=3) | VALUE
DATA = st.fixed_dictionaries(
    {},
    optional={
        "task_status": VALUE | st.sampled_from([1, 2, 3]),
        "line_drawing_base64": VALUE,
        "patent_messages": VALUE
        | st.fixed_dictionaries({"patent_messages": LIST}, optional={"total_search_result_count": VALUE}),
        "report": VALUE | st.fixed_dictionaries({}, optional={"comparisons": LIST, "country": VALUE}),
    },
)


@fuzzed(DATA, short=60, long=1000)
def test_whatever_an_answer_holds_it_is_read_whole_or_refused(data: object) -> None:
    whole = outcome({"data": data, "status": True, "error_code": 0})
    if isinstance(whole, CallError):
        assert type(whole) is TryAgain
        return
    assert isinstance(whole, WholeReport)
    msgspec.json.encode([whole.comparisons, msgspec.Raw(whole.data)])
    assert (whole.hits is not None) == whole.is_in
    if whole.hits is not None:
        assert len(json.loads(whole.hits.array)) == len(whole.hits.scores) == len(whole.hits.complete)


@fuzzed(st.data(), short=60, long=1000)
def test_a_damaged_real_report_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(sample("report_ok").body)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6) | st.just(b"NaN"))
    whole = outcome(bytes(body))
    assert isinstance(whole, CallError | WholeReport)
