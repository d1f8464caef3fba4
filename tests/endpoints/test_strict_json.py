"""JSON that nests too deep is refused by counting, wherever the nesting stands and however the answer is written."""

import json
import sys
from collections.abc import Callable

import pytest

from pipeline.endpoints.patsnap.hits import judged
from pipeline.endpoints.strict_json import MAX_DEPTH, Whole, _read_any, _read_usual, nests_deeper, read
from pipeline.errors import InDoubt, TryAgain
from pipeline.models import Kind
from tests.support.answers import answer, error_of, outcome_of

HIT = '"patent_id":"1","patent_pn":"US1","title":"x","url":"https://x/1"'
USUAL = "{" + HIT + ',"score":0.5}'
# Where the nesting stands, with the levels around it.
PLACES = {
    "alone": ("%s", 0),
    "beside the hits": ('{"data":{"patent_messages":[' + USUAL + ']},"status":true,"more":%s}', 1),
    "in the data": ('{"data":{"patent_messages":[],"task_id":"t","more":%s},"status":true}', 2),
    "as the hits": ('{"data":{"patent_messages":%s},"status":true}', 2),
    "in a usual hit": ('{"data":{"patent_messages":[{' + HIT + ',"more":%s}]},"status":true}', 4),
    "in the last of many hits": (
        '{"data":{"patent_messages":[' + f"{USUAL}," * 200 + "{" + HIT + ',"more":%s}]},"status":true}',
        4,
    ),
    "as a title": ('{"data":{"patent_messages":[{"title":%s}]},"status":true}', 4),
    "in the error text": ('{"status":false,"error_code":68300004,"error_msg":%s}', 1),
}
SPELLINGS = {
    "compact": lambda text: text,
    "with spaces": lambda text: text.replace(":", ": "),
    "with a number of more than 64 bits": lambda text: text.replace(
        '"status"', '"n":123456789012345678901234,"status"'
    ),
}


def nested(depth: int, opening: str) -> str:
    """Nest arrays, or objects, so many levels deep."""
    return opening * depth + "1" + ("]" if opening == "[" else "}") * depth


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["arrays", "objects"])
@pytest.mark.parametrize("place", PLACES)
def test_a_hundred_levels_are_read_and_one_more_is_refused(place: str, opening: str) -> None:
    around, levels = PLACES[place]
    for spelt in SPELLINGS.values():
        at_most = spelt(around % nested(MAX_DEPTH - levels, opening)).encode()
        assert read(at_most).value == json.loads(at_most)
        for depth in (MAX_DEPTH - levels + 1, 300, 20_000):
            with pytest.raises(ValueError, match="nested deeper than 100 levels"):
                read(spelt(around % nested(depth, opening)).encode())


@pytest.mark.parametrize("depth", [101, 100_000])
@pytest.mark.parametrize("closed", [True, False])
def test_an_answer_that_nests_too_deep_is_malformed(depth: int, closed: bool) -> None:
    body = ('{"data":' + "[" * depth + "]" * depth * closed + ',"task_id":"t","status":true}').encode()
    search, create = error_of(Kind.SEARCH, answer(body)), error_of(Kind.CREATE, answer(body))
    assert (type(search), type(create)) == (TryAgain, InDoubt)
    assert search.code == create.code == "malformed"


@pytest.mark.parametrize("status", [400, 401, 429, 503])
@pytest.mark.parametrize("depth", [101, 100_000])
def test_a_refusal_that_nests_too_deep_does_not_say_that_a_create_was_not_executed(status: int, depth: int) -> None:
    body = ('{"data":' + nested(depth, "[") + ',"status":true}').encode()
    assert type(error_of(Kind.CREATE, answer(body, status=status))) is InDoubt


def test_the_bound_does_not_depend_on_the_interpreters_own() -> None:
    body = ('{"data":' + nested(500, "[") + ',"status":true}').encode()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        assert error_of(Kind.SEARCH, answer(body)).code == "malformed"
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    "text", ["[" * 1_000, "]{" * 1_000, '\\"[' * 1_000, "\\\\[{" * 1_000], ids=lambda text: text[:4]
)
@pytest.mark.parametrize("spelt", SPELLINGS.values(), ids=SPELLINGS)
def test_brackets_in_texts_are_no_nesting(text: str, spelt: object) -> None:
    title = json.dumps(text)
    body = spelt('{"data":{"patent_messages":[{"title":' + title.replace(":", "") + '}]},"status":true}').encode()
    assert read(body).value == json.loads(body)
    assert len(outcome_of(Kind.SEARCH, answer(body)).scores) == 1


