"""The page of a run, report.html: records fill a template, and the file takes its place in one step."""

from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.models import OF_REPORT, State
from pipeline.results.page.cards import card, row
from pipeline.results.page.entries import entry_of
from pipeline.results.page.marks import marks
from pipeline.results.page.text import file_link, period, tidy, took
from pipeline.results.page.thumbs import Thumbnails
from pipeline.results.page.view import NOT_STARTED, OPEN_WORDS, SETTLED_WORDS, RunView
from pipeline.results.page.words import STATUSES, Status, as_of, calls_made, next_steps
from pipeline.results.survey import Survey
from pipeline.system.files import write_whole
from pipeline.system.wording import count

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = "report.html.j2"
_OF_REPORT = {state.word for state in (State.REPORTED, *OF_REPORT)}  # named only by runs that ask for reports
FULL = 2000  # items with their pictures
_GROUPS = (("Settled", "settled", SETTLED_WORDS), ("Open", "open", OPEN_WORDS), ("Not started", "", (NOT_STARTED,)))


class Tally(NamedTuple):
    """The number of items with a status."""

    status: str
    words: Status
    number: int


class Group(NamedTuple):
    """Statuses that belong together."""

    name: str
    anchor: str  # of the section that shows their items; empty where none does
    number: int  # of items with any of them
    tallies: list[Tally]


def write_report(
    path: Path,
    view: RunView,
    open_: Survey,
    settled: Survey,
    *,
    picture: Callable[[str, str | None], bytes | None],
    most: int = FULL,
) -> None:
    """Write the page of a run to `path` (mode 0600), whole or not at all: every item, one in memory at a time.

    Open items come first, in the job's order, then settled ones, the most alike hit first. The first `most` items are
    shown with their pictures, all others as a line each. `picture`: see `Thumbnails`. Raises OSError when the file
    cannot be written.
    """
    thumbs = Thumbnails(picture)
    opened, rest = open_.in_order(), settled.by_score()
    shown = min(most, len(open_))
    chunks = _template().generate(
        view=view,
        page=_page(view, open_, settled, most=most),
        open_cards=(card(entry_of(record), thumbs) for record in islice(opened, most)),
        open_rows=map(row, opened),
        settled_cards=(card(entry_of(record), thumbs) for record in islice(rest, most - shown)),
        settled_rows=map(row, rest),
    )
    # Text of the vendor may hold halves of surrogate pairs, which UTF-8 cannot say.
    write_whole(path, (chunk.encode("utf-8", "replace") for chunk in chunks))


def _page(view: RunView, open_: Survey, settled: Survey, *, most: int) -> dict[str, Any]:
    """Return what the template shows besides the items themselves."""
    unreadable = open_.unreadable + settled.unreadable
    open_cards = min(most, len(open_))
    return {
        "job": tidy(view.job, 128),
        "vendor": tidy(view.vendor, 200),
        "tool": tidy(view.tool, 40),
        "search": tidy(view.search, 300),
        "period": period(view.started_at, view.finished_at),
        "took": took(view.started_at, view.finished_at),
        "exit_reason": tidy(view.exit_reason, 1000),
        "groups": _groups(view),
        "calls": calls_made(view.calls),
        "billed": tidy(view.billed, 100),
        "money": tidy(view.money, 200),
        "steps": next_steps(view, settled.first_expiry),
        "as_of": as_of(view),
        "marks": marks(view.counts, view.state),
        "not_looked_at": [tidy(phrase, 300) for phrase in view.not_looked_at],
        "shown_open": len(open_),
        "shown_settled": len(settled),
        "open_rows": len(open_) - open_cards,
        "settled_rows": max(0, len(settled) - (most - open_cards)),
        "with_pictures": min(most, len(open_) + len(settled)),
        "unreadable": count(unreadable, "line") if unreadable else "",
        "results": (tidy(view.results_file, 200), file_link(view.results_file)),
        "open": (tidy(view.open_file, 200), file_link(view.open_file)),
        "summary": (tidy(view.summary_file, 200), file_link(view.summary_file)),
        "spec": (tidy(view.spec_file, 200), file_link(view.spec_file)),
    }


def _groups(view: RunView) -> list[Group]:
    groups = []
    for name, anchor, words in _GROUPS:
        tallies = [Tally(word, STATUSES[word], view.counts.get(word, 0)) for word in words]
        tallies = [tally for tally in tallies if tally.number or tally.status not in _OF_REPORT]
        groups.append(Group(name, anchor, sum(tally.number for tally in tallies), tallies))
    return groups


@lru_cache(maxsize=1)
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined  # heavy, and most commands write no page

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files("pipeline.results.page").joinpath(_TEMPLATE).read_text(encoding="utf-8"))
