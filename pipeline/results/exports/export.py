"""An export: the records that are wanted, what was decided about them, and what is to be said about the whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.results.exports.columns import Column, Row, hit_columns, product_columns
from pipeline.results.exports.rows import Decided, hit_rows, product_row
from pipeline.results.exports.selection import Selection

PRODUCT, HIT = "product", "hit"
CELL, FLOAT, NO_PICTURES = "cell", "float", "none"

Picture = Callable[[str, str | None], bytes | None]  # the bytes behind a path or URL, and the sha256 it must have


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The facts of a run that a reader needs; those that one client must not see are empty in its file."""

    title: str  # the client, or the job
    run: str = ""  # the name of the run directory
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
        return of(list(self.selection.labels), for_client=self.for_client)

    def rows(self, per: str) -> Iterator[Row]:
        """Make the rows, one record at a time."""
        if per == HIT:
            for record, hits in self.selection.records(top=self.selection.wanted.top):
                yield from hit_rows(record, hits, self.decided)
        else:
            for record, hits in self.selection.records(top=1):
                yield product_row(record, hits[0] if hits else None, self.decided, for_client=self.for_client)


class Written(NamedTuple):
    """The outcome: rows, and sentences that a person should read."""

    products: int
    hits: int
    remarks: tuple[str, ...] = ()


def counted(per: str, rows: int) -> Written:
    """Return the outcome of a file with rows of one kind."""
    return Written(0, rows) if per == HIT else Written(rows, 0)
