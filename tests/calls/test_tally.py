"""Calls by hour and path: each is counted once, in the hour in which it was sent."""

from pipeline.calls.tally import Counted, Tally
from pipeline.models import Kind

SEARCH = Kind.SEARCH


def test_answer_counts_in_the_hour_of_its_call_and_nothing_is_given_out_twice() -> None:
    now = 3600.0 * 7 + 3599.9
    tally = Tally("a", lambda: now)
    first = tally.sent("/a", SEARCH)
    tally.sent("/a", SEARCH).refused += 1
    now += 0.2
    tally.sent("/a", SEARCH)
    tally.sent("/b", Kind.CREATE)
    assert tally.taken() == [
        Counted(7, "/a", SEARCH, 2, 0, 1),
        Counted(8, "/a", SEARCH, 1, 0, 0),
        Counted(8, "/b", Kind.CREATE, 1, 0, 0),
    ]
    assert tally.taken() == []
    first.granted += 1
    assert tally.taken() == [Counted(7, "/a", SEARCH, 0, 1, 0)]
