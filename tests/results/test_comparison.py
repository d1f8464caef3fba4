"""Our counts beside the vendor's: equal ones agree, and calls whose answer never came alone explain a difference."""

from collections import Counter
from decimal import Decimal

import pytest

from pipeline.endpoints.patsnap.billed import PATHS
from pipeline.endpoints.patsnap.statement import Used
from pipeline.journal.sql.sent_calls import Sent
from pipeline.results.comparison import Line, compare

CREATE = PATHS["AI39-1"]


def line(
    sent: int, granted: int, refused: int, vendor: int | None, *, doubts: int = 0, killed: int = 0, closed: bool = True
) -> Line:
    ours = [Sent(0, CREATE, "create", sent, granted, refused)]
    used = [] if vendor is None else [Used(CREATE, "AI39-1", vendor, vendor, Decimal(vendor))]
    (found,) = compare(ours, used, doubts=doubts, not_noted=Counter({"create": killed}), closed=closed)
    return found


@pytest.mark.parametrize(
    ("found", "difference", "explained", "said"),
    [
        (line(10, 10, 0, 10), 0, True, "agrees"),
        (line(10, 8, 2, 8), 0, True, "agrees"),
        (line(10, 8, 0, 9), 1, True, "1 more: 2 calls may have been executed"),
        (
            line(10, 8, 0, 9, doubts=2),
            1,
            True,
            "1 more: 2 calls may have been executed, 2 of them in doubt",
        ),
        (
            line(10, 8, 1, 10),
            2,
            False,
            "2 more: 1 call may have been executed; the rest came from another machine",
        ),
        (line(10, 10, 0, 12, killed=2), 2, True, "2 more: up to 2 more were sent when a process was killed"),
        (line(10, 10, 0, 13, killed=2), 3, False, "the rest came from another machine"),
        (line(10, 10, 0, 9), -1, False, "1 fewer than were granted"),
        (line(10, 10, 0, None), -10, False, "10 fewer than were granted"),
        (line(10, 10, 0, None, closed=False), -10, False, "the day is not closed"),
    ],
)
def test_difference_is_explained_by_what_has_no_clear_answer(
    found: Line, difference: int, explained: bool, said: str
) -> None:
    assert (found.difference, found.explained) == (difference, explained)
    assert said in found.said


def test_endpoint_that_only_the_vendor_counts_is_named_and_not_explained() -> None:
    (found,) = compare([], [Used("/x/y", "X1", 2, 2, Decimal(4))], doubts=0, not_noted=Counter(), closed=True)
    assert (found.endpoint, found.sent, found.explained) == ("X1", 0, False)
    assert "not called from this machine" in found.said


def test_calls_in_a_package_are_compared_as_calls() -> None:
    """Nobody says whether a package counts calls that were refused: both are explained."""
    ours = [Sent(0, CREATE, "create", 10, 8, 2)]
    for counted in (8, 10):
        used = [Used(CREATE, "AI39-1", counted, None, Decimal(0))]
        assert compare(ours, used, doubts=0, not_noted=Counter(), closed=True)[0].explained
