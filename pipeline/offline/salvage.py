"""A journal that may be damaged: all of it that can be read, without changing a byte."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.journal.sql.sense import COLUMNS, fault_of, nonsense, readable_columns
from pipeline.journal.verify import WHOLE, faults_of_pages

Row = dict[str, Any]
_BATCH = 500


class Salvage:
    """An old journal.

    sound        True if no page and no row of it is damaged, so that it can be believed; never where it may be old
    unreadable   how many rows could not be read so far
    """

    def __init__(self, path: Path, *, believed: bool) -> None:
        self.unreadable = 0
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            self._columns = self._readable()
            self.sound = believed and self._is_sound()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def table(self, name: str) -> list[tuple[Any, ...]] | None:
        """Read the rows of one of the small tables; None when it is not there, or cannot be read."""
        assert name in ("meta", "calls", "risks", "decisions", "again", "money", "sent_calls")
        try:
            return self._connection.execute(f"SELECT * FROM {name}").fetchall()
        except sqlite3.Error:
            return None

    def laid_by(self) -> Iterator[bytes]:
        """Yield the records that wait for details (journal/sql/laid_by.py), as far as they can be read."""
        with contextlib.suppress(sqlite3.Error):
            lines = self._connection.execute("SELECT line FROM laid_by ORDER BY ord").fetchall()
            yield from (line for (line,) in lines if isinstance(line, bytes))
            return
        for number in self._numbers():
            with contextlib.suppress(sqlite3.Error):
                lines = self._connection.execute("SELECT line FROM laid_by WHERE ord = ?", (number,)).fetchall()
                yield from (line for (line,) in lines if isinstance(line, bytes))

    def line_of(self, id_: str) -> tuple[bool, int | None, int | None]:
        """Find whether an item is known, and the length and CRC of its line; None where it has none."""
        with contextlib.suppress(sqlite3.Error):
            row = self._connection.execute("SELECT length, crc FROM items WHERE id = ?", (id_,)).fetchone()
            if row is not None:
                return True, row[0], row[1]
        return False, None, None

    @property
    def last_line(self) -> tuple[str, int, int] | None:
        """The item and the CRC of the last line, and the offset behind it."""
        with contextlib.suppress(sqlite3.Error):
            row: tuple[str, int, int] | None = self._connection.execute(
                "SELECT id, crc, offset + length FROM items WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            return row
        return None

    def rows(self) -> Iterator[Row]:
        """Yield every row that can be read; the others count as `unreadable`."""
        after = -(2**62)
        while True:
            try:
                batch = self._select("ord > ? ORDER BY ord LIMIT ?", (after, _BATCH))
            except sqlite3.Error:
                yield from self._one_by_one(after)
                return
            if not batch:
                return
            after = batch[-1][0]
            yield from self._usable(batch)

    def _one_by_one(self, after: int) -> Iterator[Row]:
        """Yield the rows beyond a damaged place, each asked for by its number."""
        numbers = self._numbers()
        self.unreadable += not numbers
        for number in numbers[max(0, after) :]:
            try:
                yield from self._usable(self._select("ord = ?", (number,)))
            except sqlite3.Error:
                self.unreadable += 1

    def _numbers(self) -> range:
        """Return the numbers that items may have; none where nobody can tell."""
        try:
            return range(1, int(self._connection.execute("SELECT max(ord) FROM items").fetchone()[0]) + 1)
        except (sqlite3.Error, TypeError):
            return range(0)

    def _select(self, where: str, parameters: tuple[int, ...]) -> list[tuple[Any, ...]]:
        return self._connection.execute(
            f"SELECT {self._columns} FROM items WHERE {where}",
            parameters,
        ).fetchall()

    def _readable(self) -> str:
        """Write the columns to read."""
        with contextlib.suppress(sqlite3.Error):
            return readable_columns(self._connection.execute)
        return ", ".join(COLUMNS)

    def _usable(self, batch: list[tuple[Any, ...]]) -> Iterator[Row]:
        for values in batch:
            row = dict(zip(COLUMNS, values, strict=True))
            if fault_of(row):
                self.unreadable += 1
            else:
                yield row

    def _is_sound(self) -> bool:
        try:
            return faults_of_pages(self._connection.execute) == WHOLE and not nonsense(self._connection.execute)
        except sqlite3.Error:
            return False
