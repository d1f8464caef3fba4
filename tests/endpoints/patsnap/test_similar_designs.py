"""Hits stay the vendor's bytes; scores and totals are read for what they are."""

import json

import msgspec
import pytest

from pipeline.errors import (
    TryAgain,
)
from pipeline.models import Kind
from tests.support.answers import (
    AT,
    SEARCH,
    answer,
    error_of,
    sample,
)


def test_hits_are_a_slice_of_the_answer_byte_for_byte() -> None:
    given = sample("hits_unknown_fields")
    hits = SEARCH.read(given)
    assert hits.array in given.body
    assert "手提包 Sac à main".encode() in hits.array
    assert b"12345678901234567890" in hits.array  # more than 64 bits: not squeezed through a number
    assert (hits.scores, hits.complete, hits.total) == ((0.99,), (True,), 1)
    assert (hits.request_id, hits.at) == ("request-1", AT)


def test_raw_line_breaks_between_tokens_become_spaces_and_nothing_else_changes() -> None:
    given = sample("hits_pretty_crlf")
    assert b"\r\n" in given.body
    hits = SEARCH.read(given)
    assert b"\r" not in hits.array
    assert b"\n" not in hits.array
    assert len(hits.array) == len(given.body[given.body.index(b"[") : given.body.rindex(b"]") + 1])
    assert json.loads(hits.array) == json.loads(given.body)["data"]["patent_messages"]


def test_escapes_in_hits_stay_escapes() -> None:
    text = rb'{"data":{"patent_messages":[{"title":"\u624b \n \ud83d\ude00"}]},"status":true}'
    assert SEARCH.read(answer(text)).array == rb'[{"title":"\u624b \n \ud83d\ude00"}]'


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
    hits = SEARCH.read(sample("hits_one_without_title"))
    assert hits.complete == (False, True, False)
    assert len(json.loads(hits.array)) == 3


def test_a_score_as_text_counts_and_one_that_is_none_does_not() -> None:
    assert SEARCH.read(sample("hits_score_text")).scores == (0.99,)
    scores = ["much", True, None, [], 1e400, "NaN"]
    body = {"data": {"patent_messages": [{"score": score} for score in scores[:4]]}, "status": True}
    assert SEARCH.read(answer(body)).scores == (None,) * 4
    assert SEARCH.read(
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
        hits = SEARCH.read(answer(b'{"data":{"patent_messages":[%b]},"status":true}' % (whole % score)))
        assert (hits.scores, hits.complete) == ((read,), (True,))


@pytest.mark.parametrize(
    "total", [None, "many", -1, 10**30, 1e300, True, [], "1e300", 2**64], ids=lambda value: f"{value!r:.12}"
)
def test_a_total_that_is_none_is_the_number_of_hits_and_can_be_recorded(total: object) -> None:
    body = {"data": {"patent_messages": [{}, {}], "total_search_result_count": total}, "status": True}
    hits = SEARCH.read(answer(body))
    assert hits.total == 2
    msgspec.json.encode(hits.total)


@pytest.mark.parametrize("total", [20783, "20783", 20783.0])
def test_a_total_is_read_as_number_or_text(total: object) -> None:
    body = {"data": {"patent_messages": [{}], "total_search_result_count": total}, "status": True}
    assert SEARCH.read(answer(body)).total == 20783
