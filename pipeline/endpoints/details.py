"""The details of a patent that a hit names: owner, dates, legal status. One shape for every vendor; records hold it."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

MOST_AT_ONCE = 100  # patents in one call
LONGEST_ID = 128  # characters; an id that is longer, or holds a comma, cannot be asked for

# Why nothing is known of a patent.
NOT_FOUND = "not_found"  # the vendor was asked and does not have it; that is not billed
PENDING = "pending"  # not asked yet, or not answered yet
NOT_ALLOWED = "not_allowed"  # the account may not use the endpoint
OVER_BUDGET = "over_budget"  # api.budget.details is used up
REFUSED = "refused"  # the vendor refuses to be asked about this id
FAILED = "failed"  # the vendor did not answer, or refused

ACTIVE, INACTIVE, UNDER_EXAMINATION = "active", "inactive", "pending"


class PatentDetail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The details of one patent, as far as the vendor knows them; what it does not say is left out.

    Dates are ISO 8601. Texts are the vendor's; its words for statuses and types that are known are translated.
    """

    missing: str = ""  # left out, or why there are none: not_found, refused, pending, not_allowed, over_budget, failed
    as_of: str = ""  # when the vendor said so, ISO 8601 in UTC: details are kept for 30 days and not asked for again
    number: str = ""
    title: str = ""
    title_cn: str = ""
    owner: str = ""  # now; several are joined by "; "
    original_owner: str = ""
    status: str = ""  # active, inactive or pending; any other word as the vendor sent it
    status_sent: str = ""  # the vendor's own word
    patent_type: str = ""
    country: str = ""  # where it is registered
    application_date: str = ""
    publication_date: str = ""
    grant_date: str = ""
    priority_date: str = ""
    expiry_estimate: str = ""  # the vendor's estimate of the day on which it ends
    loc: tuple[str, ...] = ()  # Locarno classes
    drawings: int = 0  # how many the vendor has; their links are signed, live for 7 days and are not kept
    family: str = ""  # the same for the same design in several countries; only where families were asked for

    @property
    def known(self) -> bool:
        """Return whether there are details."""
        return not self.missing


class Details(NamedTuple):
    """The details of an item's best hits, as its record says them.

    patents  by patent id; or one word where nothing is known of any of them: pending, not_allowed, over_budget, failed
    designs  how many different designs these patents are; None where families were not asked for
    """

    patents: Mapping[str, PatentDetail] | str
    designs: int | None = None


def askable(patent_id: object) -> bool:
    """Return whether a hit's id can be asked for among others."""
    return (
        isinstance(patent_id, str)
        and 0 < len(patent_id) <= LONGEST_ID
        and patent_id.isprintable()
        and patent_id.strip() == patent_id
        and "," not in patent_id
    )
