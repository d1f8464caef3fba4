"""The details of a hit as the page shows them: who owns it, how it stands, and with which hit it is one design."""

from typing import NamedTuple

from pipeline.endpoints.details import (
    ACTIVE,
    FAILED,
    INACTIVE,
    NOT_ALLOWED,
    NOT_FOUND,
    OVER_BUDGET,
    PENDING,
    REFUSED,
    UNDER_EXAMINATION,
    PatentDetail,
)
from pipeline.results.page.entries import Hit
from pipeline.results.page.text import tidy
from pipeline.results.reading import RecordView
from pipeline.system.wording import count

_STATUSES = {ACTIVE: "Active", INACTIVE: "Inactive", UNDER_EXAMINATION: "Pending"}
_MISSING = {
    REFUSED: "the vendor refuses to be asked about this patent",
    NOT_FOUND: "the vendor has no details of this patent",
    PENDING: "its details had not come yet",
    NOT_ALLOWED: "this account may not ask for details",
    OVER_BUDGET: "the budget for details was used up",
    FAILED: "its details could not be fetched",
}


class Owner(NamedTuple):
    """The details of a hit in words; all are empty where the run asked for none."""

    name: str = ""
    status: str = ""  # and where, until when it is expected to last, and as of when the vendor said so
    same_design: str = ""  # the number of an earlier hit beside it that is the same design
    missing: str = ""  # why there are none


def owner_of(hit: Hit, shown: list[Hit]) -> Owner:
    """Write the details of a hit that is `shown` among others."""
    detail = hit.detail
    if detail is None:
        return Owner()
    if detail.missing:
        return Owner(missing=_MISSING.get(detail.missing, tidy(detail.missing, 40)))
    return Owner(_name(detail), _status(detail), _same_design(hit, shown))


def about_details(record: RecordView) -> str:
    """Say why an item has no details at all, or how many different designs its hits are; "" where nothing is to say."""
    if record.details_state:
        return f"Details of the hits: {_MISSING.get(record.details_state, tidy(record.details_state, 40))}."
    known = sum(detail.known for detail in record.details.values())
    if record.designs is None or record.designs >= known:
        return ""
    return f"The {known} hits with details are {count(record.designs, 'different design')}."


def _name(detail: PatentDetail) -> str:
    if detail.owner:
        return tidy(detail.owner, 120)
    return f"{tidy(detail.original_owner, 100)} (first owner)" if detail.original_owner else "owner not said"


def _status(detail: PatentDetail) -> str:
    status = _STATUSES.get(detail.status) or (f"“{tidy(detail.status, 40)}”" if detail.status else "status not said")
    parts = [f"{status} in {tidy(detail.country, 40)}" if detail.country else status]
    if detail.expiry_estimate:
        parts.append(f"expected end {tidy(detail.expiry_estimate, 20)}")
    if detail.as_of:
        parts.append(f"as of {tidy(detail.as_of, 40)[:10]}")
    return ", ".join(parts)


def _same_design(hit: Hit, shown: list[Hit]) -> str:
    """Return the number of the first hit of the same family that is shown before this one."""
    assert hit.detail is not None
    for other in shown:
        if other is hit or not hit.detail.family:
            return ""
        if other.detail is not None and other.detail.family == hit.detail.family:
            return tidy(other.number, 60)
    return ""
