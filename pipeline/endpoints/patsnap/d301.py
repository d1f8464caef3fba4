"""D301: owner, dates, legal status, classes and drawings of up to 100 patents in one call, billed per patent found.

The vendor's page gives the names of these fields and one example. What is assumed beyond that carries a (?): that a
field may be null or absent, that owners may come as a list, and the name of the date of priority.
"""

from datetime import date
from typing import Any

from pipeline.endpoints.details import ACTIVE, INACTIVE, UNDER_EXAMINATION, PatentDetail
from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.patsnap.patent_data import entries, request_for, text
from pipeline.models import Kind
from pipeline.system.clock import iso

NAME = "D301"
PATH = "/basic-patent-data/patent-detail-aggregation"

# The vendor's words, in Chinese as D301 sends them and in English as its sisters do. Any other is kept as sent.
STATUSES = {
    "有效": ACTIVE,
    "失效": INACTIVE,
    "审中": UNDER_EXAMINATION,
    "active": ACTIVE,
    "inactive": INACTIVE,
    "pending": UNDER_EXAMINATION,
}
TYPES = {
    "外观设计": "design",
    "实用新型": "utility model",
    "发明申请": "application for an invention",
    "授权发明": "granted invention",
    "design": "design",
    "utility": "utility model",
}


class PatentDetails:
    """The endpoint that gives details of patents."""

    name = NAME
    what = "details of hits"
    kind = Kind.DETAILS

    def request(self, asked: tuple[str, ...]) -> Request:
        """Ask for the details of these patents."""
        return request_for(PATH, asked)

    def read(self, answer: Answer) -> dict[str, PatentDetail]:
        """Read the details by patent id; a patent that was not found is missing. Raises Refusal."""
        as_of = iso(answer.at)
        return {patent_id: _detail(entry, as_of) for patent_id, entry in entries(answer)}


def _detail(entry: Any, as_of: str) -> PatentDetail:
    status, type_ = text(entry.get("simple_legal_status")), text(entry.get("patent_type"))
    images = entry.get("images")
    return PatentDetail(
        as_of=as_of,
        number=text(entry.get("pn")),
        title=text(entry.get("title")),
        title_cn=text(entry.get("title_cn")),
        owner=text(entry.get("current_assignee")),
        original_owner=text(entry.get("original_assignee")),
        status=STATUSES.get(status.lower(), status),
        status_sent=status,
        patent_type=TYPES.get(type_.lower(), type_),
        country=text(entry.get("registration_country")),
        application_date=_day(entry.get("application_date")),
        publication_date=_day(entry.get("publication_date")),
        grant_date=_day(entry.get("grant_date")),
        priority_date=_day(entry.get("priority_date")),
        expiry_estimate=_day(entry.get("expiration_date")),
        loc=tuple(_classes(entry.get("classification_data"))),
        drawings=len(images) if isinstance(images, list) else 0,
    )


def _day(value: object) -> str:
    """Read a day of the form yyyyMMdd, a number or its digits; "" for anything else."""
    digits = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).isoformat() if len(digits) == 8 else ""
    except ValueError:
        return ""


def _classes(value: object) -> list[str]:
    """Read the Locarno classes among all classes of a patent."""
    found: list[str] = []
    for group in value if isinstance(value, list) else ():
        if isinstance(group, dict) and group.get("category_type") == "LOC":
            classes = group.get("category")
            found += filter(None, map(text, classes if isinstance(classes, list) else [classes]))
    return found
