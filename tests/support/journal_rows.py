"""An empty journal in a file, items put in it in any state, and what a run's journal holds."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.journal.places import JOURNAL
from pipeline.journal.sql import schema
from pipeline.journal.sql.database import Database, configure
from pipeline.journal.sql.rows import SpoolRef, note_of
from pipeline.journal.storage import connect
from pipeline.models import Problem, State
from tests.support.fakes import hits, item

REFUSED = Problem("search", "68300004", "no", "fail", False)
PASSING = Problem("search", "67200100", "busy", "retry", True)
PAID = (note_of(hits()), SpoolRef(1, 0, 70))


def new_database(path: Path) -> "closing[Database]":
    """Lay out a journal; closed at the end of the `with`."""
    db = Database(connect(path))
    configure(db.do)
    schema.create(db)
    return closing(db)


def put(db: Database, number: int, state: State = State.PENDING, **columns: Any) -> int:
    """Put an item in a state from the start, which no rule binds; return its `ord`."""
    it = item(number)
    values = {"id": it.id, "source": it.source, "local": 0, "origin": it.origin, "labels": "{}", "source_key": number}
    values |= {"generation": 1, "state": int(state)} | columns
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO items ({', '.join(values)}) VALUES ({marks}) RETURNING ord"
    return int(db.do(sql, tuple(values.values())).fetchone()[0])


def pages_kept(run: Path) -> list[int]:
    """How many pages of each item's search the journal holds."""
    if not (run / JOURNAL).exists():
        return []
    try:
        with closing(sqlite3.connect(f"file:{run / JOURNAL}?mode=ro", uri=True)) as journal:
            rows = journal.execute("SELECT search FROM items WHERE segment IS NOT NULL").fetchall()
            return [len(json.loads(search)["paging"]["pages"]) for (search,) in rows]
    except sqlite3.OperationalError:  # its tables are being made
        return []


def state_of_an_item(run: Path, state: State, *, at: float | None = None) -> None:
    """Let the journal say that an item stands elsewhere."""
    with closing(sqlite3.connect(run / JOURNAL)) as db, db:
        triggers = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for trigger in triggers:
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE items SET state = ?, task_at = coalesce(?, task_at) WHERE ord = 1", (int(state), at))
