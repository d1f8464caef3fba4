"""The counts of calls that budgets rest on."""

from pipeline.journal.sql import calls
from pipeline.journal.sql.database import Database
from pipeline.models import Kind


def test_calls_start_at_none_and_keep_what_is_noted(db: Database) -> None:
    calls.note(db, Kind.SEARCH, reserved=64, sent=3)
    assert calls.noted(db) == {Kind.UPLOAD: (0, 0), Kind.SEARCH: (64, 3), Kind.CREATE: (0, 0)}
