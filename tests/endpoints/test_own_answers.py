"""Answers that repeat what was asked: what answers somebody else's question is nobody's report, page or patent."""

import pytest

from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.own_answers import OF_ANOTHER, PatentsOf, ReportOf
from pipeline.endpoints.patsnap.ai39_2 import ReportQuery
from pipeline.endpoints.patsnap.ai39_report import WholeReportQuery
from pipeline.endpoints.patsnap.d301 import PatentDetails
from pipeline.errors import TryAgain
from pipeline.models import Kind
from tests.support.answers import answer, sample
from tests.support.refusals import error_for

TASK_ID = "80d42f2c-1c57-4a5e-9d0b-5f6f2a1f8f11"
QUERIES = [ReportQuery(), WholeReportQuery("AI39-submit", {})]


@pytest.mark.parametrize(
    ("query", "case"),
    [
        *((QUERIES[0], case) for case in ("query_ok", "query_running", "query_failed")),
        *((QUERIES[1], case) for case in ("report_ok", "report_failed")),
    ],
)
def test_what_is_said_of_another_task_is_never_taken_for_a_report(
    query: ReportQuery | WholeReportQuery, case: str
) -> None:
    own = ReportOf(query, TASK_ID)
    assert own.read(sample(case)).task_id == TASK_ID
    with pytest.raises(Refusal) as refused:
        ReportOf(query, "t-2").read(sample(case))
    assert refused.value.condition == OF_ANOTHER
    assert (own.kind, own.request(TASK_ID)) == (Kind.QUERY, query.request(TASK_ID))


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize(
    "data", [{}, {"task_id": None}, {"task_id": ""}, {"task_id": ["t-1"]}, {"task_id": " T-1 "}, {"task_status": 1}]
)
def test_an_answer_that_names_no_task_is_taken_for_ours(
    query: ReportQuery | WholeReportQuery, data: dict[str, object]
) -> None:
    assert not ReportOf(query, "t-1").read(answer({"data": data, "status": True})).is_in


def test_a_task_that_is_named_by_a_number_is_compared_as_text() -> None:
    given = answer({"data": {"task_id": 17}, "status": True})
    assert ReportOf(ReportQuery(), "17").read(given).task_id == "17"
    with pytest.raises(Refusal):
        ReportOf(ReportQuery(), "18").read(given)


def found(*ids: str) -> Answer:
    return answer({"data": [{"patent_id": id_} for id_ in ids], "status": True})


def test_of_the_patents_in_an_answer_those_that_were_asked_for_count() -> None:
    question = PatentsOf(PatentDetails(), ("a", "b"))
    assert list(question.read(found("a", "x"))) == ["a"]
    assert not question.read(found())
    with pytest.raises(Refusal) as refused:
        question.read(found("x", "y"))
    assert refused.value.condition == OF_ANOTHER


def test_it_is_asked_again_like_an_answer_that_cannot_be_read() -> None:
    error, unreadable = error_for(Kind.QUERY, OF_ANOTHER), error_for(Kind.QUERY, "malformed")
    assert isinstance(error, TryAgain)
    assert (error.attempts, error.base_s) == (unreadable.attempts, unreadable.base_s)  # type: ignore[attr-defined]
