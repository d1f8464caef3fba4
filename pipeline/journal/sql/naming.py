"""The rule by which a run directory names local pictures that are listed without an id.

Earlier versions named them by a hash of their path, this one as their file is called. A directory keeps the rule that
it began with, so that a picture which is paid for never comes back as a new item. One that notes no rule, because an
earlier version began it or `repair` rebuilt it, has the rule that its items show.
"""

from collections.abc import Callable

from pipeline.journal.sql.database import Database

_RULE = "naming"
_BY_HASH = "hash"


def names_by_hash(db: Database, hashed_id: Callable[[str], str]) -> bool:
    """Return whether the directory names pictures by a hash, which `hashed_id` makes of a path."""
    if (rule := db.meta(_RULE)) is not None:
        return rule == _BY_HASH
    rows = db.do("SELECT id, source FROM items WHERE local = 1")
    while (row := rows.fetchone()) is not None:  # one by one: there may be a million
        if row[0] == hashed_id(row[1]):
            return True
    return False


def settle(db: Database, hashed_id: Callable[[str], str]) -> bool:
    """Note the rule for good, and return whether it is the one by a hash."""
    hashed = names_by_hash(db, hashed_id)
    if db.meta(_RULE) is None:
        db.set_meta(_RULE, _BY_HASH if hashed else "name")
    return hashed
