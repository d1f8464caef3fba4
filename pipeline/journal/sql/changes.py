"""Changes of many items at once."""

from pipeline.journal.sql.database import Store
from pipeline.models import State


def requeue_failed(store: Store) -> int:
    """Let every item wait again that failed in passing; never one refused for good or in doubt. Return how many."""
    rows = store.do(
        "SELECT ord FROM items WHERE state = ? OR (state = ? AND json_extract(problem, '$.retryable'))",
        (int(State.EXPIRED), int(State.FAILED)),
    ).fetchall()
    for (ord_,) in rows:
        store.requeue(ord_)
    return len(rows)
