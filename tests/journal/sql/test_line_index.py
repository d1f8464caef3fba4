"""The lines of results.jsonl as the journal knows them, read forwards and backwards in batches."""

from pipeline.journal.sql import changes, line_index
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line
from pipeline.models import Calls, State
from tests.support.journal_rows import put

LINES = [Line(n, 10 * n, 10, n) for n in range(5)]


def settled(db: Database) -> None:
    """Settle items in another order than they came in; one has no line."""
    for number in range(6):
        put(db, number)
    for line, ord_ in zip(LINES, (4, 2, 5, 1, 3), strict=True):
        changes.settle(db, ord_, State.NO_HITS, line=line, calls=Calls(), task=None)


def test_an_empty_journal_knows_no_line(db: Database) -> None:
    put(db, 1)
    assert line_index.last(db) is None
    assert (line_index.following(db, -1, limit=9), line_index.backwards(db, 9, limit=9)) == ([], [])


def test_lines_are_read_in_their_order_from_any_number_on(db: Database) -> None:
    settled(db)
    assert line_index.last(db) == LINES[4]
    assert line_index.following(db, -1, limit=9) == LINES
    assert line_index.following(db, 1, limit=2) == LINES[2:4]
    assert line_index.backwards(db, 4, limit=9) == LINES[::-1]
    assert line_index.backwards(db, 2, limit=2) == [LINES[2], LINES[1]]
