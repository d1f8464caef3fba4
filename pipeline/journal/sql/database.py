"""SQLite: one row per item, and which change of state is legal. Synchronous, one connection, one thread.

Every function here runs inside the writer's transaction, or is one, and either changes exactly what it means or raises
(JournalError, or SQLite's own error where the trigger refuses), which latches the writer. All that a settled line needs
(state, task id, seq, offset, length, CRC) is one row, so that no crash can come between its parts: an earlier design
with two rows lost lines once in a hundred kills.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.results_file import Line
from pipeline.journal.sql.rows import SearchNote, SpoolRef, hits_of
from pipeline.journal.sql.schema import LATER, LEGAL, VERSION, Connection, check_version, statements
from pipeline.models import PAID, Calls, Item, Kind, Problem, State, Task, Upload, Work

_WORK = "ord, id, source, local, origin, labels, calls, url, url_expires, sha256, search, segment, spooled_at, spooled"
# Many steps at once, as JSON: all of them or, when an item is missing, none. By itself it is its own transaction.
ADVANCE = re.sub(
    r"\$(\d+)",
    r"json_extract(step.value, '$[\1]')",
    "UPDATE items SET state = $1, calls = $2, seq = $3, offset = $4, length = $5, crc = $6, task_id = $7, "
    "task_at = $8, segment = $9, spooled_at = $10, spooled = $11, intent = coalesce($12, intent), "
    "intent_at = coalesce($13, intent_at), search = coalesce($14, search), attempt = attempt + ($3 IS NULL), "
    "problem = iif($3 IS NULL, problem, NULL) FROM json_each(?1) AS step WHERE ord = $0 AND json_array_length(?1) = "
    "(SELECT count(DISTINCT known.ord) FROM items AS known JOIN json_each(?1) AS step ON known.ord = $0)",
)
# A row's number, what becomes of it, its calls, then up to twelve columns in the order of `ADVANCE`.
Step = tuple[Any, ...]
# In `meta`, after a repair of a damaged journal: items that it does not know may have been created.
DOUBT_NEW = "doubt_new"


class Waiting(NamedTuple):
    """A row of work and where its hits are, if they are paid."""

    work: Work
    note: SearchNote | None
    spool: SpoolRef | None


class Store:
    """The states of all items."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.do = connection.execute
        self.among = ""  # a condition in SQL: only these items are worked on

    def create(self) -> None:
        """Lay out an empty journal, or what an older one lacks. Raises JournalError on another version."""
        fresh = not self.do("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not fresh:
            check_version(self.meta("version"))
        self.do("BEGIN IMMEDIATE")
        for statement in (*(statements() if fresh else ()), *LATER):
            self.do(statement)
        for old, new in sorted(LEGAL):
            self.do("INSERT OR IGNORE INTO legal VALUES (?, ?)", (int(old), int(new)))
        if fresh:
            for kind in PAID:
                self.do("INSERT INTO calls VALUES (?, 0, 0)", (kind.value,))
            self.set_meta("version", str(VERSION))
        self.do("COMMIT")

    def meta(self, key: str) -> str | None:
        """Read one remembered value."""
        row = self.do("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember one value."""
        self.do("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))

    def close(self) -> None:
        """Close the connection; SQLite folds its write-ahead log into the file."""
        self._connection.close()

    # --- work ---

    def waiting(self, state: State, *, after: int, limit: int, generation: int) -> list[Waiting]:
        """Rows in `state` beyond `after`, in order; not those that share a picture with an earlier item."""
        rows = self.do(
            f"SELECT {_WORK} FROM items "  # noqa: S608 - column names of ours
            f"WHERE state = ? AND ord > ? AND generation = ? AND same_as IS NULL {self.among} ORDER BY ord LIMIT ?",
            (int(state), after, generation, limit),
        ).fetchall()
        return [_waiting(row) for row in rows]

    def expiring(self, state: State, *, generation: int, after: float) -> list[int]:
        """Waiting items by what expires first: the hits of searched ones, uploads that live beyond `after`."""
        paid, since = ("json_extract(search, '$.at')", 0.0) if state is State.SEARCHED else ("url_expires", after)
        where = f"state = ? AND generation = ? AND same_as IS NULL AND {paid} > ? {self.among} ORDER BY {paid}, ord"
        rows = self.do(f"SELECT ord FROM items WHERE {where}", (int(state), generation, since))  # noqa: S608
        return [int(ord_) for (ord_,) in rows.fetchall()]

    def waiting_among(self, ords: Sequence[int]) -> list[Waiting]:
        """Those of these rows that wait, in this order."""
        rows = self.do(
            f"SELECT {_WORK} FROM items WHERE state < 2 AND ord IN ({', '.join('?' * len(ords))})",  # noqa: S608
            tuple(ords),
        ).fetchall()
        found = {row[0]: _waiting(row) for row in rows}
        return [found[ord_] for ord_ in ords if ord_ in found]

    def row(self, ord_: int) -> Waiting:
        """One item, whatever its state."""
        return _waiting(self.do(f"SELECT {_WORK} FROM items WHERE ord = ?", (ord_,)).fetchone())  # noqa: S608

    def twins(self, *, after: int, limit: int, generation: int) -> list[tuple[Work, int]]:
        """Waiting rows that share a picture with an earlier item, and that item's `ord`."""
        rows = self.do(
            f"SELECT {_WORK}, same_as FROM items "  # noqa: S608 - column names of ours
            "WHERE state = ? AND ord > ? AND generation = ? AND same_as IS NOT NULL ORDER BY ord LIMIT ?",
            (int(State.PENDING), after, generation, limit),
        ).fetchall()
        return [(_waiting(row).work, int(row[-1])) for row in rows]

    def standing(self, ord_: int) -> tuple[str, State, Line | None, Problem | None]:
        """The id, state, line and problem of one item."""
        row = self.do(
            "SELECT id, state, seq, offset, length, crc, problem FROM items WHERE ord = ?", (ord_,)
        ).fetchone()
        line = None if row[2] is None else Line(*row[2:6])
        return row[0], State(row[1]), line, None if row[6] is None else _problem(row[6])

    def find(self, id_: str) -> tuple[int, State] | None:
        """The `ord` and state of an id."""
        row = self.do("SELECT ord, state FROM items WHERE id = ?", (id_,)).fetchone()
        return None if row is None else (int(row[0]), State(row[1]))

    def open_items(self, *, after: int, limit: int) -> list[tuple[Work, State, Problem]]:
        """Failed, in doubt and expired rows beyond `after`, in order; their hits without the bytes."""
        rows = self.do(
            f"SELECT {_WORK}, state, problem FROM items "  # noqa: S608 - column names of ours
            "WHERE state >= 20 AND ord > ? ORDER BY ord LIMIT ?",
            (after, limit),
        ).fetchall()
        found = []
        for row in rows:
            work, note, _ = _waiting(row)
            work.hits = hits_of(note, b"[]") if note else None
            found.append((work, State(row[-2]), _problem(row[-1])))
        return found

    # --- changes of state; each raises JournalError unless it changes its one row legally ---

    def uploaded(self, ord_: int, upload: Upload, sha256: str) -> None:
        """Note the URL of an uploaded picture; the item keeps waiting."""
        self.change(
            "url = ?, url_expires = ?, sha256 = ? WHERE ord = ? AND state IN (?, ?)",
            (upload.url, upload.expires_at, sha256, ord_, int(State.PENDING), int(State.IN_DOUBT)),
        )

    def intend(
        self, ord_: int, *, request_id: str, at: float, calls: Calls, hits: tuple[SearchNote, SpoolRef] | None
    ) -> None:
        """Note that a create is about to be sent (`calls` counts it already). `hits` is given the first time."""
        if hits is not None:
            return self.advance([intent_step(ord_, request_id, at, calls, hits)])
        return self.change(
            "state = ?, attempt = attempt + 1, intent = ?, intent_at = ?, calls = ? WHERE ord = ?",
            (int(State.CREATING), request_id, at, _pack(calls), ord_),
        )

    def put_back(self, ord_: int, *, calls: Calls, hits: tuple[SearchNote, SpoolRef] | None) -> None:
        """Let an item wait where it stands: with its hits, or at the start."""
        if hits is not None:
            self._searched(ord_, hits, State.SEARCHED)
        self.change(
            "state = CASE state WHEN 2 THEN 1 ELSE state END, calls = ? WHERE ord = ? AND state < 10",
            (_pack(calls), ord_),
        )

    def settle(self, ord_: int, state: State, *, line: Line, calls: Calls, task: Task | None) -> None:
        """Index the item's line in results.jsonl, which is already on disk."""
        self.advance([settled_step(ord_, state, line, calls, task)])

    def advance(self, steps: Sequence[Step]) -> None:
        """Take many items a step on, all of them or none, in one statement."""
        if self.do(ADVANCE, (msgspec.json.encode(steps).decode(),)).rowcount != len(steps):
            raise JournalError(f"the journal refused a change of one of the items {[step[0] for step in steps][:20]}")

    def leave_open(
        self,
        ord_: int,
        state: State,
        problem: Problem,
        *,
        calls: Calls,
        hits: tuple[SearchNote, SpoolRef] | None = None,
    ) -> None:
        """Note why an item is open; hits that are paid stay with it."""
        if hits is not None:
            self._searched(ord_, hits, state if state is State.IN_DOUBT else State.SEARCHED)
        packed = msgspec.json.encode(problem).decode()
        self.change("state = ?, problem = ?, calls = ? WHERE ord = ?", (int(state), packed, _pack(calls), ord_))

    def requeue(self, ord_: int) -> State:
        """Let a failed or expired item wait again, with its hits where it still has them; return its new state."""
        self.change("state = iif(segment IS NULL, 0, 1), problem = NULL WHERE ord = ? AND state IN (20, 22)", (ord_,))
        return State(self.do("SELECT state FROM items WHERE ord = ?", (ord_,)).fetchone()[0])

    def forget_hits(self, ord_: int) -> None:
        """Drop hits that are too old or lost; they will be searched, and paid, again. A doubt stays a doubt."""
        self.change(
            "state = iif(state = 21, 21, 0), search = NULL, segment = NULL, spooled_at = NULL, spooled = NULL "
            "WHERE ord = ?",
            (ord_,),
        )

    def _searched(self, ord_: int, hits: tuple[SearchNote, SpoolRef], state: State) -> None:
        self.change(
            "state = ?, search = ?, segment = ?, spooled_at = ?, spooled = ? WHERE ord = ?",
            (int(state), *_paid(hits), ord_),
        )

    def change(self, assignment: str, parameters: Iterable[Any]) -> None:
        """Update the one row that the assignment means."""
        row = self.do(f"UPDATE items SET {assignment} RETURNING ord", tuple(parameters)).fetchall()  # noqa: S608
        if len(row) != 1:
            raise JournalError(
                f"the journal refused a change: {assignment.split(' ')[0]} of item {list(parameters)[-1]}"
            )

    # --- calls ---

    def calls(self) -> dict[Kind, tuple[int, int]]:
        """Per kind: calls reserved and calls known to be sent, over the run directory's life."""
        rows = self.do("SELECT kind, reserved, sent FROM calls").fetchall()
        return {Kind(kind): (int(reserved), int(sent)) for kind, reserved, sent in rows}

    def true_calls(self) -> dict[Kind, tuple[int, int]]:
        """As `calls`; after a kill, what the items themselves know of counts where it is more."""
        calls = self.calls()
        if all(reserved == sent for reserved, sent in calls.values()):
            return calls
        sums = ", ".join(f"coalesce(sum(json_extract(calls, '$.{kind.value}')), 0)" for kind in PAID)
        spent = self.do(f"SELECT {sums} FROM items").fetchone()  # noqa: S608 - names of ours
        known = dict(zip(PAID, spent, strict=True))
        return {kind: (reserved, max(sent, int(known[kind]))) for kind, (reserved, sent) in calls.items()}

    def note_calls(self, kind: Kind, *, reserved: int, sent: int) -> None:
        """Set both counts of a kind."""
        self.do("UPDATE calls SET reserved = ?, sent = ? WHERE kind = ?", (reserved, sent, kind.value))

    def note_sent(self, kind: Kind, sent: int) -> None:
        """Set the count of calls known to be sent."""
        self.do("UPDATE calls SET sent = ? WHERE kind = ?", (sent, kind.value))

    # --- reading for people ---

    def counts(self, *, generation: int | None = None) -> dict[State, int]:
        """Items per state."""
        where = "" if generation is None else f"WHERE generation = {int(generation)}"
        rows = self.do(f"SELECT state, count(*) FROM items {where} GROUP BY state").fetchall()  # noqa: S608
        return {State(state): int(count) for state, count in rows}


def intent_step(ord_: int, request_id: str, at: float, calls: Calls, hits: tuple[SearchNote, SpoolRef]) -> Step:
    """An item whose hits are paid is about to be created for the first time."""
    note, ref = hits
    return (ord_, State.CREATING, calls, None, None, None, None, None, None, *ref, request_id, at, note)


def settled_step(ord_: int, state: State, line: Line, calls: Calls, task: Task | None) -> Step:
    """An item is done, and its line is on disk."""
    return (ord_, state, calls, *line, task and task.task_id, task and task.at)


def _paid(hits: tuple[SearchNote, SpoolRef]) -> tuple[Any, ...]:
    note, ref = hits
    return msgspec.json.encode(note).decode(), *ref


def _pack(calls: Calls) -> str:
    return msgspec.json.encode(calls).decode()


def _problem(packed: str) -> Problem:
    return msgspec.json.decode(packed, type=Problem)


def _waiting(row: Sequence[Any]) -> Waiting:
    ord_, id_, source, local, origin, labels, calls, url, expires, sha256, search, *where = row[:14]
    item = Item(id_, source, bool(local), origin, msgspec.json.decode(labels, type=dict[str, str]))
    work = Work(
        ord=ord_,
        item=item,
        calls=msgspec.json.decode(calls, type=Calls),
        upload=Upload(url, expires) if url else None,
        sha256=sha256,
    )
    if search is None or where[0] is None:
        return Waiting(work, None, None)
    return Waiting(work, msgspec.json.decode(search, type=SearchNote), SpoolRef(*where))
