"""JSON read strictly: UTF-8, one value per key, plain numbers, a bounded depth; and hits as the bytes that came."""

import contextlib
import json
import re
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec
import orjson

MAX_DEPTH = 100  # arrays and objects in one another; real answers have five
_BRACKETS = re.compile(r"[\[\]{}]")
_CONTAINERS = frozenset((dict, list))
_HITS_KEY = b'"patent_messages":['
_HERE = b"\0"  # stands in no JSON text: there it is an escape

NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]
Score = Annotated[float, msgspec.Meta(ge=0, le=1)] | None


class TooDeep(ValueError):
    """JSON that nests deeper than MAX_DEPTH, and is not read any further."""

    def __init__(self) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} levels")


class UsualHit(TypedDict):
    """A hit that has all that a task needs and nothing more; nothing in it is nested.

    Whatever else a hit has is dropped when it is decoded as this one.
    """

    patent_id: NonEmpty
    patent_pn: NonEmpty
    title: NonEmpty
    url: NonEmpty
    score: NotRequired[Score]


class Whole(NamedTuple):
    """An answer.

    value  the decoded JSON
    hits   the bytes of its hits; b"" where it has none, or they are still to be `sliced`
    usual  True when all hits in the value are known to be usual ones
    """

    value: Any
    hits: bytes
    usual: bool = False


class _Data(msgspec.Struct):
    patent_messages: msgspec.Raw


class _Envelope(msgspec.Struct):
    data: _Data


class _Outside(msgspec.Struct):
    data: msgspec.Raw


class _UsualData(msgspec.Struct):
    patent_messages: list[UsualHit]


class _UsualEnvelope(msgspec.Struct):
    data: _UsualData


_USUAL = msgspec.json.Decoder(_UsualEnvelope)
_SLICE = msgspec.json.Decoder(_Envelope)
_SLICE_OF_DATA = msgspec.json.Decoder(_Outside)


def read(body: bytes) -> Whole:
    """Decode a whole answer. Raises ValueError for what is not strict JSON, TooDeep for what nests too deep."""
    return _read_usual(body) or _read_any(body)


def _read_usual(body: bytes) -> Whole | None:
    """Decode an answer with usual hits alone, written as they are encoded here; None for any other.

    The hits are checked while they are decoded. `_read_any` leaves that to a second look at each, and measures how deep
    each nests, which takes half as long again. This is as strict: the hits yield the same bytes when they are encoded
    again, and so does all that stands around them.
    """
    key = body.find(_HITS_KEY)
    if key < 0:
        return None
    start = key + len(_HITS_KEY) - 1  # of the array
    try:
        usual = _USUAL.decode(body).data.patent_messages
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if not usual:
        return None
    try:
        hits = orjson.dumps(usual)  # of one with a key more, or one twice, these are other bytes
        if not body.startswith(hits, start):
            return None
        around = b"%bnull%b" % (body[:start], body[start + len(hits) :])
        if around.count(b"[") + around.count(b"{") > MAX_DEPTH:
            return None
        value = orjson.loads(around)
        data = value["data"]
        # The place that was found is that of the hits which were decoded, and nothing around them is there twice.
        if data["patent_messages"] is not None or orjson.dumps(value) != around:
            return None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, TypeError, KeyError):
        return None
    data["patent_messages"] = usual
    return Whole(value, hits, usual=True)


def _read_any(body: bytes) -> Whole:
    """Decode a whole answer. Raises ValueError for what is not strict JSON, TooDeep for what nests too deep.

    If re-encoding yields the same bytes, no key was repeated (a repeated one would be dropped). That is so for compact
    answers, costs less than to check each object (0.06 ms against 0.15 for 73 KB), and gives the bytes of the hits.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:  # also for numbers of more than 64 bits, which are JSON
        text = body.decode("utf-8")
        if nests_deeper(text, MAX_DEPTH):
            raise TooDeep from None
        return Whole(_checked(text), b"")
    found = _hits_of(value)
    with contextlib.suppress(orjson.JSONEncodeError):
        hits, around = _encoded(value, found)
        head, _, tail = around.partition(_HERE)
        end = len(head) + len(hits)
        if body.startswith(head) and body.startswith(hits, len(head)) and body[end:] == tail:
            # Few brackets cannot be deep: to count those of an answer without hits costs next to nothing.
            flat = found is None and around.count(b"[") + around.count(b"{") <= MAX_DEPTH
            if not flat and _is_deeper(value, MAX_DEPTH):
                raise TooDeep
            return Whole(value, hits)
    if _is_deeper(value, MAX_DEPTH):
        raise TooDeep
    return Whole(_checked(body.decode("utf-8")), b"")


def sliced(body: bytes) -> bytes:
    """Cut the hits out of an answer that has some, and put them on one line. Raises ValueError where that cannot be."""
    try:
        hits = bytes(_SLICE.decode(body).data.patent_messages)
    except msgspec.MsgspecError:
        raise ValueError("cannot be sliced") from None
    return _on_one_line(hits)


def sliced_data(body: bytes) -> bytes:
    """Cut the data out of an answer, and put it on one line. Raises ValueError where that cannot be."""
    try:
        data = bytes(_SLICE_OF_DATA.decode(body).data)
    except msgspec.MsgspecError:
        raise ValueError("cannot be sliced") from None
    return _on_one_line(data)


def _on_one_line(sliced: bytes) -> bytes:
    """Put JSON on one line, as a record is: its strings cannot hold raw line breaks, so these stand between tokens."""
    return sliced.replace(b"\r", b" ").replace(b"\n", b" ")


def nests_deeper(text: str, most: int) -> bool:
    """Return whether JSON text nests arrays and objects more than `most` deep.

    Counted here because a decoder's own limit differs: up to Python 3.12 it is the recursion limit, from 3.13 on
    `json` follows the depth of the C stack, and 100,000 levels are no error any more.
    """
    if text.count("[") + text.count("{") <= most:
        return False
    # In JSON a backslash stands in strings alone. Without escapes, every second part between quotes is a string.
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    depth = 0
    for bracket in _BRACKETS.findall(outside):
        depth += 1 if bracket in "[{" else -1
        if depth > most:
            return True
    return False


def _is_deeper(value: Any, most: int) -> bool:
    """Return whether a decoded value nests lists and dicts more than `most` deep."""
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(most):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) in _CONTAINERS
        ]
        if not level:
            return False
    return True


def _hits_of(value: Any) -> list[Any] | None:
    data = value.get("data") if isinstance(value, dict) else None
    hits = data.get("patent_messages") if isinstance(data, dict) else None
    return hits if isinstance(hits, list) else None


def _encoded(value: Any, hits: list[Any] | None) -> tuple[bytes, bytes]:
    """Encode the hits of an answer, and the rest of it around `_HERE`."""
    if hits is None:
        return b"", orjson.dumps(value)
    around = {**value, "data": {**value["data"], "patent_messages": orjson.Fragment(_HERE)}}
    return orjson.dumps(hits), orjson.dumps(around)


def _checked(text: str) -> Any:
    """Decode JSON and look at each object for a repeated key."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a key is repeated")
    return built


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
