"""The changes of state that are possible, asked of the code and of SQLite itself; versions of the journal."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.places import JOURNAL
from pipeline.journal.sql import schema
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import counts
from pipeline.journal.sql.schema import LEGAL
from pipeline.journal.storage import connect, open_disk
from pipeline.models import SETTLED, State
from tests.support.fakes import NOW
from tests.support.journal_rows import put

P, S, C = State.PENDING, State.SEARCHED, State.CREATING
TASKED, NO_HITS, SEARCH_ONLY = State.TASKED, State.NO_HITS, State.SEARCH_ONLY
FAILED, IN_DOUBT, EXPIRED = State.FAILED, State.IN_DOUBT, State.EXPIRED

REPORTED, PENDING_REPORT = State.REPORTED, State.REPORT_PENDING
NO_REPORT, LOST_REPORT = State.REPORT_FAILED, State.REPORT_LOST
LEFT_AGAIN = {NO_REPORT, LOST_REPORT}  # what a person tried again in vain is what it was

PROMISED = {
    # P: uploaded; C: hits and intent in one step
    # PENDING_REPORT: the task of another run stands for one of its own
    P: {P, S, C, TASKED, NO_HITS, SEARCH_ONLY, REPORTED, FAILED, EXPIRED, PENDING_REPORT, *LEFT_AGAIN},
    # P: hits too old; TASKED: a line adopted, or of another run's task
    S: {S, P, C, TASKED, NO_HITS, SEARCH_ONLY, REPORTED, FAILED, EXPIRED, PENDING_REPORT, *LEFT_AGAIN},
    # S: provably not executed; P: the same of a submit, which had no hits
    C: {C, S, P, TASKED, PENDING_REPORT, IN_DOUBT, FAILED},
    TASKED: set(),
    NO_HITS: set(),
    SEARCH_ONLY: set(),
    REPORTED: set(),
    FAILED: {FAILED, P, S},  # FAILED: read anew and still bad
    IN_DOUBT: {P, S, TASKED, PENDING_REPORT, IN_DOUBT},  # by decision alone; IN_DOUBT: another reason
    EXPIRED: {P, S},
    # its own: polls are counted; NO_HITS: of a submit, whose report brings the hits
    PENDING_REPORT: {PENDING_REPORT, REPORTED, NO_HITS, NO_REPORT, LOST_REPORT},
    NO_REPORT: {REPORTED, NO_HITS, NO_REPORT, LOST_REPORT, P, S},  # P, S: paid for anew, by decision alone
    LOST_REPORT: {P, S},
}


@pytest.mark.parametrize("old", State, ids=lambda state: state.name.lower())
def test_code_and_reliability_page_agree_on_every_change(old: State) -> None:
    assert {new for new in State if (old, new) in LEGAL} == PROMISED[old]


@pytest.fixture
def one_of_each(db: Database, tmp_path: Path) -> Path:
    """A journal file with an item in each state."""
    for state in State:
        put(db, int(state), state)
    return tmp_path / JOURNAL


@pytest.mark.parametrize("old", State, ids=lambda state: state.name.lower())
def test_sqlite_itself_refuses_every_change_that_is_not_promised(old: State, one_of_each: Path) -> None:
    """Asked by another program on the same file: the rule is in the file, not in our code."""
    with closing(sqlite3.connect(one_of_each, isolation_level=None)) as other:
        for new in State:
            other.execute("BEGIN")
            change = "UPDATE items SET state = ? WHERE id = ?", (int(new), f"SKU-{int(old)}")
            if new in PROMISED[old]:
                other.execute(*change)
            else:
                with pytest.raises(sqlite3.IntegrityError, match="illegal change of state"):
                    other.execute(*change)
            after = other.execute("SELECT state FROM items WHERE id = ?", (f"SKU-{int(old)}",)).fetchone()[0]
            assert after == int(new if new in PROMISED[old] else old), new
            other.execute("ROLLBACK")


@pytest.mark.parametrize(("before", "after"), [(C, P), (PENDING_REPORT, NO_HITS), (NO_REPORT, NO_HITS)])
def test_sqlite_itself_takes_no_item_with_paid_hits_for_one_that_was_submitted(
    before: State, after: State, db: Database
) -> None:
    ord_ = put(db, 1, before, segment=1)
    with pytest.raises(sqlite3.IntegrityError, match="illegal change of state"):
        db.do("UPDATE items SET state = ? WHERE ord = ?", (int(after), ord_))
    db.do("UPDATE items SET state = ?, segment = NULL WHERE ord = ?", (int(before if before is not C else S), ord_))


def test_journal_of_another_version_is_refused(db: Database, tmp_path: Path) -> None:
    db.set_meta("version", "2")
    with pytest.raises(JournalError, match="version 2, and this program reads 1: use a newer pipeline"):
        open_disk(tmp_path, now=NOW)


def test_other_database_is_refused(tmp_path: Path) -> None:
    other = connect(tmp_path / JOURNAL)
    other.execute("CREATE TABLE holidays (day TEXT)")
    other.close()
    with pytest.raises(JournalError, match="cannot be read"):
        open_disk(tmp_path, now=NOW)


def test_creating_a_journal_that_exists_changes_nothing(db: Database) -> None:
    put(db, 1, S)
    schema.create(db)
    assert counts(db) == {S: 1}


def test_a_doubt_may_end_only_in_waiting_or_in_a_task() -> None:
    """Every change of state that SQL allows from and to a doubt."""
    assert {new for old, new in LEGAL if old is IN_DOUBT} == {P, S, TASKED, PENDING_REPORT, IN_DOUBT}
    assert {old for old, new in LEGAL if new is IN_DOUBT} == {C, IN_DOUBT}
    assert not [pair for pair in LEGAL if pair[0] in SETTLED]


def test_journal_of_a_version_without_identities_gets_them_as_an_empty_column(db: Database, tmp_path: Path) -> None:
    put(db, 1, State.TASKED)
    db.do("ALTER TABLE items DROP COLUMN picture")
    schema.create(db)
    assert db.do("SELECT id, picture FROM items").fetchall() == [("SKU-1", None)]
