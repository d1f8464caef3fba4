"""Whether results.jsonl and the journal are still what was written: every line against its CRC."""

import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Store

READ_ALWAYS = 64 << 20  # bytes of results.jsonl that every start reads: 0.1 s of records with hits, 0.4 s without
_BATCH = 1000


class Verified(NamedTuple):
    """How many lines the journal knows, and the numbers (from 1) of those that are not what was written.

    `journal` is what SQLite says about its own file, "ok" when it is whole.
    """

    lines: int
    damaged: tuple[int, ...]
    journal: str

    @property
    def ok(self) -> bool:
        """Whether all is as it was written."""
        return self.journal == "ok" and not self.damaged


def verify(store: Store, results: Path) -> Verified:
    """Check every line, and the journal's own pages. Lines that a run has not committed yet are not looked at."""
    try:
        journal = "; ".join(str(row[0]) for row in store.do("PRAGMA quick_check(3)").fetchall())
    except sqlite3.DatabaseError as exc:
        return Verified(0, (), str(exc))
    lines, damaged = 0, []
    with results.open("rb") as file:
        for number, whole in enumerate(_lines(store, file), start=1):
            lines = number
            if not whole:
                damaged.append(number)
    return Verified(lines, tuple(damaged), journal)


def refuse_changed_lines(store: Store, results: Path, *, most: int = READ_ALWAYS) -> None:
    """Check the last lines before a start, as many as fit into `most` bytes: a million must not hold up a run.

    Raises JournalError at one that is not what was written.
    """
    last = store.do("SELECT max(seq) FROM items WHERE seq IS NOT NULL").fetchone()[0]
    if last is None:
        return
    with results.open("rb") as file:
        for seq, whole in _from_the_end(store, file, last, most):
            if not whole:
                raise JournalError(
                    f"{results} was changed: line {seq + 1:,} is not what was written; put the original file back, or "
                    f"run `pipeline repair {results.parent}`"
                )


def _from_the_end(store: Store, file: BinaryIO, last: int, most: int) -> Iterator[tuple[int, bool]]:
    """For each of the last known lines, backwards: its number from 0, and whether it is there, without a gap."""
    follows: int | None = None
    while most > 0 and (
        rows := store.do(
            "SELECT seq, offset, length, crc FROM items WHERE seq <= ? ORDER BY seq DESC LIMIT ?", (last, _BATCH)
        ).fetchall()
    ):
        for seq, offset, length, crc in rows:
            file.seek(offset)
            yield seq, offset + length == (follows or offset + length) and zlib.crc32(file.read(length)) == crc
            follows, last, most = offset, seq - 1, most - length
            if most <= 0:
                return


def _lines(store: Store, file: BinaryIO) -> Iterator[bool]:
    """For each known line: is it there, without a gap before it?"""
    after, end = -1, 0
    while rows := store.do(
        "SELECT seq, offset, length, crc FROM items WHERE seq > ? ORDER BY seq LIMIT ?", (after, _BATCH)
    ).fetchall():
        for seq, offset, length, crc in rows:
            file.seek(offset)
            yield (seq, offset) == (after + 1, end) and zlib.crc32(file.read(length)) == crc
            after, end = seq, offset + length
