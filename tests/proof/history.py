"""The independent checker: what the vendor executed, what the journal says and what the files hold is one story.

It shares no code with the package but the names of states: the journal is read with plain sqlite3, the lines as JSON.
Every function takes a History and returns what is wrong with it, in words; `violations` asks them all.
"""

import json
import mmap
import shutil
import sqlite3
import tempfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

PENDING, SEARCHED, CREATING, TASKED, NO_HITS, SEARCH_ONLY, FAILED, IN_DOUBT, EXPIRED = 0, 1, 2, 10, 11, 12, 20, 21, 22
REPORTED, REPORT_PENDING, REPORT_FAILED, REPORT_LOST = 13, 23, 24, 25
SETTLED = {REPORTED: "reported", TASKED: "tasked", NO_HITS: "no_hits", SEARCH_ONLY: "searched"}
OPEN = {FAILED: "failed", IN_DOUBT: "in_doubt", EXPIRED: "expired"}
OF_REPORTS = {REPORT_PENDING: "report_pending", REPORT_FAILED: "report_failed", REPORT_LOST: "report_lost"}
OPEN |= OF_REPORTS
WITH_TASK = {TASKED, REPORTED, *OF_REPORTS}

# Looking needs no disk.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
_COLUMNS = "ord, id, coalesce(url, source), same_as, state, attempt, intent, task_id, seq, offset, length, crc, calls"


class Created(NamedTuple):
    """A create that the vendor executed: the picture, the task, and the hits that were sent with it."""

    url: str
    task_id: str
    hits: tuple[str, ...] = ()


class Row(NamedTuple):
    """An item as the journal has it; `url` is the picture as the vendor saw it."""

    ord: int
    id: str
    url: str
    same_as: int | None
    state: int
    attempt: int
    intent: str | None
    task_id: str | None
    seq: int | None
    offset: int
    length: int
    crc: int
    calls: str


class Said(NamedTuple):
    """What a line of results.jsonl says."""

    item: str
    status: str
    task_id: str | None
    url: str | None
    hits: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """What is known of one run directory.

    `acknowledged` maps each item that the engine was told is done to the CRC-32 of its line. `asked` counts the paid
    calls that reached the vendor. `dead`: nothing has recovered this directory yet, so lines may lie beyond the last
    commit and creates may stand without an outcome. `ended`: the last run came to its end and wrote open.jsonl.
    `duplicates`: so many creates in doubt the job lets be made once more; none under `hold`.
    """

    executed: tuple[Created, ...]
    rows: tuple[Row, ...]
    reserved: Mapping[str, tuple[int, int]]
    results: bytes | mmap.mmap
    open_lines: bytes | None = None
    acknowledged: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)
    posts_after_failure: int = 0
    dead: bool = False
    ended: bool = False
    duplicates: int = 0

    @cached_property
    def worked_on(self) -> dict[str, Row]:
        """By picture, the item that is worked on for it."""
        return {row.url: row for row in self.rows if row.same_as is None}

    @cached_property
    def indexed(self) -> list[Row]:
        """The items that have a line, in the order of the file."""
        return sorted((row for row in self.rows if row.seq is not None), key=lambda row: row.seq or 0)

    def line(self, row: Row) -> bytes:
        """What lies where the journal says that the item's line is."""
        return self.results[row.offset : row.offset + row.length]

    @cached_property
    def said(self) -> dict[int, Said]:
        """By item, what the line says that the journal points to; what is no record is left out."""
        return {row.ord: said for row in self.indexed if (said := _said(self.line(row))) is not None}


def intent_came_before_every_create(history: History) -> list[str]:
    """I1: whatever the vendor executed had its intent on disk first."""
    executed = Counter(created.url for created in history.executed)
    rows = history.worked_on
    return [
        f"{url} was executed {times} times, its intents: {rows[url].attempt if url in rows else 'no such item'}"
        for url, times in executed.items()
        if url not in rows or rows[url].intent is None or rows[url].attempt < times
    ]


def nothing_acknowledged_is_lost(history: History) -> list[str]:
    """I2: an item that was reported as done is settled, and its line is the one that was written."""
    rows = {row.id: row for row in history.rows}
    lost = []
    for id_, crc in history.acknowledged.items():
        row = rows.get(id_)
        if row is None or row.state not in SETTLED or row.seq is None:
            lost.append(f"{id_} was acknowledged, its state is {row.state if row else 'unknown'}")
        elif not row.crc == crc == zlib.crc32(history.line(row)):
            lost.append(f"{id_} was acknowledged with another line")
    return lost


