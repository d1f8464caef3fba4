"""A fresh journal, written from the whole lines of results.jsonl and from all that can be read of the old journal.

A line settles its item. Of the other items, a sound journal is believed; after damage none of them waits: a create may
have been sent for any, and nothing is ever paid twice by itself, so each is in doubt until a person decides.
"""

from pathlib import Path
from typing import Any

import msgspec

from pipeline.errors import Code
from pipeline.journal.identity import COUNTER, ID
from pipeline.journal.places import REPORTS
from pipeline.journal.results_file import read_line
from pipeline.journal.sql import calls, doubts, items, laid_by, money, schema, sent_calls
from pipeline.journal.sql.admission import DOUBT_NEW
from pipeline.journal.sql.database import CLEAN, Database, configure
from pipeline.journal.sql.reports import awaiting
from pipeline.journal.sql.rows import CREATING, NO_PICTURE, calls_of, packed
from pipeline.journal.sql.sense import COLUMNS, remembered
from pipeline.journal.sql.twins import source_key
from pipeline.journal.storage import connect
from pipeline.models import CONTENT, KINDS, OF_REPORT, SETTLED, Calls, Kind, Problem, State, Task
from pipeline.offline.rebuilt_twins import link_twins
from pipeline.offline.salvage import Row, Salvage
from pipeline.offline.whole_lines import Found
from pipeline.sources.urls import digest_of_sent, identity_of_urls
from pipeline.system.clock import iso
from pipeline.views import local_views

_LINES = (
    "CREATE TEMP TABLE lines (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, was_at INTEGER, offset INTEGER, "
    "length INTEGER, crc INTEGER, state INTEGER, task_id TEXT, task_at REAL, calls TEXT, image TEXT, same_as TEXT)"
)
# The task in a twin's line is that of its picture's first item.
_OWN_TASK = "iif(same_as IS NULL, task_id, NULL), iif(same_as IS NULL, task_at, NULL)"
_LAID = "CREATE TEMP TABLE laid (id TEXT PRIMARY KEY, source TEXT, image TEXT, line BLOB)"
_COUNTED = ("settled", "waiting for details", "in doubt", "failed", "waiting", "lines lost")
_NO_HITS_LEFT = {"segment": None, "spooled_at": None, "spooled": None}


