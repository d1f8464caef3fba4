"""Shapes of an answer that a client must understand, or must not: nothing found, and successes that contradict."""

import hashlib
import uuid

import msgspec

from pipeline.sandbox.envelope import Answer, success

_TOTAL = 20_783

# Nothing was found. The vendor's pages show the list; the others were seen on the gateway that all endpoints share.
NOTHING_FOUND = {
    "no_hits": b"{}",
    "null_hits": b'{"patent_messages":null}',
    "absent_hits": b'{"total_search_result_count":0}',
    "empty_hits": b'{"patent_messages":[],"total_search_result_count":0}',
}
# Each of these breaks the contract although the call was executed.
_BROKEN = {
    "lost_hits": b'{"patent_messages":[],"total_search_result_count":%d}' % _TOTAL,
    "blank_task_id": b'{"task_id":"   "}',
    "same_task_id": b'{"task_id":"00000000-0000-4000-8000-000000000000"}',
}
SHAPES = NOTHING_FOUND | _BROKEN


def reshaped(kind: str, answer: Answer) -> Answer:
    """Return a success in another shape, with its price; a refusal stays what it is."""
    return answer if answer.code else success(SHAPES[kind], units=answer.units)


def of_another(answer: Answer) -> Answer:
    """Return the answer to somebody else's question: it names another task or search, or other patents."""
    data = msgspec.json.decode(answer.body).get("data")
    if answer.code or not isinstance(data, list | dict):
        return answer
    for part in data if isinstance(data, list) else [data]:
        names = ("patent_id",) if isinstance(data, list) else ("task_id", "search_id")
        part |= {name: str(uuid.uuid4()) for name in names if name in part}
    return success(msgspec.json.encode(data), units=answer.units)


def nothing_like(picture_sha256: str) -> bytes:
    """Return the data for a picture that resembles no drawing: one of the four shapes, always the same one."""
    shapes = tuple(NOTHING_FOUND.values())
    return shapes[hashlib.sha256(picture_sha256.encode()).digest()[0] % len(shapes)]