def nothing_is_created_twice(history: History) -> list[str]:
    """I3: the vendor executes one create per picture at most, and a second one as often as the job retries a doubt."""
    executed = Counter(created.url for created in history.executed)
    most = 2 if history.duplicates else 1
    wrong = [f"{url} was created {times} times" for url, times in executed.items() if times > most]
    again = executed.total() - len(executed)
    if again > history.duplicates and not wrong:
        wrong.append(f"{again} pictures were created twice, the job allows {history.duplicates}")
    return wrong


def nothing_paid_is_untracked(history: History) -> list[str]:
    """I4: each executed create is its item's task, or in doubt; and no task is recorded that nobody made.

    Where a doubt was retried, that is the second create: the job gives the first one up.
    """
    wrong = []
    undecided = {IN_DOUBT, CREATING} if history.dead else {IN_DOUBT}
    beyond = _beyond(history) if history.dead else {}
    last = {created.url: created for created in history.executed}
    for created in last.values() if history.duplicates else history.executed:
        row = history.worked_on.get(created.url)
        tracked = row is not None and (row.task_id == created.task_id or row.state in undecided)
        if not tracked and beyond.get(row.id if row else "") != created.task_id:
            wrong.append(f"task {created.task_id} of {created.url} is not tracked (state {row.state if row else None})")
    made = {(created.url, created.task_id) for created in history.executed}
    wrong += [
        f"{row.id} has task {row.task_id}, which the vendor did not make for it"
        for row in history.worked_on.values()
        if row.state in WITH_TASK and (row.url, row.task_id) not in made
    ]
    return wrong


def index_matches_the_file(history: History) -> list[str]:
    """I5: numbers count from 0 without a gap, lines lie end to end, and each has its CRC."""
    wrong = []
    end = 0
    for number, row in enumerate(history.indexed):
        line = history.line(row)
        if row.seq != number:
            wrong.append(f"{row.id} has number {row.seq} in place {number}")
        if row.offset != end:
            wrong.append(f"{row.id} lies at {row.offset}, the line before it ends at {end}")
        if len(line) != row.length or zlib.crc32(line) != row.crc or not line.endswith(b"\n"):
            wrong.append(f"{row.id}: the line at {row.offset} is not the one that was committed")
        end = row.offset + row.length
    if len(history.results) != end and not history.dead:
        wrong.append(f"results.jsonl has {len(history.results)} bytes, the journal knows {end}")
    return wrong


def every_settled_item_has_its_one_line(history: History) -> list[str]:
    """I6: a line for each settled item and for no other, saying what the journal says."""
    wrong = []
    for row in history.rows:
        if (row.state in SETTLED) != (row.seq is not None):
            wrong.append(f"{row.id} is in state {row.state} and {'has' if row.seq is not None else 'has no'} line")
        said = history.said.get(row.ord)
        if said is None:
            wrong += [f"{row.id}: its line is no record"] * (row.seq is not None)
            continue
        alone = row.same_as is None  # those with the same picture share the first one's task
        if said[:2] != (row.id, SETTLED.get(row.state)) or (alone and said.task_id != row.task_id):
            wrong.append(f"{row.id} (state {row.state}, task {row.task_id}) has the line of {said[:3]}")
    return wrong


def open_items_are_listed_once(history: History) -> list[str]:
    """I6, the other file: open.jsonl lists the open items, each once, when a run has ended."""
    if not history.ended or history.open_lines is None:
        return []
    listed = Counter((line["item"], line["status"]) for line in map(_json, history.open_lines.splitlines()))
    stand = Counter((row.id, OPEN[row.state]) for row in history.rows if row.state in OPEN)
    return [f"open.jsonl and the journal differ in {sorted((listed - stand) + (stand - listed))}"] * (listed != stand)


def nothing_is_sent_after_a_failure(history: History) -> list[str]:
    """I7: once the journal could not be written, no create leaves."""
    sent = history.posts_after_failure
    return [f"{sent} creates were sent after the journal failed"] if sent else []


