"""P014: the families of up to 100 patents in one call, billed per patent found.

The simple family holds the patents with the same priorities: one design, filed in several countries. Where a patent has
none the wider families stand for it, INPADOC's and the vendor's own. The vendor's page does not show whether the ids of
the families lie in `patent_family` or beside it (?), so both are read.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.patsnap.patent_data import entries, request_for
from pipeline.models import Kind

NAME = "P014"
PATH = "/basic-patent-data/patent-family"
_FAMILIES = ("simple", "inpadoc", "patsnap")


class PatentFamilies:
    """The endpoint that gives the families of patents."""

    name = NAME
    what = "families of hits"
    kind = Kind.DETAILS

    def request(self, asked: tuple[str, ...]) -> Request:
        """Ask for the families of these patents."""
        return request_for(PATH, asked)

    def read(self, answer: Answer) -> dict[str, str]:
        """Read an id of its family for each patent, "" where none is named. Raises Refusal."""
        return {patent_id: _family(entry) for patent_id, entry in entries(answer)}


def _family(entry: Mapping[str, Any]) -> str:
    inside = entry.get("patent_family")
    for name in _FAMILIES:
        for place in (inside, entry):
            number = place.get(f"{name}_family_id") if isinstance(place, dict) else None
            if isinstance(number, int | str) and not isinstance(number, bool) and str(number).strip() not in ("", "0"):
                return f"{name}:{str(number).encode('utf-8', 'replace').decode().strip()[:40]}"
    return ""
