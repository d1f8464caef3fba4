"""The question for a report: every recorded state, both scales of scores, and nothing lost of what the vendor sent."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from pipeline.errors import CallError, ItemRefused, TryAgain
from pipeline.models import Kind
from pipeline.reports import Progress, Report
from tests.support.answers import QUERY, SAMPLES, answer, error_of, outcome_of, sample
from tests.support.fuzzing import fuzzed

TASK_ID = "80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11"

# case -> (progress, comparisons, whether the report is in)
STATES = {
    "query_failed": (Progress.FAILED, 0, False),
    "query_no_status": (Progress.UNSAID, 3, True),
    "query_no_status_running": (Progress.UNSAID, 0, False),
    "query_nothing_compared": (Progress.DONE, 0, True),
    "query_nothing_compared_null": (Progress.DONE, 0, True),
    "query_ok": (Progress.DONE, 3, True),
    "query_ok_fraction": (Progress.DONE, 3, True),
    "query_running": (Progress.RUNNING, 0, False),
    "query_running_bare": (Progress.RUNNING, 0, False),
    "query_running_data_empty": (Progress.UNSAID, 0, False),
    "query_running_null": (Progress.RUNNING, 0, False),
    "query_unknown_fields": (Progress.DONE, 1, True),
}


def read(data: object) -> Report:
    return QUERY.read(answer({"data": data, "status": True, "error_code": 0}))


def test_the_question_is_the_task_id_alone() -> None:
    request = QUERY.request(TASK_ID)
    assert (request.kind, request.method, request.path) == (Kind.QUERY, "POST", "/ai/infringement-detection-query")
    assert json.loads(request.body or b"") == {"task_id": TASK_ID}
    assert request.content_type == "application/json"


def test_every_recorded_state_is_in_the_table() -> None:
    recorded = {folder.name for folder in SAMPLES.iterdir() if folder.name.startswith("query_")}
    assert recorded == {*STATES, "query_unknown_task"}


@pytest.mark.parametrize("case", STATES)
def test_every_recorded_state_is_read_as_agreed(case: str) -> None:
    given = sample(case)
    report = QUERY.read(given)
    progress, comparisons, is_in = STATES[case]
    assert (report.progress, len(report.comparisons), report.is_in) == (progress, comparisons, is_in)
    assert report.data in given.body
    assert json.loads(report.data) == json.loads(given.body)["data"]
    assert (report.request_id, report.at) == (given.request_id, given.at)


def test_a_comparison_has_all_that_the_vendor_says_of_a_patent() -> None:
    (first, *_) = QUERY.read(sample("query_ok")).comparisons
    (sent, *_) = json.loads(sample("query_ok").body)["data"]["comparisons"]
    kept = {key: value for key, value in msgspec.to_builtins(first).items() if key != "score_of_1"}
    assert kept == sent


def test_a_task_that_is_unknown_or_too_old_is_refused() -> None:
    error = error_of(Kind.QUERY, sample("query_unknown_task"))
    assert (type(error), error.code) == (ItemRefused, "68300004")


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ([80, 93.5], [0.8, 0.935]),
        ([0.8, 0.935], [0.8, 0.935]),
        ([80, 0.5], [0.8, 0.005]),  # one scale in one report: half a per cent beside 80
        ([1, 0], [1.0, 0.0]),
        (["80", None], [0.8, None]),
        ([101, 50], [None, 0.5]),
        ([-1, 0.5], [None, 0.5]),
        ([True, [], "high"], [None, None, None]),
    ],
    ids=repr,
)
def test_scores_on_both_scales_are_brought_to_one_and_kept_as_sent(sent: list[Any], read_as: list[float]) -> None:
    report = read({"task_status": 2, "comparisons": [{"patent_id": "p", "score": score} for score in sent]})
    assert [each.score_of_1 for each in report.comparisons] == pytest.approx(read_as)
    assert [each["score"] for each in json.loads(report.data)["comparisons"]] == sent


@pytest.mark.parametrize(
    ("status", "progress"),
    [
        (1, Progress.RUNNING),
        (2.0, Progress.DONE),
        ("3", Progress.FAILED),
        *((odd, Progress.UNSAID) for odd in (None, 0, 4, -1, 1.5, True, "done", [], {})),
    ],
    ids=repr,
)
def test_a_status_that_nobody_has_told_us_of_says_as_little_as_none(status: object, progress: Progress) -> None:
    assert read({"task_status": status}).progress is progress


@pytest.mark.parametrize("comparisons", [{}, "none", 7, True, [1], [{}, None], [[]]], ids=repr)
def test_comparisons_that_are_no_list_of_objects_are_no_report(comparisons: object) -> None:
    """Taken as an empty list, a report that is there would be read as one that compared nothing."""
    error = error_of(Kind.QUERY, answer({"data": {"task_status": 2, "comparisons": comparisons}, "status": True}))
    assert (type(error), error.code) == (TryAgain, "no_data")


@pytest.mark.parametrize("data", [None, [], "t-1", 0], ids=repr)
def test_data_that_is_no_object_is_asked_for_again(data: object) -> None:
    error = error_of(Kind.QUERY, answer({"data": data, "status": True, "error_code": 0}))
    assert (type(error), error.code) == (TryAgain, "no_data")


def test_a_comparison_without_an_id_or_with_odd_values_is_kept() -> None:
    odd = {"score": None, "status": "1", "title": None, "similar": 7, "risk_level": ["High"], "country": "US"}
    (comparison,) = read({"task_status": 2, "comparisons": [odd]}).comparisons
    assert (comparison.patent_id, comparison.status, comparison.country) == ("", 1, "US")
    assert (comparison.title, comparison.similar, comparison.risk_level, comparison.score) == ("", "", "", None)


def test_a_report_that_came_on_many_lines_is_kept_on_one() -> None:
    text = json.dumps({"data": {"task_status": 2, "comparisons": [{"patent_id": "p", "similar": "a\nb"}]}}, indent=1)
    report = QUERY.read(answer(text.replace("{", '{"status":true,', 1).replace("\n", "\r\n").encode()))
    assert b"\n" not in report.data
    assert b"\r" not in report.data
    assert report.comparisons[0].similar == "a\nb"


VALUE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800")
COMPARISON = st.dictionaries(
    st.sampled_from(["patent_id", "title", "score", "status", "similar", "risk_level", "more"]), VALUE, max_size=6
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "task_id": VALUE,
        "task_status": VALUE | st.sampled_from([1, 2, 3, "2", 4]),
        "comparisons": st.none() | st.lists(COMPARISON | VALUE, max_size=4) | VALUE,
        "country": st.lists(VALUE, max_size=2),
    },
)


@fuzzed(DATA, short=60, long=1000)
def test_whatever_a_report_holds_it_is_read_whole_or_refused(data: object) -> None:
    outcome = outcome_of(Kind.QUERY, answer({"data": data, "status": True, "error_code": 0}))
    if isinstance(outcome, CallError):
        assert type(outcome) is TryAgain
        return
    assert json.loads(outcome.data) == json.loads(json.dumps(data))
    assert msgspec.json.encode(outcome.comparisons)
    assert all(each.score_of_1 is None or 0 <= each.score_of_1 <= 1 for each in outcome.comparisons)


@fuzzed(
    st.sampled_from(["query_ok", "query_no_status", "query_running", "query_failed"]), st.data(), short=60, long=1000
)
def test_a_damaged_real_report_is_read_or_refused(case: str, data: st.DataObject) -> None:
    body = bytearray(sample(case).body)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6) | st.just(b"NaN"))
    outcome = outcome_of(Kind.QUERY, answer(bytes(body)))
    assert isinstance(outcome, CallError | Report)
    if isinstance(outcome, Report):
        msgspec.json.encode([outcome.comparisons, msgspec.Raw(outcome.data)])
