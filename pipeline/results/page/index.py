"""The index of a page: a row for each product, and the tables that the rows refer to."""

import tempfile
from collections.abc import Iterator
from typing import Any

from pipeline.results.page.parts import encoded
from pipeline.results.page.product import STATUSES, Tables
from pipeline.results.page.view import RunView

_IN_MEMORY = 4 << 20  # bytes; the rows of more than ten thousand products wait in a file
_AT_ONCE = 1 << 20


class Index:
    """The rows of a page while it is written."""

    def __init__(self) -> None:
        self._rows = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        self._items: set[str] = set()

    def add(self, row: list[Any]) -> None:
        """Add the row of the next product."""
        self._items.add(row[0])
        self._rows.write((b"," if self._rows.tell() else b"") + encoded(row))

    def chunks(self, tables: Tables, view: RunView, *, missing: int) -> Iterator[bytes]:
        """Yield the index as JSON."""
        head = {
            "statuses": STATUSES,
            "labels": tables.labels.all(),
            "owners": tables.owners.all(),
            "causes": tables.causes.all(),
            "decisions": [
                [one.item, one.patent_pn, one.decision, one.by, one.at, one.note, one.run]
                for one in view.decisions
                if not view.client or one.item in self._items
            ],
            "missing": missing,
        }
        yield encoded(head)[:-1] + b',"rows":['
        self._rows.seek(0)
        while some := self._rows.read(_AT_ONCE):
            yield some
        yield b"]}"

    def close(self) -> None:
        """Let the rows go."""
        self._rows.close()
