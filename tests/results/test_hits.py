"""The hits that reach the task and those that stay in the record; the vendor's bytes are never touched."""

import itertools
import json
import random

import pytest

from pipeline.models import Hits
from pipeline.paging import PagedHits, Paging
from pipeline.results.hits import choose, kept, proves_choice

ODD = (
    '{"patent_id":"1","patent_pn":"CN1","title":"手提包 \\u5305 \\/","url":"https://h/1?a=1&b=2",'
    '"score":0.990,"new":[1e2, -0]}',
    '{ "score" : 9.5E-1, "patent_id": "2" ,"big": 12345678901234567890, "deep": {"[": "]"} }',
    '{"score":0.9,"patent_id":"3","tiny":1.0000000000000001}',
)


def hits(*scores: float | None, incomplete: tuple[int, ...] = (), raw: tuple[str, ...] = ()) -> Hits:
    texts = raw or tuple(json.dumps({"n": n}) for n in range(len(scores)))
    return Hits(
        array=("[" + " , ".join(texts) + " ]").encode(),
        scores=scores,
        complete=tuple(n not in incomplete for n in range(len(scores))),
        total=len(scores),
        request_id="r",
        at=0.0,
    )


def numbers(array: bytes) -> list[int]:
    return [hit["n"] for hit in json.loads(array)]


@pytest.mark.parametrize(
    ("scores", "min_score", "chosen"),
    [
        pytest.param((0.9, 0.8, 0.7), 0.8, [0, 1], id="at the edge"),
        pytest.param((0.9, 0.8, 0.7), 0.800001, [0], id="just above"),
        pytest.param((0.9, 0.8, 0.7), 0.0, [0, 1, 2], id="none asked"),
        pytest.param((1.0, 0.999), 1.0, [0], id="all asked"),
        pytest.param((0.7, 0.9), 0.8, [1], id="not sorted"),
        pytest.param((None, 0.9), 0.0, [0, 1], id="without a score and none asked"),
        pytest.param((None, 0.9), 0.1, [1], id="without a score and one asked"),
        pytest.param((0.0,), 0.0, [0], id="zero"),
    ],
)
def test_hits_at_or_above_the_asked_score_are_chosen(
    scores: tuple[float | None, ...], min_score: float, chosen: list[int]
) -> None:
    choice = choose(hits(*scores), min_score=min_score, max_hits=100)
    assert choice is not None
    assert (numbers(choice.array), choice.count, choice.dropped) == (chosen, len(chosen), 0)


@pytest.mark.parametrize(
    ("scores", "min_score"), [((), 0.0), ((), 0.5), ((0.4,), 0.5), ((None,), 0.5)], ids=["none", "-", "low", "unscored"]
)
def test_nothing_is_chosen_when_nothing_fits(scores: tuple[float | None, ...], min_score: float) -> None:
    assert choose(hits(*scores), min_score=min_score, max_hits=100) is None


def test_the_first_max_hits_are_chosen() -> None:
    choice = choose(hits(0.9, 0.8, 0.7, 0.6), min_score=0.65, max_hits=2)
    assert choice is not None
    assert (numbers(choice.array), choice.count, choice.dropped) == ([0, 1], 2, 0)


def test_incomplete_hits_are_left_out_counted_and_their_places_filled() -> None:
    choice = choose(hits(0.9, 0.8, 0.7, 0.2, incomplete=(0, 3)), min_score=0.5, max_hits=2)
    assert choice is not None
    assert (numbers(choice.array), choice.count, choice.dropped) == ([1, 2], 2, 1)


def test_only_incomplete_hits_are_a_choice_of_none_of_them() -> None:
    """Not the same as nothing found: the item must not be called no_hits."""
    choice = choose(hits(0.9, 0.8, incomplete=(0, 1)), min_score=0.5, max_hits=9)
    assert choice is not None
    assert (choice.array, choice.count, choice.dropped) == (b"[]", 0, 2)


def test_when_all_are_chosen_the_array_is_the_vendors_own() -> None:
    found = hits(0.99, 0.95, 0.9, raw=ODD)
    choice = choose(found, min_score=0.0, max_hits=100)
    assert choice is not None
    assert choice.array == found.array
    assert kept(found, None) == found.array
    assert kept(found, 3) == kept(found, 100) == found.array


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_when_some_are_chosen_each_keeps_its_bytes(left_out: int) -> None:
    choice = choose(hits(0.99, 0.95, 0.9, incomplete=(left_out,), raw=ODD), min_score=0.0, max_hits=100)
    assert choice is not None
    rest = [text for n, text in enumerate(ODD) if n != left_out]
    assert choice.array.decode() == f"[{','.join(rest)}]"


@pytest.mark.parametrize(("most", "expected"), [(0, "[]"), (1, f"[{ODD[0]}]"), (2, f"[{ODD[0]},{ODD[1]}]")])
def test_the_record_keeps_the_first_hits_byte_for_byte(most: int, expected: str) -> None:
    assert kept(hits(0.99, 0.95, 0.9, raw=ODD), most).decode() == expected


def test_keeping_of_nothing_is_an_empty_array() -> None:
    assert json.loads(kept(hits(), 5)) == json.loads(kept(hits(), None)) == []


def test_counts_that_prove_a_choice_are_of_the_very_same_hits() -> None:
    """Whatever another job chose by: where counts are taken for proof, its task holds what ours would hold."""
    draw, proved = random.Random(7), 0
    for _ in range(300):
        scores = [draw.choice([None, 0.2, 0.5, 0.5, 0.9]) for _ in range(draw.randrange(7))]
        if draw.random() < 0.5:
            scores = sorted((score for score in scores if score is not None), reverse=True)
        found = hits(*scores, incomplete=tuple(n for n in range(len(scores)) if draw.random() < 0.2))
        if draw.random() < 0.5:
            ranks = tuple(range(1, len(scores) + 1))
            found = PagedHits.of(found, Paging((), ranks, draw.random() < 0.5, 200, len(scores), None))
        asked = itertools.product((0, 0.3, 0.6), (1, 2, 3, 100))
        choices = [choice for low, most in asked if (choice := choose(found, min_score=low, max_hits=most)) is not None]
        for ours, other in itertools.product(choices, choices):
            if proves_choice(found, ours, count=other.count, dropped=other.dropped):
                assert other.array == ours.array
                proved += other is not ours
    assert proved > 1000


def test_counts_prove_a_choice_of_all_hits_and_of_the_best_of_sorted_ones() -> None:
    by_score, by_class = hits(0.9, 0.8, 0.7), hits(0.7, 0.9, 0.8)
    for found, most, proved in ((by_score, 3, True), (by_score, 2, True), (by_class, 3, True), (by_class, 2, False)):
        choice = choose(found, min_score=0, max_hits=most)
        assert choice is not None
        assert proves_choice(found, choice, count=most, dropped=0) is proved
        assert not proves_choice(found, choice, count=most - 1, dropped=0)
        assert not proves_choice(found, choice, count=most, dropped=1)
