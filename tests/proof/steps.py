"""The judgement of the steps between an item's calls: what the engine was told is so, and is never paid again.

It reads the journal with plain sqlite3 and the files as bytes, as `history` does.
"""

import contextlib
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.proof.book import Paid, named
from tests.proof.history import CREATING, EXPIRED, FAILED, MEMORY, PENDING, SEARCHED, SETTLED
from tests.proof.told import Told

ALL = 10**6  # pages: every one of them


@dataclass(frozen=True)
class Held:
    """What a run directory, and the cache of its account, hold at a moment.

    states, tasks   by item
    laid            items whose records are laid by
    pages           by picture, the pages of its search that are held; ALL once nothing more is to be searched
    views           digests of pictures whose uploads are held
    patents         endpoint and id of what the account's cache knows
    late, drawings  items with a line in details.jsonl; drawings that are what their names say
    """

    states: Mapping[str, int]
    tasks: Mapping[str, str | None]
    laid: frozenset[str]
    pages: Mapping[str, int]
    pages_of_item: Mapping[str, int]
    views: frozenset[str]
    patents: frozenset[tuple[str, str]]
    late: frozenset[str]
    drawings: frozenset[str]


NOTHING = Held({}, {}, frozenset(), {}, {}, frozenset(), frozenset(), frozenset(), frozenset())


def read_held(folder: Path, caches: Path) -> Held:
    """Read what a run directory holds; `caches` is the folder with the caches of patents."""
    with _copied(folder / "journal.sqlite") as db:
        rows = _rows(db, "SELECT id, coalesce(url, source), same_as, state, task_id, segment, search FROM items")
        laid = _rows(db, "SELECT id FROM laid_by JOIN items USING (ord)")
        views = _rows(db, "SELECT sha256 FROM view_uploads")
    patents: list[tuple[str, str]] = []
    for cache in sorted(caches.glob("*.sqlite")):
        with _copied(cache) as db:
            patents += _rows(db, "SELECT endpoint, patent_id FROM patents")
    alone = [(id_, named(url), _pages(*rest)) for id_, url, same_as, *rest in rows if same_as is None]
    return Held(
        states={row[0]: row[3] for row in rows},
        tasks={row[0]: row[4] for row in rows},
        laid=frozenset(id_ for (id_,) in laid),
        pages={picture: pages for _, picture, pages in alone},
        pages_of_item={id_: pages for id_, _, pages in alone},
        views=frozenset(sha256 for (sha256,) in views),
        patents=frozenset(patents),
        late=frozenset(_late(folder)),
        drawings=frozenset(_drawings(folder)),
    )


def what_was_told_is_so(told: Iterable[Told], held: Held, *, dead: bool) -> list[str]:
    """Whatever step the engine was told is durable is there, after whatever death."""
    wrong = []
    for step, key, value in told:
        state = held.states.get(key, -1)
        match step:
            case "laid":
                there = state in SETTLED or (dead and state == CREATING and key in held.laid)
            case "task":
                there = held.tasks.get(key) == value
            case "hits":
                there = state not in (PENDING, -1)
            case "page":
                there = held.pages_of_item.get(key, 0) >= int(value)
            case "view":
                there = key in held.views
            case "patent":
                there = (key, value) in held.patents
            case "late":
                there = key in held.late
            case _:
                there = key in held.drawings
        if not there:
            wrong.append(f"{step} {key} {value} was told to be durable, its item is in state {state}")
    return wrong


def nothing_held_is_paid_again(paid: Paid, before: Held, endpoints: tuple[str, ...], *, uploads: int) -> list[str]:
    """What a life paid was not held when it began, and no question was paid for twice in it but after a lost answer.

    So a question is paid once more for each death that came between its call and its place on the disk, and for each
    answer that the vendor lost; nothing else excuses it. `uploads` is the number of different pictures to upload.
    """
    wrong = [
        f"page {question.page} of {question.picture} was paid again, {before.pages[question.picture]} pages were held"
        for question in paid.searches
        if before.pages.get(question.picture, 0) > question.page
    ]
    twice = sum(count - 1 for count in paid.searches.values())
    if twice > paid.lost["search"]:
        most = paid.searches.most_common(1)[0]
        wrong.append(f"{twice} searches were paid twice in one life, {paid.lost['search']} answers lost: {most}")
    for patent, times in paid.patents.items():
        left = sum((endpoint, patent) not in before.patents for endpoint in endpoints)
        if times > left:
            wrong.append(f"patent {patent} was asked for {times} times, by {left} endpoints that did not know it")
    missing = max(0, uploads - len(before.views))
    if uploads and paid.uploads > missing + paid.lost["upload"]:
        wrong.append(f"{paid.uploads} uploads were paid, {missing} pictures were not uploaded yet")
    return wrong


def each_page_is_held_before_the_next(paid: Paid, held: Held) -> list[str]:
    """A page was asked for only when those before it were on the disk."""
    return [
        f"page {question.page} of {question.picture} was asked for, only {held.pages.get(question.picture, 0)} are held"
        for question in paid.searches
        if held.pages.get(question.picture, 0) < question.page
    ]


def every_call_is_counted_and_within_its_budget(
    paid: Paid, reserved: Mapping[str, tuple[int, int]], caps: Mapping[str, int]
) -> list[str]:
    """What reached the vendor stands in the journal's counts, which never exceed the budgets; of details, patents."""
    asked = {**paid.calls, "details": paid.found}
    wrong = []
    for kind, count in asked.items():
        counted = reserved.get(kind, (0, 0))[0]
        if count > counted:
            wrong.append(f"{count} of {kind} reached the vendor, {counted} are counted")
        if max(count, counted) > caps.get(kind, counted):
            wrong.append(f"{kind}: {count} reached the vendor and {counted} are counted, its budget is {caps[kind]}")
    return wrong


def _pages(state: int, _task: object, segment: int | None, search: str | None) -> int:
    if state not in (PENDING, SEARCHED, FAILED, EXPIRED):
        return ALL  # settled, or with a task, or with an intent: of hits that are all there
    if segment is None or search is None:
        return 0
    paging = json.loads(search).get("paging")
    return 1 if paging is None else len(paging["pages"])


def _late(folder: Path) -> Iterable[str]:
    file = folder / "details.jsonl"
    for line in file.read_bytes().splitlines(keepends=True) if file.exists() else ():
        if line.endswith(b"\n"):
            with contextlib.suppress(ValueError):
                yield json.loads(line)["item"]


def _drawings(folder: Path) -> Iterable[str]:
    for file in (folder / "drawings").glob("*.*"):
        if hashlib.sha256(file.read_bytes()).hexdigest() == file.stem:
            yield f"drawings/{file.name}"


@contextlib.contextmanager
def _copied(file: Path):  # type: ignore[no-untyped-def]
    """Open a copy of a database, with its logs: opening one folds them in."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as copy:
        for part in file.parent.glob(f"{file.name}*"):
            if not part.name.endswith("-shm"):
                shutil.copy(part, copy)
        with contextlib.closing(sqlite3.connect(Path(copy) / file.name)) as db:
            yield db


def _rows(db: sqlite3.Connection, sql: str) -> list[tuple]:  # type: ignore[type-arg]
    try:
        return db.execute(sql).fetchall()
    except sqlite3.OperationalError:  # its tables are not made yet
        return []
