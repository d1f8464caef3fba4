"""The endpoints of patent data, as far as they are alike: many patents in one call, those that were found in a list.

Found patents are billed each, and those that are not found are simply missing, so an answer is matched by `patent_id`
and never by its order. One entry that cannot be read takes nothing from the others, for they are paid.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.endpoints.patsnap.envelope import read_data
from pipeline.models import Kind

MOST_ANSWER_BYTES = 32 << 20  # a hundred patents, each with the signed links of all its drawings
_LONGEST_TEXT = 2000


def request_for(path: str, patent_ids: Sequence[str]) -> Request:
    """Ask for these patents: their ids go into the query, joined by commas."""
    query = (("patent_id", ",".join(patent_ids)),)
    return Request(Kind.DETAILS, "GET", path, query=query, most_bytes=MOST_ANSWER_BYTES)


def entries(answer: Answer) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the entries of an answer with their patent ids, each patent once. Raises Refusal.

    None found comes as an empty list; `"data":{}`, which other endpoints of the same gateway were seen to send for
    "nothing", is taken for the same (?).
    """
    data, _ = read_data(Kind.DETAILS, answer)
    if data == {}:
        data = []
    if not isinstance(data, list):
        raise Refusal("no_data", detail="the data is no list of patents")
    seen = set()
    for entry in data:
        patent_id = entry.get("patent_id") if isinstance(entry, dict) else None
        if isinstance(patent_id, str) and patent_id and patent_id not in seen:
            seen.add(patent_id)
            yield text(patent_id), entry


def text(value: object) -> str:
    """Read a text, or several as one; "" for anything else."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(text, value)))[:_LONGEST_TEXT]
    if isinstance(value, dict):
        return text(value.get("name"))  # the sister endpoints give owners as objects (?)
    if not isinstance(value, str):
        return ""
    # JSON can spell half a surrogate pair, which no file takes.
    return value.encode("utf-8", "replace").decode()[:_LONGEST_TEXT].strip()