def calls_add_up(history: History) -> list[str]:
    """No paid call is outside the counts that budgets rest on; after the end nothing is half done."""
    wrong = []
    spent: dict[str, int] = defaultdict(int)
    for row in history.rows:
        for kind, count in json.loads(row.calls).items():
            spent[kind] += count
    for kind, (reserved, sent) in history.reserved.items():
        most = max(sent, spent[kind], history.asked.get(kind, 0))
        if most > reserved:
            wrong.append(f"{most} {kind} calls were made, {reserved} are counted")
    undone = Counter(row.state for row in history.rows if row.state in (PENDING, SEARCHED, CREATING))
    if history.ended and undone:
        wrong.append(f"the run has ended, but items are left in states {dict(undone)}")
    if CREATING in undone and not history.dead:
        wrong.append(f"{undone[CREATING]} creates are left without an outcome")
    return wrong


def records_say_what_was_sent(history: History) -> list[str]:
    """The record of a task shows the picture and the hits that the vendor was sent."""
    made = {created.task_id: created for created in history.executed}
    wrong = []
    for row in history.worked_on.values():
        said, created = history.said.get(row.ord), made.get(row.task_id or "")
        if said is None or created is None:
            continue
        if said.url != created.url or said.hits[: len(created.hits)] != created.hits:
            wrong.append(f"{row.id}: the record shows {said.url} with {said.hits}, sent were {created}")
    return wrong


INVARIANTS = (
    intent_came_before_every_create,
    nothing_acknowledged_is_lost,
    nothing_is_created_twice,
    nothing_paid_is_untracked,
    index_matches_the_file,
    every_settled_item_has_its_one_line,
    open_items_are_listed_once,
    nothing_is_sent_after_a_failure,
    calls_add_up,
    records_say_what_was_sent,
)


def violations(history: History) -> list[str]:
    """Everything that is wrong, each with the name of the invariant that says so."""
    return [f"{check.__name__}: {wrong}" for check in INVARIANTS for wrong in check(history)]


def read_history(folder: Path, *, executed: Iterable[Created] = (), **known: Any) -> History:
    """Read a run directory without changing it: the journal is looked at in a copy, for opening it folds in its log."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as copy:
        for path in folder.glob("journal.sqlite*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy)
        connection = sqlite3.connect(Path(copy) / "journal.sqlite")
        connection.execute("PRAGMA synchronous=OFF")
        try:
            rows: list[Any] = []
            calls: list[Any] = []
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                rows = connection.execute(f"SELECT {_COLUMNS} FROM items ORDER BY ord").fetchall()
                calls = connection.execute("SELECT kind, reserved, sent FROM calls").fetchall()
        finally:
            connection.close()
    return History(
        executed=tuple(executed),
        rows=tuple(Row(*row) for row in rows),
        reserved={kind: (reserved, sent) for kind, reserved, sent in calls},
        results=_content(folder / "results.jsonl"),
        open_lines=(folder / "open.jsonl").read_bytes() if (folder / "open.jsonl").exists() else None,
        **known,
    )


def _content(path: Path) -> bytes | mmap.mmap:
    """The bytes of a file; a large one is mapped, for a long run's results do not belong into memory."""
    if not path.exists():
        return b""
    if path.stat().st_size < 64 << 20:
        return path.read_bytes()
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _beyond(history: History) -> dict[str, str]:
    """By item, the task in a whole line beyond the last commit: the next start takes it over."""
    end = max((row.offset + row.length for row in history.indexed), default=0)
    found = {}
    for line in history.results[end:].splitlines():
        said = _said(line)
        if said is not None and said.task_id is not None:
            found[said.item] = said.task_id
    return found


def _said(line: bytes) -> Said | None:
    record = _json(line)
    try:
        hits = tuple(hit["patent_id"] for hit in record["hits"])
        task_id = (record["task"] or {})["task_id"] if record["task"] else None
        return Said(record["item"], record["status"], task_id, _url_of(record["image"]), hits)
    except (KeyError, TypeError):
        return None


def _url_of(image: Any) -> str | None:
    """Return the URL of a picture, or those of a product's views as the journal writes them."""
    urls = [view["url"] for view in image.get("views", [])]
    return "views: " + " | ".join(urls) if urls and None not in urls else image["url"]


def _json(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
