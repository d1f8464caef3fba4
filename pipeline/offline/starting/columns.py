"""The part that each column of a table plays: the id, the picture, views of one product, labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import SpecError
from pipeline.offline.starting.facts import FILE, URL, Facts, looks_like_url
from pipeline.offline.starting.names import (
    are_views,
    is_main,
    plain,
    rank_of_id,
    rank_of_picture,
    speaks_of_label,
)
from pipeline.offline.starting.table import Table
from pipeline.system.fault import Fault
from pipeline.system.wording import count, listed
from pipeline.views import MOST

Choose = Callable[[str, Sequence[str]], int]  # takes a question and the answers; returns the number of one of them

ID = "id"
_NOT_TAKEN = "is not taken as the id"
_LEAST_FILLED = 0.5
_LONGEST_ID, _LONGEST_LABEL = 128, 60
_ALWAYS_FEW, _FEW = 12, 50  # different values of a column of labels
_SAID_NOTHING = 3  # what `rank_of_id` says of a name that says nothing


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns by what they are for.

    id        None where no column has one value a product
    pictures  one column, or 2 to 4 of views
    beside    other columns of pictures, which are not taken
    left_out  columns with too many different values to sort by
    notes     why one was taken where another might have been, a sentence each
    """

    id: Facts | None
    pictures: list[Facts]
    beside: list[Facts]
    labels: list[Facts]
    left_out: list[Facts]
    notes: list[str]

    @property
    def have_views(self) -> bool:
        """True if a product has several pictures."""
        return len(self.pictures) > 1


def take_first(question: str, answers: Sequence[str]) -> int:
    """Answer without a person: the first one."""
    return 0


def roles_of(table: Table, *, id_column: str = "", picture_column: str = "", choose: Choose = take_first) -> Roles:
    """Find the part of each column. Where two fit equally `choose` decides; columns that are named are taken as such.

    Raises SpecError where no column has pictures, or one that is named is not there.
    """
    notes: list[str] = []
    pictures, beside = _pictures(table, picture_column, choose, notes)
    taken = {facts.at for facts in (*pictures, *beside)}
    others = [facts for facts in table.columns if facts.at not in taken]
    id_ = _named(table, id_column) if id_column else _id(others, choose, notes)
    if id_ is None and (default := table.column(ID)) in others:
        id_ = default  # a job reads a column of this name as ids whether it names it or not
        notes = [note for note in notes if _NOT_TAKEN not in note]
    rest = [facts for facts in others if facts is not id_ and facts.values]
    labels = [facts for facts in rest if _is_label(facts)]
    return Roles(id_, pictures, beside, labels, [facts for facts in rest if facts not in labels], notes)


def _named(table: Table, name: str) -> Facts:
    if (column := table.column(name)) is None:
        names = listed([repr(facts.name) for facts in table.columns], 20)
        raise SpecError(Fault(f"no column named {name!r}; the columns are {names}"))
    return column


def _pictures(table: Table, named: str, choose: Choose, notes: list[str]) -> tuple[list[Facts], list[Facts]]:
    """Find the column of the picture, or those of views, and the columns of pictures beside it."""
    fitting = _likely([facts for facts in table.columns if facts.kind])
    if named:
        column = _named(table, named)
        kind = column.kind or (URL if any(looks_like_url(value) for _, value in column.values) else FILE)
        return [replace(column, kind=kind)], [facts for facts in fitting if facts is not column]
    if not fitting:
        raise SpecError(Fault("no column has pictures in most of its rows; name the one that has", fix=_by_hand(table)))
    if len(fitting) == 1:
        return fitting, []
    names = [facts.name for facts in fitting]
    main = [facts for facts in fitting if is_main(facts.name)]
    if len(main) == 1:
        return main, [facts for facts in fitting if facts is not main[0]]
    if are_views(names) and not {plain(name) for name in names} & {URL, FILE}:
        if len(fitting) > MOST:
            notes.append(
                f"a product has at most {MOST} views: {listed([repr(name) for name in names[MOST:]])} left out"
            )
        return fitting[:MOST], fitting[MOST:]
    at = choose("Which column holds the picture?", [_shown(facts) for facts in fitting])
    if choose is take_first:
        others = listed([repr(name) for name in names[1:]])
        notes.append(
            f"{names[0]!r} is taken as the picture; {others} would fit as well: --picture-column names another"
        )
    return [fitting[at]], [facts for facts in fitting if facts is not fitting[at]]


