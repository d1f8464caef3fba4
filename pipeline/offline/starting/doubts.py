"""Doubts about a list that a person should know before anything is paid: ids and pictures that look wrong."""

import re
from collections import Counter
from collections.abc import Iterator

from pipeline.offline.starting.columns import ID
from pipeline.offline.starting.draft import Draft
from pipeline.offline.starting.facts import FILE, URL, Facts, looks_like_url
from pipeline.offline.starting.table import Table
from pipeline.sources.columns import find_name
from pipeline.system.wording import count

_URL_WITHOUT_SCHEME = re.compile(r"(//|www\.|[\w-]+(\.[\w-]+)*\.[a-z]{2,6}/)", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")
_USUAL_SHARE = 0.6  # of numbers with the same length, beside which shorter ones have perhaps lost their zeros
_LEAST_DIGITS, _MOST_LOST = 5, 4
_A_HALF = 0.5  # of the rows; columns with less are empty by intent


def doubts_about(draft: Draft) -> list[str]:
    """List what is probably wrong in the list, a sentence each, with the first place."""
    table, roles = draft.table, draft.roles
    if table is None or roles is None:
        return []
    found = [
        *_encoding(table),
        *_cut(table),
        *(_ids(table, roles.id, local=draft.local) if roles.id is not None else []),
        *(text for at, facts in enumerate(roles.pictures) for text in _pictures(table, facts, is_first=at == 0)),
        *_read_as_well(table, [facts.name for facts in roles.pictures]),
    ]
    return [*draft.notes, *found]


def _encoding(table: Table) -> Iterator[str]:
    guess = table.sketch.guess
    if not guess.sure:
        yield f"its letters are perhaps not {guess.encoding}: look at the rows above; --encoding says what they are"


def _cut(table: Table) -> Iterator[str]:
    if table.sketch.is_cut:
        yield f"the columns were judged by the first {table.rows:,} rows"


def _ids(table: Table, ids: Facts, *, local: bool) -> Iterator[str]:
    if local and (empty := table.rows - len(ids.values)):  # of URLs the remarks about all sources say so
        have, made = ("has", "its id is") if empty == 1 else ("have", "their ids are")
        first = _first_without(table, ids)
        yield f"{count(empty, 'row')} {have} no {ids.name!r} (first: row {first}); {made} made from the file's name"
    if not ids.is_unique:
        twice = len(ids.values) - ids.distinct
        yield f"{count(twice, 'row repeats', 'rows repeat')} the {ids.name!r} of another row; an id is one product's"
    if ids.counts and ids.name.casefold() != ID and table.rows > 1:
        yield f"{ids.name!r} only counts the rows: next month the same product must have the same number"
    yield from _lost_zeros(ids)


def _first_without(table: Table, facts: Facts) -> int:
    """Find the first row that has nothing in a column."""
    having = {row for row, _ in facts.values}
    rows = (row for row, cells in table.sketch.rows if row > table.header and any(cells))
    return next((row for row in rows if row not in having), table.header)


def _lost_zeros(ids: Facts) -> Iterator[str]:
    """Tell of numbers that are shorter than most: a spreadsheet drops the zeros in front of them."""
    numbers = [(row, value) for row, value in ids.values if _DIGITS.fullmatch(value)]
    if len(numbers) < 3 or len(numbers) < len(ids.values):
        return
    lengths = Counter(len(value) for _, value in numbers)
    usual, times = lengths.most_common(1)[0]
    short = [(row, value) for row, value in numbers if usual - _MOST_LOST <= len(value) < usual]
    whole = [int(value) for _, value in numbers]
    in_order = max(whole) - min(whole) < 3 * len(whole)  # numbers that go on from 998 to 1002 have lost nothing
    if usual < _LEAST_DIGITS or not short or in_order or times < _USUAL_SHARE * len(numbers):
        return
    row, value = short[0]
    yield (
        f"{count(len(short), 'id is', 'ids are')} shorter than the others of {usual} digits ({value!r} in row {row}, "
        f"say): a spreadsheet drops zeros in front, and it may have been {value.zfill(usual)!r}; format the column "
        "as text"
    )


def _pictures(table: Table, facts: Facts, *, is_first: bool) -> Iterator[str]:
    if is_first and (empty := table.rows - len(facts.values)) and facts.filled >= _A_HALF:
        first = _first_without(table, facts)
        yield f"{count(empty, 'row has', 'rows have')} no {facts.name!r} (first: row {first})"
    seen: dict[str, int] = {}
    again = [(row, seen[value]) for row, value in facts.values if seen.setdefault(value, row) != row]
    if again:
        yield (
            f"{count(len(again), 'row shows', 'rows show')} the picture of another row (row {again[0][0]} that of row "
            f"{again[0][1]}, say): it is searched and paid once"
        )
    bare = [(row, value) for row, value in facts.values if facts.kind == FILE and _URL_WITHOUT_SCHEME.match(value)]
    if bare and 2 * len(bare) > len(facts.values):
        row, value = bare[0]
        look = count(len(bare), "value looks", "values look")
        yield f"{look} like a URL without https:// ({value!r} in row {row}, say)"
    slashes = [row for row, value in facts.values if "\\" in value and not looks_like_url(value)]
    if slashes:
        have = count(len(slashes), "path has", "paths have")
        yield f"{have} backslashes (first: row {slashes[0]}), which are read as /"


def _read_as_well(table: Table, pictures: list[str]) -> Iterator[str]:
    """Tell of a column that a job reads as pictures by its name, beside the one that has them."""
    names = [facts.name for facts in table.columns]
    for name in (URL, FILE):
        there = find_name(name, names)
        if there and there not in pictures and any(facts.values for facts in table.columns if facts.name == there):
            yield (
                f"a job reads the column {there!r} as pictures too, by its name, and a row may name one: rename that "
                "column in the list"
            )