class Rebuild:
    """One new journal at `path`; `old` is None when there is no journal at all."""

    def __init__(self, path: Path, old: Salvage | None, *, results: str) -> None:
        self.counts = dict.fromkeys(_COUNTED, 0)
        self._old = old
        self._sound = old is not None and old.sound
        self._results = results
        self._seq = 0
        self._db = Database(connect(path))
        try:
            path.chmod(0o600)
            configure(self._db.do, journal_mode="DELETE")
            schema.create(self._db)
            self._db.do("BEGIN IMMEDIATE")
            self._db.do(_LINES)
            self._db.do(_LAID)
        except BaseException:
            self._db.close()
            raise

    def add_line(self, found: Found) -> bool:
        """Take in a valid line; return False if its item has one already."""
        view, task = found.view, found.view.task
        values = (view.item, *found[1:], int(view.state), task and task.task_id, task and task.at)
        # A collected record tells the calls of the run, too; its journal counts those that were made to collect it.
        collected = self._results == REPORTS and not view.replaces
        calls_here = Calls(query=view.calls.query) if collected else view.calls
        as_json = (packed(calls_here), packed(view.image), view.same_as)
        marks = "?, " * len(values) + "?, ?, ?"
        added = self._db.do(
            f"INSERT OR IGNORE INTO lines VALUES (?, {marks}) RETURNING seq",
            (self._seq, *values, *as_json),
        ).fetchall()
        self._seq += len(added)
        return bool(added)

    def places(self) -> list[tuple[int, int]]:
        """List the lines' old offsets and their lengths, in order."""
        rows: list[tuple[int, int]] = self._db.do("SELECT was_at, length FROM lines ORDER BY seq").fetchall()
        return rows

    def finish(self) -> None:
        """Write every item, durably."""
        self._take_laid_by()
        for row in self._old.rows() if self._old is not None else ():
            self._insert(self._settled(row) or self._not_settled(row))
        self._db.do("CREATE TEMP TABLE orphans AS SELECT * FROM lines WHERE id NOT IN (SELECT id FROM items)")
        for (seq,) in self._db.do("SELECT seq FROM orphans ORDER BY seq").fetchall():
            self._insert(self._only_a_line(seq))
        self._db.do(
            "UPDATE items SET same_as = (SELECT first.ord FROM lines JOIN items AS first ON first.id = lines.same_as "
            "WHERE lines.id = items.id) WHERE id IN (SELECT id FROM orphans WHERE same_as IS NOT NULL)"
        )
        self._lay_by()
        link_twins(self._db)
        self._count()
        self._small_tables()
        self._db.do("COMMIT")

    def close(self) -> None:
        """Close the new journal."""
        self._db.close()

    def _settled(self, row: Row) -> Row | None:
        """Complete the row with its line; None if it has none."""
        line = self._db.do(
            f"SELECT state, seq, offset, length, crc, {_OWN_TASK}, calls FROM lines WHERE id = ?", (row["id"],)
        ).fetchone()
        if line is None:
            return None
        names = ("state", "seq", "offset", "length", "crc", "task_id", "task_at", "calls")
        return row | dict(zip(names, line, strict=True)) | {"problem": None} | _NO_HITS_LEFT

    def _not_settled(self, row: Row) -> Row:
        """Return the row of an item without a line, in the state that can be vouched for.

        - its record waits for details: it goes on waiting, and the next start settles it;
        - failed before anything of it was paid, or the old journal is sound: it stays failed;
        - its task is known, and its report is awaited or did not come: it stays so; where that was in the line that is
          lost, it is asked for again, for nothing is paid twice by itself;
        - its create may have been executed, or nobody can tell (the journal is damaged): in doubt;
        - settled, with its line lost, but never created itself: waiting, without what its line said;
        - anything else: waiting, as it was.
        """
        row = row | dict.fromkeys(("seq", "offset", "length", "crc"))
        state = State(row["state"])
        if row["same_as"] is None and self._is_laid_by(row["id"], row["source"]):
            return row | {"state": int(State.CREATING), "problem": None, "task_id": None, "task_at": None}
        if state in SETTLED:
            self.counts["lines lost"] += 1
        if state is State.FAILED and (self._sound or row["source_key"] == NO_PICTURE):
            return row
        if state in OF_REPORT and row["task_id"]:  # paid, and nothing more is paid for it by itself
            return row
        own = row["same_as"] is None
        if state is State.REPORTED and row["task_id"] and row["same_as"] is None and not self._twin_says(row["id"]):
            problem = packed(awaiting(Task(row["task_id"], row["task_at"])))
            return row | {"state": int(State.REPORT_PENDING), "problem": problem} | _NO_HITS_LEFT
        created = state in (State.CREATING, State.IN_DOUBT) or (state is State.TASKED and own)
        if created or (own and not self._sound):  # what shares an earlier item's picture is never created itself
            return self._doubt(row, state)
        if state in SETTLED:
            return row | {"state": int(State.PENDING), "task_id": None, "task_at": None} | _NO_HITS_LEFT
        return row

    def _twin_says(self, id_: str) -> bool:
        """Return whether the line of an item with the same picture says what became of it: it takes its place."""
        said = f"SELECT 1 FROM lines WHERE same_as = ? AND state <> {State.TASKED:d} LIMIT 1"
        return self._db.do(said, (id_,)).fetchone() is not None

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
        return row | {"state": int(State.IN_DOUBT), "problem": packed(problem), "task_id": None, "task_at": None}

    def _only_a_line(self, seq: int) -> Row:
        """Make the row of an item that is known by its line alone."""
        names = ("state", "offset", "length", "crc", "task_id", "task_at", "calls")
        id_, raw, *values = self._db.do(
            f"SELECT id, image, state, offset, length, crc, {_OWN_TASK}, calls FROM lines WHERE seq = ?", (seq,)
        ).fetchone()
        row = self._known_by_image(id_, raw) | {"seq": seq, **dict(zip(names, values, strict=True))}
        return row | {"attempt": int(row["task_id"] is not None)}

    def _known_by_image(self, id_: str, raw: str) -> Row:
        """Make the row of an item of which a record says what it shows."""
        image: dict[str, Any] = msgspec.json.decode(raw)
        source, sha256 = str(image["source"]), image["sha256"]
        if image.get("views"):
            sha256 = digest_of_sent((view["source"], view["sha256"]) for view in image["views"])
        local = bool(local_views(source))
        identity = (f"{CONTENT}{sha256}" if sha256 else None) if local else identity_of_urls(source)
        return dict.fromkeys(COLUMNS) | {
            "id": id_,
            "source": source,
            "local": int(local),
            "origin": self._results,
            "labels": packed(image["labels"]),
            "source_key": source_key(identity or source),
            "generation": max(1, _whole_number(dict(self._table("meta")).get("generation"))),
            "sha256": sha256,
            "picture": identity,
        }

    def _take_laid_by(self) -> None:
        """Take in the records that wait for details: their tasks are paid, and known nowhere else."""
        for raw in self._old.laid_by() if self._old is not None else ():
            view = read_line(raw)
            if view is not None and view.task is not None and view.same_as is None:
                values = (view.item, view.image.source, packed(view.image), raw)
                self._db.do("INSERT OR IGNORE INTO laid VALUES (?, ?, ?, ?)", values)

    def _is_laid_by(self, id_: str, source: str) -> bool:
        return self._db.do("SELECT 1 FROM laid WHERE id = ? AND source = ?", (id_, source)).fetchone() is not None

    def _lay_by(self) -> None:
        """Lay the records by again, also those whose items are known by them alone."""
        unknown = "SELECT id, image FROM laid WHERE id NOT IN (SELECT id FROM items)"
        for id_, raw in self._db.do(unknown).fetchall():
            own = {"state": int(State.CREATING), "attempt": 1, "calls": packed(Calls())}
            self._insert(self._known_by_image(id_, raw) | own)
        waiting = f"SELECT ord, line FROM laid JOIN items USING (id) WHERE {CREATING} AND items.source = laid.source"
        for ord_, line in self._db.do(waiting).fetchall():
            laid_by.put(self._db, ord_, line)
            self.counts["waiting for details"] += 1

    def _count(self) -> None:
        """Count the items as they stand now: twins may have been linked to another first item."""
        found = items.counts(self._db)
        ends = {"settled": SETTLED, "in doubt": (State.IN_DOUBT,), "failed": (State.FAILED, *OF_REPORT)}
        self.counts |= {word: sum(found.pop(state, 0) for state in states) for word, states in ends.items()}
        self.counts["waiting"] = sum(found.values()) - self.counts["waiting for details"]

    def _insert(self, row: Row) -> None:
        marks = ", ".join("?" * len(COLUMNS))
        self._db.do(
            f"INSERT INTO items ({', '.join(COLUMNS)}) VALUES ({marks})",
            tuple(row[name] for name in COLUMNS),
        )

    def _small_tables(self) -> None:
        meta = remembered(self._table("meta"))
        if COUNTER not in meta:  # without it the directory would be known, and taken for an older one
            meta.pop(ID, None)
        if not self._sound:
            # The next start reads all sources again; what it does not find here may have been created.
            meta |= {"admitted": "", "admitting": "", DOUBT_NEW: "1"}
            meta["generation"] = str(max(1, _whole_number(meta.get("generation"))))
        for key, value in (meta | {"version": str(self._db.meta("version")), CLEAN: "1"}).items():
            self._db.set_meta(key, value)
        self._calls()
        for kind, priced in money.sound_rows(self._table("money")):
            money.note(self._db, [(kind, priced)])
        sent_calls.restore(self._db, self._table("sent_calls"))
        for row in self._table("decisions"):
            self._db.do("INSERT INTO decisions VALUES (?, ?, ?, ?, ?)", row)
        risks = self._table("risks")
        for ord_, spent in risks:
            self._db.do("INSERT OR IGNORE INTO risks VALUES (?, ?)", (ord_, spent))
        for row in self._table("again") if self._sound else ():
            self._db.do("INSERT INTO again VALUES (?, ?, ?, ?, ?)", row)
        if not self._sound:  # how many were created once more is not certain: nothing but a person decides from here
            doubts.leave_all_to_person(self._db)

    def _calls(self) -> None:
        """Count calls against the budgets: those that the old journal reserved, and at least those in the lines."""
        known = {kind: (reserved, sent) for kind, reserved, sent in self._table("calls")}
        least = dict.fromkeys((kind.value for kind in KINDS), 0)
        for (text,) in self._db.do("SELECT calls FROM items").fetchall():
            spent = calls_of(text)
            for kind in KINDS:
                least[kind.value] += getattr(spent, kind.value)
        for kind in KINDS:
            reserved, sent = known.get(kind.value, (0, 0))
            if not self._sound:
                reserved, sent = (max(_whole_number(count), least[kind.value]) for count in (reserved, sent))
            calls.note(self._db, kind, reserved=reserved, sent=sent)
        if Kind.DETAILS.value in known:  # the lines do not say what was spent on them
            calls.add(self._db, Kind.DETAILS)
            reserved, sent = map(_whole_number, known[Kind.DETAILS.value])
            calls.note(self._db, Kind.DETAILS, reserved=max(reserved, sent), sent=sent)

    def _table(self, name: str) -> list[tuple[Any, ...]]:
        return (self._old.table(name) if self._old is not None else None) or []


def _whole_number(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else 0
