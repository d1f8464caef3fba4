"""An export: the records that are wanted, what was decided about them, and what is to be said about the whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.results.exports.changes import change_of_hit, change_of_product
from pipeline.results.exports.columns import Column, Row, hit_columns, product_columns
from pipeline.results.exports.rows import Decided, Ranked, hit_rows, product_row
from pipeline.results.exports.selection import Selection
from pipeline.results.reading import RecordView
from pipeline.results.since import Compared, Earlier

PRODUCT, HIT = "product", "hit"
CELL, FLOAT, NO_PICTURES = "cell", "float", "none"

Picture = Callable[[str, str | None], bytes | None]  # the bytes behind a path or URL, and the sha256 it must have


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The facts of a run that a reader needs; those that one client must not see are empty in its file."""

    title: str  # the client, or the job
    run: str = ""  # the name of the run directory
    before: str = ""  # what it is compared with; "" where it is not
    vendor: str
    rehearsal: bool = False
    tool: str
    state: str  # of the run: a sentence
    as_of: str  # ISO 8601 in UTC
    unfinished: int  # items that have neither a result nor a reason: not started, or under way
    not_looked_at: list[str]  # one phrase each

    @property
    def practice(self) -> bool:
        """True if the results are the sandbox's: every table says so."""
        return self.rehearsal or self.vendor == "sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All that a format writes."""

    selection: Selection
    decided: Decided
    about: About
    per: str | None = None  # product, hit, or None where a file has room for both
    picture: Picture = lambda _source, _sha256: None
    pictures: str = CELL
    before: Earlier | None = None  # the hits of the run that it is compared with

    @property
    def for_client(self) -> bool:
        """True if the file is for one client, who must learn nothing of others."""
        return self.selection.wanted.client is not None

    @property
    def counts(self) -> str:
        """The products of the run, or of the client, by status, in words."""
        return ", ".join(f"{number:,} {status.replace('_', ' ')}" for status, number in self.selection.counts.items())

    def columns(self, per: str) -> list[Column]:
        """List the columns of a row per product or per hit."""
        of = hit_columns if per == HIT else product_columns
        return of(list(self.selection.labels), for_client=self.for_client, compared=self.before is not None)

    def compared(self, record: RecordView) -> Compared | None:
        """Compare a record with the run before; None where there is none."""
        return None if self.before is None else self.before.compare(record)

    def rows(self, per: str) -> Iterator[Row]:
        """Make the rows, one record at a time."""
        if per == HIT:
            for record, hits in self.selection.records(top=self.selection.wanted.top):
                yield from self.of_hits(record, hits)
        else:
            for record, hits in self.selection.records(top=1):
                yield self.of_product(record, hits[0] if hits else None)

    def of_product(self, record: RecordView, best: Ranked | None) -> Row:
        """Make the row of a product."""
        row = product_row(record, best, self.decided, for_client=self.for_client)
        compared = self.compared(record)
        return row if compared is None else row | change_of_product(record, best, compared)

    def of_hits(self, record: RecordView, hits: list[Ranked]) -> Iterator[Row]:
        """Make the rows of hits of a product."""
        compared = self.compared(record)
        for hit, row in zip(hits, hit_rows(record, hits, self.decided), strict=True):
            yield row if compared is None else row | change_of_hit(hit, compared)


class Written(NamedTuple):
    """The outcome: rows, and sentences that a person should read."""

    products: int
    hits: int
    remarks: tuple[str, ...] = ()


def counted(per: str, rows: int) -> Written:
    """Return the outcome of a file with rows of one kind."""
    return Written(0, rows) if per == HIT else Written(rows, 0)