@pytest.mark.parametrize(
    ("text", "deeper"),
    [
        ("[" * 3 + "]" * 3, False),
        ("[" * 4 + "]" * 4, True),
        ("[{" * 2 + "}]" * 2, True),
        ("[]" * 50, False),
        ('["[[[[[["]', False),
        ('["\\"[[[[[["]', False),
        ('["\\\\",[[[]]]]', True),
        ('["\\\\\\"[[[[[["]', False),
        ('""' + "[" * 9, True),
        ('"' * 3 + "[" * 9, False),
        ("", False),
    ],
)
def test_depth_is_counted_outside_of_strings(text: str, deeper: bool) -> None:
    assert nests_deeper(text, 3) is deeper


def test_to_count_takes_time_in_proportion_to_the_text() -> None:
    """A string without an end must not be scanned anew from each of its quotes."""
    assert not nests_deeper('{"' + '\\"[' * 500_000, 1)
    assert nests_deeper("[{" * 500_000, 100)


def test_usual_hits_come_with_the_answer_and_others_do_not() -> None:
    both = [f'{{"data":{{"patent_messages":[{hit}]}},"status":true}}' for hit in (USUAL, USUAL[:-1] + ',"apno":"1"}')]
    usual, more = (read(body.encode()) for body in both)
    assert usual.usual
    assert [hit["score"] for hit in usual.value["data"]["patent_messages"]] == [0.5]
    assert not more.usual
    assert more.hits == b"[" + USUAL[:-1].encode() + b',"apno":"1"}]'


HITS = ",".join(
    f'{{"patent_id":"{n}","patent_pn":"US{n}","title":"T\u00e9{n} \u6c34","url":"https://x/{n}.jpg","score":0.{n}}}'
    for n in range(1, 4)
)
AROUND = '{"data":{"patent_messages":[%s],"total_search_result_count":2},"status":true,"error_code":0,"error_msg":""}'
ANSWER = (AROUND % HITS).encode()
PIECES = (
    *(
        b'"',
        b"'",
        b"\\",
        b"\\u0041",
        b"\\ud800",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b",",
        b":",
        b"{",
        b"}",
        b"[",
        b"]",
        b"0",
        b"-",
    ),
    *(
        b".",
        b"e",
        b"1e999",
        b"null",
        b"true",
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b'"score":0.5,',
        b'"title":"again",',
    ),
    *(
        b'"more":1,',
        b'"patent_messages":[',
        b'"patent_messages":null,',
        b'"data":{},',
        b"[{}],",
        b'""',
        b"",
        b"NaN",
        b"01",
    ),
)


def read_by(way: Callable[[bytes], Whole | None], body: bytes) -> object:
    """Return what a way of reading makes of an answer, its hits judged; None where it does not take it."""
    try:
        whole = way(body)
    except ValueError:
        return None
    if whole is None:
        return None
    data = whole.value.get("data") if isinstance(whole.value, dict) else None
    hits = data.get("patent_messages") if isinstance(data, dict) else None
    of_dicts = isinstance(hits, list) and all(isinstance(hit, dict) for hit in hits)
    return whole.hits, whole.value, judged(hits, usual=whole.usual) if of_dicts else None


def test_usual_answers_are_read_in_the_quick_way_as_in_the_other() -> None:
    found = read_by(_read_usual, ANSWER)
    assert found is not None
    assert found == read_by(_read_any, ANSWER)
    assert json.loads(found[0])[2]["title"] == "T\u00e93 \u6c34"  # type: ignore[index]


@pytest.mark.parametrize("piece", PIECES, ids=str)
def test_whatever_is_put_anywhere_the_quick_way_reads_it_as_the_other_or_leaves_it_to_that(piece: bytes) -> None:
    """A piece that is put in, or in the place of a byte: what the quick way takes, the strict one takes alike."""
    for at in range(len(ANSWER)):
        for behind in (at, at + 1):
            body = ANSWER[:at] + piece + ANSWER[behind:]
            if (found := read_by(_read_usual, body)) is not None:
                assert found == read_by(_read_any, body), body