def _likely(places: list[Facts]) -> list[Facts]:
    """Of columns of URLs leave out those of pages, as far as others are of pictures by their values or names."""
    pictures = [facts for facts in places if facts.pictures >= _LEAST_FILLED]
    pictures = pictures or [facts for facts in places if rank_of_picture(facts.name) == 0] or places
    full = [facts for facts in pictures if facts.filled >= _LEAST_FILLED]
    # Later views are often empty, so columns of one family stay together.
    return pictures if are_views([facts.name for facts in pictures]) else full or pictures


def _by_hand(table: Table) -> str:
    speaking = [facts.name for facts in table.columns if rank_of_picture(facts.name) == 0]
    return f"--picture-column '{speaking[0]}'" if len(speaking) == 1 and "'" not in speaking[0] else ""


def _id(columns: list[Facts], choose: Choose, notes: list[str]) -> Facts | None:
    """Find the column with one value a product."""
    for facts in columns:
        if rank_of_id(facts.name) < 2 and not facts.is_unique and facts.filled >= _LEAST_FILLED:
            twice = len(facts.values) - facts.distinct
            notes.append(f"{facts.name!r} {_NOT_TAKEN}: {count(twice, 'row repeats', 'rows repeat')} its value")
    ranked = sorted(
        ((_rank(facts), facts.at, facts) for facts in columns if _may_be_id(facts)), key=lambda one: one[:2]
    )
    if not ranked:
        return None
    best = [facts for rank, _, facts in ranked if rank == ranked[0][0]]
    if len(best) == 1:
        return best[0]
    at = choose("Which column names a product, the same every month?", [_shown(facts) for facts in best])
    if choose is take_first:
        others = listed([repr(facts.name) for facts in best[1:]])
        notes.append(f"{best[0].name!r} is taken as the id; {others} would fit as well: --id-column names another")
    return best[at]


def _may_be_id(facts: Facts) -> bool:
    if not facts.is_unique or facts.filled < _LEAST_FILLED or facts.longest > _LONGEST_ID:
        return False
    if rank_of_id(facts.name) < _SAID_NOTHING:
        return True
    if speaks_of_label(facts.name):
        return False
    # Without a word in its name it must look like one: no blanks, and a digit somewhere. Titles are no ids.
    return all(" " not in value and any(char.isdigit() for char in value) for _, value in facts.values)


def _rank(facts: Facts) -> int:
    """Rank a column as that of ids: by its name, and last what numbers the rows or is written as titles are."""
    rank = rank_of_id(facts.name)
    titles = sum(" " in value for _, value in facts.values) > len(facts.values) / 2
    return _SAID_NOTHING + 1 if rank > 0 and (facts.counts or titles) else rank


def _is_label(facts: Facts) -> bool:
    if facts.longest > _LONGEST_LABEL:
        return False
    distinct = facts.distinct
    if speaks_of_label(facts.name):
        return distinct <= max(_FEW, facts.rows // 5)
    if rank_of_id(facts.name) < 2 and facts.filled >= _LEAST_FILLED and not facts.is_unique:
        return True  # a number that several pictures share: people look for it
    return distinct < len(facts.values) and distinct <= min(_FEW, max(_ALWAYS_FEW, facts.rows // 10))


def _shown(facts: Facts) -> str:
    first = facts.values[0][1] if facts.values else ""
    return f"{facts.name!r}, for example {first[:60]!r}"
