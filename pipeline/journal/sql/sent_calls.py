"""The calls that were sent, by account, hour and path: what a statement of account is compared with."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.journal.sql.database import Database
from pipeline.models import Kind

ACCOUNTS = "accounts"  # a key in the journal: those that ran here; early versions did not note them


class Sent(NamedTuple):
    """The calls of one hour (since the epoch) to one path; of others no answer says which."""

    hour: int
    path: str
    kind: str
    sent: int
    granted: int
    refused: int


def add(db: Database, account: str, counted: Iterable[tuple[int, str, Kind, int, int, int]]) -> None:
    """Add calls to those that are noted."""
    for hour, path, kind, *counts in counted:
        db.do(
            "INSERT INTO sent_calls VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, hour, path, kind) DO UPDATE SET "
            "sent = sent + excluded.sent, granted = granted + excluded.granted, refused = refused + excluded.refused",
            (account, hour, path, kind.value, *counts),
        )


def noted(db: Database, account: str) -> list[Sent]:
    """Read the calls of an account, in order; none in a journal of an earlier version that is only read."""
    if not db.has_table("sent_calls"):
        return []
    rows = db.do(
        "SELECT hour, path, kind, sent, granted, refused FROM sent_calls WHERE account = ? ORDER BY hour, path, kind",
        (account,),
    ).fetchall()
    return [Sent(*row) for row in rows]


def accounts(db: Database) -> set[str]:
    """Name the accounts that sent calls here, as far as that was noted."""
    rows = db.do("SELECT DISTINCT account FROM sent_calls").fetchall() if db.has_table("sent_calls") else []
    return {*(str(account) for (account,) in rows), *(db.meta(ACCOUNTS) or "").split()}


def uncounted(db: Database) -> dict[str, int]:
    """Return, by kind, how many calls may have been sent beyond those that are noted, by whatever account.

    Those of the last moments before a process was killed, and those that an earlier version sent. Details are counted
    by patents: at most as many calls as patents of which nobody knows that they were asked for.
    """
    sent = (
        dict(db.do("SELECT kind, sum(sent) FROM sent_calls GROUP BY kind").fetchall())
        if db.has_table("sent_calls")
        else {}
    )
    known = {kind: sent.get(kind, 0) for kind in Kind}
    counts = db.do("SELECT kind, reserved, sent FROM calls").fetchall()
    known[Kind.DETAILS] = next((patents for kind, _, patents in counts if kind == Kind.DETAILS), 0)
    return {str(kind): count - known[Kind(kind)] for kind, count, _ in counts if count > known[Kind(kind)]}


def nothing_executed(db: Database) -> bool:
    """Return whether it is certain that no call was executed here: none was sent, or each was refused."""
    if uncounted(db) or not db.has_table("sent_calls"):
        return False
    return not db.do("SELECT EXISTS (SELECT 1 FROM sent_calls WHERE sent != refused)").fetchone()[0]


def restore(db: Database, rows: Iterable[Sequence[object]]) -> None:
    """Take over the rows of a damaged journal, those that make sense."""
    for row in rows:
        account, hour, path, kind, *counts = row
        names = isinstance(account, str) and isinstance(path, str) and kind in list(Kind)
        if names and all(isinstance(count, int) and count >= 0 for count in (hour, *counts)):
            db.do("INSERT OR IGNORE INTO sent_calls VALUES (?, ?, ?, ?, ?, ?, ?)", tuple(row))
