"""The creation of a task."""

import json

import pytest

from pipeline.endpoints.interface import Creation
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.errors import (
    InDoubt,
)
from pipeline.models import Choice, Kind
from pipeline.results.hits import choose
from tests.support.answers import (
    CREATE,
    SEARCH,
    answer,
    error_of,
    sample,
)


@pytest.mark.parametrize(
    "task_id",
    ["", None, 7, True, [], "x" * 129, "a\u0000b", "line\nbreak", "   ", " \u3000"],
    ids=lambda value: f"{value!r:.9}",
)
def test_a_task_id_that_cannot_be_one_is_in_doubt(task_id: object) -> None:
    error = error_of(Kind.CREATE, answer({"data": {"task_id": task_id}, "status": True}))
    assert (type(error), error.code) == (InDoubt, "no_task_id")


def test_a_create_carries_the_hits_byte_for_byte_between_its_own_fields() -> None:
    array = '[{"title" : "手\\u624b", "x":1.0e0,"n":12345678901234567890}]'.encode()
    request = TaskCreation("en", ["US", "EU"]).request(Creation("https://a.example/à.jpg", Choice(array, 1, 0)))
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
    body = TaskCreation("cn").request(Creation("https://a.example/1", Choice(b"[]", 0, 0))).body
    assert json.loads(body or b"") == {"urls": ["https://a.example/1"], "patent_messages": [], "report_lang": "cn"}


def test_all_hits_of_a_recorded_search_reach_the_create_unchanged() -> None:
    hits = SEARCH.read(sample("p009_hundred"))
    choice = choose(hits, min_score=0.0, max_hits=100)
    assert choice is not None
    body = CREATE.request(Creation("https://a.example/1", choice)).body or b""
    assert hits.array in body
    assert hits.array in sample("p009_hundred").body
