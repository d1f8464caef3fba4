"""The counts of calls that budgets rest on."""

from pipeline.journal.sql import calls, sent_calls
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import packed
from pipeline.models import KINDS, Calls, Kind
from tests.support.journal_rows import put


def test_calls_start_at_none_and_keep_what_is_noted(db: Database) -> None:
    calls.note(db, Kind.SEARCH, reserved=64, sent=3)
    assert calls.noted(db) == dict.fromkeys(KINDS, (0, 0)) | {Kind.SEARCH: (64, 3)}


def test_after_a_kill_the_calls_that_items_remember_count_as_sent(db: Database) -> None:
    """The counts of sent calls reach the disk now and then; an item's own come with its intent."""
    calls.note(db, Kind.SEARCH, reserved=64, sent=1)
    for number in (1, 2, 3):
        put(db, number, calls=packed(Calls(search=1)))
    assert calls.counted(db)[Kind.SEARCH] == (64, 3)
    calls.note(db, Kind.SEARCH, reserved=64, sent=5)  # two of them belong to items that keep no count of theirs
    assert calls.counted(db)[Kind.SEARCH] == (64, 5)


def test_nothing_was_executed_only_where_every_call_that_may_have_left_was_refused(db: Database) -> None:
    """Else a shard would be open to an account that cannot see what another one paid for in it."""
    assert sent_calls.nothing_executed(db)
    calls.note(db, Kind.SEARCH, reserved=2, sent=2)
    assert not sent_calls.nothing_executed(db), "two that no answer was noted of"
    sent_calls.add(db, "a", [(1, "/search", Kind.SEARCH, 2, 0, 2)])
    assert sent_calls.nothing_executed(db)
    calls.note(db, Kind.SEARCH, reserved=3, sent=2)
    assert not sent_calls.nothing_executed(db), "one more may have left"
    sent_calls.add(db, "a", [(1, "/search", Kind.SEARCH, 1, 0, 0)])
    assert not sent_calls.nothing_executed(db), "an answer was lost"
