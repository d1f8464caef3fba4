"""Writes a fresh journal from the whole lines of results.jsonl and from what can be read of the old journal.

A line settles its item. Of the other items, a sound journal is believed; after damage none of them waits: a create may
have been sent for any, so each is in doubt until a person decides (design.md: never paid twice by itself).
"""

from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import Code
from pipeline.journal.sql.admission import NO_PICTURE
from pipeline.journal.sql.database import DOUBT_NEW, Store
from pipeline.journal.sql.schema import configure
from pipeline.journal.storage import CLEAN, connect
from pipeline.models import PAID, SETTLED, Calls, Problem, State
from pipeline.offline.salvage import COLUMNS, Row, Salvage
from pipeline.offline.whole_lines import Found
from pipeline.system.checksum import crc32
from pipeline.system.clock import iso

_LINES = (
    "CREATE TEMP TABLE lines (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, was_at INTEGER, offset INTEGER, "
    "length INTEGER, crc INTEGER, state INTEGER, task_id TEXT, task_at REAL, calls TEXT, image TEXT, same_as TEXT)"
)
_NO_HITS_LEFT = {"segment": None, "spooled_at": None, "spooled": None}


class Rebuild:
    """One new journal at `path`; `old` is None when there is no journal at all."""

    def __init__(self, path: Path, old: Salvage | None, *, results: str) -> None:
        self.counts: dict[str, int] = {"settled": 0, "in doubt": 0, "failed": 0, "waiting": 0, "lines lost": 0}
        self._old = old
        self._sound = old is not None and old.sound
        self._results = results
        self._store = Store(connect(path))
        path.chmod(0o600)
        configure(self._store.do, journal_mode="DELETE")
        self._store.create()
        self._store.do("BEGIN IMMEDIATE")
        self._store.do(_LINES)
        self._seq = 0

    def add_line(self, found: Found) -> bool:
        """Take in a valid line; return False when its item has one already."""
        record, task_id = found.record, found.record.task.task_id if found.record.task else None
        where = (found.was_at, found.offset, found.length, found.crc)
        packed = (_json(record.calls), _json(record.image), record.same_as)
        added = self._store.do(
            "INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq",
            (self._seq, record.item, *where, int(found.state), task_id, found.task_at, *packed),
        ).fetchall()
        self._seq += len(added)
        return bool(added)

    def places(self) -> list[tuple[int, int]]:
        """Where the lines lay, in order, and how long they are."""
        rows: list[tuple[int, int]] = self._store.do("SELECT was_at, length FROM lines ORDER BY seq").fetchall()
        return rows

    def finish(self) -> None:
        """Write every item, durably."""
        for row in self._old.rows() if self._old is not None else ():
            self._insert(self._settled(row) or self._not_settled(row))
        self._store.do("CREATE TEMP TABLE orphans AS SELECT * FROM lines WHERE id NOT IN (SELECT id FROM items)")
        for (seq,) in self._store.do("SELECT seq FROM orphans ORDER BY seq").fetchall():
            self._insert(self._only_a_line(seq))
        self._store.do(
            "UPDATE items SET same_as = (SELECT first.ord FROM lines JOIN items AS first ON first.id = lines.same_as "
            "WHERE lines.id = items.id) WHERE id IN (SELECT id FROM orphans WHERE same_as IS NOT NULL)"
        )
        self._small_tables()
        self._store.do("COMMIT")

    def close(self) -> None:
        """Close the new journal."""
        self._store.close()

    def _settled(self, row: Row) -> Row | None:
        """The row with its line, if it has one."""
        line = self._store.do(
            "SELECT state, seq, offset, length, crc, task_id, task_at, calls FROM lines WHERE id = ?", (row["id"],)
        ).fetchone()
        if line is None:
            return None
        names = ("state", "seq", "offset", "length", "crc", "task_id", "task_at", "calls")
        self.counts["settled"] += 1
        return row | dict(zip(names, line, strict=True)) | {"problem": None} | _NO_HITS_LEFT

    def _not_settled(self, row: Row) -> Row:
        row = row | dict.fromkeys(("seq", "offset", "length", "crc"))
        state = State(row["state"])
        if state in SETTLED:
            self.counts["lines lost"] += 1
        if state is State.FAILED and (self._sound or row["source_key"] == NO_PICTURE):
            self.counts["failed"] += 1
            return row
        own = row["same_as"] is None
        created = state in (State.CREATING, State.IN_DOUBT) or (state is State.TASKED and own)
        if created or (own and not self._sound):  # what shares an earlier item's picture is never created itself
            self.counts["in doubt"] += 1
            return self._doubt(row, state)
        self.counts["waiting"] += 1
        if state in SETTLED:
            return row | {"state": int(State.PENDING), "task_id": None, "task_at": None} | _NO_HITS_LEFT
        return row

    def _doubt(self, row: Row, state: State) -> Row:
        if state is State.IN_DOUBT and row["problem"] is not None:
            return row
        when = f" (asked for {iso(row['intent_at'])})" if row["intent_at"] else ""
        if state is State.TASKED and row["task_id"]:
            message = f"its line in {self._results} was damaged; the journal knows its task, {row['task_id']}{when}"
        elif state is State.CREATING:
            message = f"the run ended while this create was on its way{when}; it may exist and be paid"
        else:
            message = f"the journal was damaged: nobody knows whether a task was created{when}"
        problem = Problem("create", Code.REPAIRED, message, "in_doubt", False, request_id=row["intent"])
        # The task id stays in the message: two items may not have one task, and this one is to be decided about.
        return row | {"state": int(State.IN_DOUBT), "problem": _json(problem), "task_id": None, "task_at": None}

    def _only_a_line(self, seq: int) -> Row:
        """An item that only its line tells of."""
        id_, state, offset, length, crc, task_id, task_at, calls, raw = self._store.do(
            "SELECT id, state, offset, length, crc, task_id, task_at, calls, image FROM lines WHERE seq = ?", (seq,)
        ).fetchone()
        image: dict[str, Any] = msgspec.json.decode(raw)
        source = str(image["source"])
        self.counts["settled"] += 1
        return dict.fromkeys(COLUMNS) | {
            "id": id_,
            "source": source,
            "local": int(not source.startswith(("https://", "http://"))),
            "origin": self._results,
            "labels": _json(image["labels"]),
            "source_key": crc32(source.encode("utf-8", "surrogateescape")),
            "generation": max(1, _whole_number(dict(self._table("meta")).get("generation"))),
            "state": state,
            "sha256": image["sha256"],
            "attempt": int(task_id is not None),
            "task_id": task_id,
            "task_at": task_at,
            "seq": seq,
            "offset": offset,
            "length": length,
            "crc": crc,
            "calls": calls,
        }

    def _insert(self, row: Row) -> None:
        marks = ", ".join("?" * len(COLUMNS))
        self._store.do(
            f"INSERT INTO items ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608 - names of ours
            tuple(row[name] for name in COLUMNS),
        )

    def _small_tables(self) -> None:
        meta = dict(self._table("meta"))
        if not self._sound:
            # The next start reads all sources again; what it does not find here may have been created.
            meta |= {"admitted": "", "admitting": "", DOUBT_NEW: "1"}
            meta["generation"] = str(max(1, _whole_number(meta.get("generation"))))
        for key, value in (meta | {"version": str(self._store.meta("version")), CLEAN: "1"}).items():
            if isinstance(key, str) and isinstance(value, str):
                self._store.set_meta(key, value)
        self._calls()
        for row in self._table("decisions"):
            self._store.do("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", row)
        risks = self._table("risks")
        for ord_, spent in risks:
            self._store.do("INSERT OR IGNORE INTO risks VALUES (?, ?)", (ord_, spent))
        for row in self._table("again") if self._sound else ():
            self._store.do("INSERT INTO again VALUES (?, ?, ?, ?, ?)", row)
        if not self._sound:  # how many were created once more is not certain: nothing but a person decides from here
            self._store.do("INSERT OR REPLACE INTO risks SELECT ord, 1 FROM items WHERE state = 21")

    def _calls(self) -> None:
        """Budgets count what the old journal reserved, and at least what the lines say."""
        known = {kind: (reserved, sent) for kind, reserved, sent in self._table("calls")}
        least = dict.fromkeys((kind.value for kind in PAID), 0)
        for (packed,) in self._store.do("SELECT calls FROM items").fetchall():
            calls = msgspec.json.decode(packed, type=Calls)
            for kind in PAID:
                least[kind.value] += getattr(calls, kind.value)
        for kind in PAID:
            reserved, sent = known.get(kind.value, (0, 0))
            if not self._sound:
                reserved, sent = (max(_whole_number(count), least[kind.value]) for count in (reserved, sent))
            self._store.note_calls(kind, reserved=reserved, sent=sent)

    def _table(self, name: str) -> list[tuple[Any, ...]]:
        return (self._old.table(name) if self._old is not None else None) or []


def _whole_number(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
