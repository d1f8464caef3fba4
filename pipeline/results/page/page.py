"""The page of a run, report.html: a shell, the data of its products, and the script that shows them.

Up to a thousand products it is one file; the products of more lie beside it, a file for each hundred, which the page
loads as they come into sight. Pictures are small ones; larger ones lie beside it and are loaded when a row is opened.
"""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.results.page.causes import Causes
from pipeline.results.page.changes import changes_of
from pipeline.results.page.entries import Entry, entry_of
from pipeline.results.page.index import Index
from pipeline.results.page.parts import BIG, CHUNK, Parts, encoded
from pipeline.results.page.product import Tables, product_of
from pipeline.results.page.shelf import Shelf
from pipeline.results.page.shell import Shell
from pipeline.results.page.tables import Texts
from pipeline.results.page.thumbs import Pictures
from pipeline.results.page.view import IN_ONE_FILE, RunView
from pipeline.results.survey import Survey
from pipeline.system.files import write_whole


class Written(NamedTuple):
    """The outcome of writing a page."""

    size: int  # bytes of the page itself
    beside: int  # bytes of what lies beside it


def write_report(
    path: Path, view: RunView, open_: Survey, settled: Survey, *, pictures: Pictures, in_one_file: int = IN_ONE_FILE
) -> Written:
    """Write the page of a run to `path` (mode 0600), whole or not at all: every product, the most similar first.

    One record is in memory at a time. The page takes its place last, so that it never lacks what lies beside it.
    Raises OSError when a file cannot be written.
    """
    products = len(open_) + len(settled)
    parts = Parts(path, split=products > in_one_file and not view.one_file)
    writing = _Writing(view, open_, settled, parts, pictures)
    try:
        write_whole(path, writing.chunks(), several_writers=True)  # a run and a person's `report`
    except BaseException:
        parts.remove()
        raise
    finally:
        writing.close()
    parts.remove_older()
    return Written(path.stat().st_size, parts.size)


class _Writing:
    """One page while it is written."""

    def __init__(self, view: RunView, open_: Survey, settled: Survey, parts: Parts, pictures: Pictures) -> None:
        self._view, self._open, self._settled, self._parts = view, open_, settled, parts
        confined = bool(view.client)
        self._tables = Tables(view.links, confined, causes=Causes(confined=confined))
        self.shelf = Shelf(pictures, whole=not parts.split, best_large=view.one_file)
        self._index = Index()
        self._chunk: list[dict[str, Any]] = []
        self._products = 0

    def close(self) -> None:
        """Give back what a page needs while it is written."""
        self._index.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the page in the order of its bytes; files beside it are written on the way."""
        shell = Shell(self._view, products=len(self._open) + len(self._settled), parts=self._parts)
        yield shell.head()
        for entry in self._entries():
            product = product_of(entry, self._tables, self.shelf)
            shell.note(entry)
            self._index.add(product.row)
            self._chunk.append(product.rest)
            self._products += 1
            if self._products % BIG == 0:
                self._put_large()
            if self._products % CHUNK == 0:
                yield self._put_chunk()
        if self._chunk:
            self._put_large()
            yield self._put_chunk()
        yield from shell.data(
            first_task=self._settled.first_expiry,
            first_awaited=self._open.first_expiry,
            unreadable=self._open.unreadable + self._settled.unreadable,
            otherwise=self._tables.otherwise,
        )
        yield from self._parts.put_index(self._index.chunks(self._tables, self._view, missing=self.shelf.missing))
        yield shell.end()

    def _entries(self) -> Iterator[Entry]:
        """Yield all records, the most similar first; equal ones as their files have them, settled ones first."""
        records = heapq.merge(self._settled.scored(), self._open.scored(), key=lambda one: -one[0])
        for _, record in records:
            changes = changes_of(record, self._view.before, self._view.standing)
            yield entry_of(record, min_score=self._view.min_score, changes=changes, at_least=self._view.at_least)

    def _put_chunk(self) -> bytes:
        number = (self._products - 1) // CHUNK
        chunk: dict[str, Any] = {
            "rest": self._chunk,
            "small": self.shelf.take_small(),
            "texts": self._tables.texts.all(),
        }
        self._tables.texts = Texts()
        if self._view.one_file:
            chunk["large"] = self.shelf.take_large()
        self._chunk = []
        return self._parts.put_chunk(number, encoded(chunk))

    def _put_large(self) -> None:
        if not self._view.one_file and (large := self.shelf.take_large()):
            self._parts.put_large((self._products - 1) // BIG, encoded(large))
