"""A run directory is made whole after a death of any kind: nothing paid is forgotten, nothing half is kept."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.errors import JournalError
from pipeline.journal.evidence import refuse_unexplained
from pipeline.journal.places import JOURNAL, RESULTS
from pipeline.journal.recovery import Recovered, recover
from pipeline.journal.results_file import ResultsFile
from pipeline.journal.sql import changes, items, line_index
from pipeline.journal.sql.admission import admit
from pipeline.journal.sql.changes import requeue_failed
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line, SpoolRef, note_of
from pipeline.journal.storage import connect, open_disk, reading_only
from pipeline.journal.tail_check import CHECK
from pipeline.models import Calls, Problem, State, Task, Work
from pipeline.outcomes import NoHits, SearchOnly, Tasked
from pipeline.reports import Progress, Report, ReusedTask, TaskNote
from pipeline.results.hits import choose
from pipeline.results.record import RecordLines
from pipeline.system.checksum import crc32
from pipeline.system.clock import iso
from tests.support.fakes import (
    NOTHING,
    NOW,
    assert_index_matches,
    assert_settled_once,
    hits,
    item,
    job,
    records,
    rows,
    states,
)
from tests.support.lengths import lengths, only_short

FOUND = hits()
LATER = NOW + 600


class Left(NamedTuple):
    """A run directory as a death left it: items 1..n on their way, and lines written and not committed."""

    folder: Path
    writer: RecordLines

    def line(self, number: int, *, status: State = State.TASKED) -> bytes:
        work = Work(number, item(number), Calls(0, 1, int(status is State.TASKED)))
        choice = choose(FOUND, min_score=0, max_hits=100)
        outcome = {
            State.TASKED: Tasked(FOUND, choice, Task(f"task-{number}", NOW)),
            State.NO_HITS: NoHits(NOTHING),
            State.SEARCH_ONLY: SearchOnly(FOUND),
        }[status]
        return bytes(self.writer.settled(work, outcome)[1])

    def of_another_run(self, number: int, *, with_report: bool) -> bytes:
        """The line of an item whose task another run paid for, and perhaps read."""
        report = Report(Progress.DONE, (), b'{"comparisons":[]}', "asked", NOW) if with_report else None
        note = TaskNote(2, 0, "en")
        task = ReusedTask(f"task-{number}", NOW, "other", "A", note, report)
        work = Work(number, item(number), Calls(), hits=FOUND, reused=task)
        if report is not None:
            return bytes(self.writer.reported(work, task, note, report, None, hits_lost=False)[1])
        choice = choose(FOUND, min_score=0, max_hits=100)
        assert choice is not None
        return bytes(self.writer.settled(work, Tasked(FOUND, choice, task))[1])

    def write(self, *lines: bytes, checked: bool = False) -> None:
        """Write lines as a run that dies before it commits them."""
        size = (self.folder / RESULTS).stat().st_size
        results = ResultsFile(self.folder / RESULTS)
        results.position(Line(0, 0, size, crc32((self.folder / RESULTS).read_bytes())) if size else None)
        if checked:
            results.begin_check(self.folder / CHECK, opened_at=NOW)
        results.append(lines)
        results.close()

    def change(self, was: bytes, now: bytes) -> None:
        """Change what was written."""
        data = (self.folder / RESULTS).read_bytes()
        assert was in data
        (self.folder / RESULTS).write_bytes(data.replace(was, now))

    def open(self) -> Recovered:
        disk = open_disk(self.folder, now=LATER)
        disk.close()
        return disk.recovered


def on_their_way(db: Database, *at: State) -> None:
    """Items 1..n in these states, as the engine brings them there."""
    admit(db, [item(n) for n in range(1, len(at) + 1)], generation=1, accept_changes=False)
    for ord_, state in enumerate(at, start=1):
        paid = (note_of(FOUND), SpoolRef(1, 0, 70))
        if state is State.SEARCHED:
            changes.put_back(db, ord_, calls=Calls(0, 1, 0), hits=paid)
        elif state is State.CREATING:
            changes.intend(db, ord_, request_id=f"asked-{ord_}", at=NOW, calls=Calls(0, 1, 1), hits=paid)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    (tmp_path / RESULTS).touch()
    return Left(tmp_path, RecordLines(job(tmp_path), "0" * 64))


def test_new_directory_needs_no_recovery(left: Left) -> None:
    assert left.open() == Recovered(0, 0, 0)


def test_create_without_an_outcome_is_in_doubt_with_its_request(db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING, State.PENDING, State.SEARCHED)
    assert left.open() == Recovered(0, 0, 1)
    assert states(left.folder) == {"SKU-1": State.IN_DOUBT, "SKU-2": State.PENDING, "SKU-3": State.SEARCHED}
    ((work, state, problem),) = items.open_items(db, after=0, limit=9)
    assert (state, problem.code, problem.request_id, problem.retryable) == (
        State.IN_DOUBT,
        "interrupted",
        "asked-1",
        False,
    )
    assert work.calls == Calls(0, 1, 1)
    assert "2026-11-21T12:00:00.000Z" in problem.message


def test_tasked_line_of_a_create_under_way_is_adopted_with_its_task(db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING, State.CREATING)
    left.write(left.line(1))
    assert left.open() == Recovered(1, 0, 1)
    assert rows(left.folder, "state, task_id, task_at, calls, segment") == [
        (10, "task-1", NOW, '{"upload":0,"search":1,"create":1}', None),
        (21, None, None, '{"upload":0,"search":1,"create":1}', 1),
    ]
    assert_index_matches(left.folder)


@pytest.mark.parametrize("before", [State.PENDING, State.SEARCHED], ids=lambda state: state.name.lower())
@pytest.mark.parametrize(
    "status", [State.NO_HITS, State.SEARCH_ONLY, State.TASKED], ids=lambda state: state.name.lower()
)
def test_line_of_an_item_that_waits_is_adopted(before: State, status: State, db: Database, left: Left) -> None:
    """A tasked line of an item without an intent is one that shares another item's task."""
    on_their_way(db, before)
    left.write(left.line(1, status=status))
    assert left.open() == Recovered(1, 0, 0)
    assert states(left.folder) == {"SKU-1": status}
    assert_index_matches(left.folder)


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "without a check"])
@pytest.mark.parametrize("before", [State.PENDING, State.SEARCHED], ids=lambda state: state.name.lower())
@pytest.mark.parametrize("with_report", [True, False], ids=["reported", "tasked"])
def test_line_with_the_task_of_another_run_is_adopted_and_hides_no_line_behind_it(
    with_report: bool, before: State, checked: bool, db: Database, left: Left
) -> None:
    """The task is known where it was paid; the next line of the group is of a create of our own."""
    on_their_way(db, before, State.CREATING)
    left.write(left.of_another_run(1, with_report=with_report), left.line(2), checked=checked)
    with reading_only(left.folder) as journal:
        refuse_unexplained(journal, left.folder, left.folder / RESULTS)  # as `status` reads it before the next run
    assert left.open() == Recovered(2, 0, 0)
    assert states(left.folder) == {"SKU-1": State.REPORTED if with_report else State.TASKED, "SKU-2": State.TASKED}
    assert rows(left.folder, "task_id, intent") == [("task-1", None), ("task-2", "asked-2")]
    assert_index_matches(left.folder)


def test_lines_are_adopted_in_their_order_after_those_already_known(db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING, State.PENDING, State.CREATING)
    left.write(left.line(3))
    left.open()
    left.write(left.line(2, status=State.NO_HITS))
    assert left.open() == Recovered(1, 0, 0)
    assert [record["item"] for record in records(left.folder)] == ["SKU-3", "SKU-2"]
    assert_index_matches(left.folder)
    assert line_index.last(db).seq == 1


NOT_OURS = {
    "torn": lambda left: left.line(1)[:-9],
    "not JSON": lambda left: b"hello\n",
    "empty line": lambda left: b"\n",
    "no record": lambda left: b'{"schema":1}\n',
    "unknown item": lambda left: left.line(77, status=State.NO_HITS),
    "settled item": lambda left: left.line(2, status=State.NO_HITS),
    "open line": lambda left: left.line(1).replace(b'"status":"tasked"', b'"status":"failed"'),
    "zeros": lambda left: bytes(4096),
    "zeros and a line break": lambda left: bytes(511) + b"\n",
    "no UTF-8": lambda left: left.line(1).replace(b"SKU-1", b"SKU\xff1"),
}


@pytest.mark.parametrize("kind", NOT_OURS)
def test_what_is_no_line_of_a_waiting_item_is_cut_with_all_that_follows(kind: str, db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING, State.PENDING)
    left.write(left.line(2, status=State.NO_HITS))
    left.open()
    before = (left.folder / RESULTS).read_bytes()
    bad = NOT_OURS[kind](left)
    left.write(bad, left.line(1))
    recovered = left.open()
    assert (recovered.adopted, recovered.cut_bytes) == (0, len(bad) + len(left.line(1)))
    assert (left.folder / RESULTS).read_bytes() == before
    assert states(left.folder) == {"SKU-1": State.IN_DOUBT, "SKU-2": State.NO_HITS}


def test_a_task_that_the_journal_cannot_explain_is_never_cut(db: Database, left: Left) -> None:
    """The journal is an older one, or lacks its write-ahead log: it does not even know the item."""
    on_their_way(db, State.PENDING)
    left.write(left.line(1, status=State.NO_HITS), left.line(77))
    before = (left.folder / RESULTS).read_bytes()
    for _ in range(2):
        with pytest.raises(JournalError, match="the journal does not know the task task-77 of SKU-77"):
            left.open()
        assert (left.folder / RESULTS).read_bytes() == before
    assert states(left.folder) == {"SKU-1": State.PENDING}


# --- lines that were written and not committed, and changed since ---


@pytest.mark.parametrize("checked", [True, False], ids=["checked", "without a check"])
def test_line_is_not_taken_for_another_waiting_items(checked: bool, db: Database, left: Left) -> None:
    """One bit makes SKU-3 of SKU-1, which waits too: the task would be recorded for a picture it was not made for."""
    on_their_way(db, *[State.CREATING] * 3)
    left.write(left.line(1), checked=checked)
    left.change(b'"SKU-1"', b'"SKU-3"')
    assert left.open() == Recovered(0, len(left.line(1)), 3)
    assert records(left.folder) == []


@pytest.mark.parametrize(("was", "now"), [(b"task-1", b"task-3"), (b'"create":1', b'"create":0')])
def test_changed_line_is_not_believed_nor_what_follows_it(was: bytes, now: bytes, db: Database, left: Left) -> None:
    on_their_way(db, *[State.CREATING] * 3)
    left.write(left.line(2), left.line(1), left.line(3), checked=True)
    left.change(left.line(1), left.line(1).replace(was, now))
    assert left.open() == Recovered(1, len(left.line(1) + left.line(3)), 2)
    assert [record["item"] for record in records(left.folder)] == ["SKU-2"]
    assert_index_matches(left.folder)


def test_check_of_the_lines_before_says_nothing_of_the_tail(db: Database, left: Left) -> None:
    """A power loss can take the last group's check and keep the one before it."""
    on_their_way(db, State.CREATING, State.CREATING)
    left.write(left.line(1), checked=True)
    check = (left.folder / CHECK).read_bytes()
    left.open()
    (left.folder / CHECK).write_bytes(check)
    left.write(left.line(2))
    assert left.open() == Recovered(1, 0, 0)


def test_check_that_is_older_than_the_last_run_says_nothing_of_the_tail(db: Database, left: Left) -> None:
    """An earlier version of this program writes none: its lines may lie where those of the check were cut."""
    on_their_way(db, State.CREATING, State.CREATING)
    left.write(left.line(1), checked=True)
    (left.folder / RESULTS).write_bytes(b"")
    left.write(left.line(2))
    db.set_meta("started_at", iso(NOW + 1))
    assert left.open() == Recovered(1, 0, 1)


def test_directory_that_was_closed_well_has_no_check(db: Database, left: Left) -> None:
    left.open()
    assert not (left.folder / CHECK).exists()


def test_second_line_of_the_same_item_is_cut(db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING)
    left.write(left.line(1), left.line(1))
    assert left.open() == Recovered(1, len(left.line(1)), 0)
    assert_settled_once(left.folder)
    assert_index_matches(left.folder)


def test_recovery_of_what_is_whole_changes_nothing(db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING, State.CREATING, State.PENDING)
    left.write(left.line(1), left.line(2)[:50])
    left.open()
    rows_before, bytes_before = rows(left.folder, "*"), (left.folder / RESULTS).read_bytes()
    assert left.open() == Recovered(0, 0, 0)
    assert (rows(left.folder, "*"), (left.folder / RESULTS).read_bytes()) == (rows_before, bytes_before)


class Dies:
    """A connection whose process dies at the n-th statement: nothing after it reaches the disk."""

    def __init__(self, path: Path, at: int) -> None:
        self.inner = connect(path)
        self.left = at

    def execute(self, sql, parameters=(), /):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt("the process died")
        return self.inner.execute(sql, parameters)

    def close(self) -> None:
        self.inner.close()


def test_death_at_any_statement_of_the_recovery_loses_nothing(db: Database, left: Left) -> None:
    """Also between the cut and the commit, and after an adoption that was never committed."""
    on_their_way(db, State.CREATING, State.CREATING, State.PENDING)
    left.write(left.line(1), left.line(3, status=State.NO_HITS), left.line(2)[:-1])
    deaths = 0
    for at in range(1, 200):
        dying = Dies(left.folder / JOURNAL, at)
        results = ResultsFile(left.folder / RESULTS)
        try:
            recover(Database(dying), results, now=LATER)
            break
        except KeyboardInterrupt:
            deaths += 1
        finally:
            dying.close()
            results.close()
    assert deaths >= 9  # BEGIN, COMMIT and all between
    assert left.open() == Recovered(0, 0, 0)
    assert states(left.folder) == {"SKU-1": State.TASKED, "SKU-2": State.IN_DOUBT, "SKU-3": State.NO_HITS}
    assert_index_matches(left.folder)
    assert_settled_once(left.folder)


@pytest.mark.parametrize("harm", ["shortened", "changed"])
def test_results_changed_by_others_stop_the_start_and_are_left_as_they_are(harm: str, db: Database, left: Left) -> None:
    on_their_way(db, State.CREATING, State.CREATING)
    left.write(left.line(1))
    left.open()
    data = (left.folder / RESULTS).read_bytes()
    harmed = data[:-5] if harm == "shortened" else data.replace(b"task-1", b"task-9")
    (left.folder / RESULTS).write_bytes(harmed)
    with pytest.raises(JournalError, match=harm):
        open_disk(left.folder, now=LATER)
    assert (left.folder / RESULTS).read_bytes() == harmed


# --- torn tails: what a power loss may leave of the last group ---


class Torn(NamedTuple):
    """A directory with two lines known and three written and not committed; where the three end in the file."""

    left: Left
    template: sqlite3.Connection
    known: bytes
    tail: bytes
    ends: list[int]

    def recover(self, tail: bytes) -> tuple[int, bytes, list[State]]:
        """Lines adopted, the file, and the three items' states, for a tail like this."""
        path = self.left.folder / RESULTS
        path.write_bytes(self.known + tail)
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.template.backup(connection)
        results = ResultsFile(path)
        recovered = recover(Database(connection), results, now=LATER)
        results.close()
        found = connection.execute("SELECT state, crc FROM items WHERE ord > 2 ORDER BY ord").fetchall()
        connection.close()
        return recovered.adopted, path.read_bytes(), [State(state) for state, _ in found]

    def assert_adopted(self, tail: bytes, whole: int) -> None:
        """Exactly the first `whole` lines are adopted, the rest is cut, and its items are in doubt."""
        adopted, data, after = self.recover(tail)
        assert adopted == whole
        assert data == self.known + self.tail[: ([0, *self.ends])[whole]]
        assert after == [State.TASKED] * whole + [State.IN_DOUBT] * (3 - whole)


@pytest.fixture
def torn(db: Database, left: Left, tmp_path: Path) -> Iterator[Torn]:
    on_their_way(db, *[State.CREATING] * 5)
    left.write(left.line(1), left.line(2))
    with open_store_ready(left) as template:
        lines = [left.line(number) for number in (3, 4, 5)]
        ends = [len(b"".join(lines[:count])) for count in (1, 2, 3)]
        yield Torn(left, template, (left.folder / RESULTS).read_bytes(), b"".join(lines), ends)


class open_store_ready:  # noqa: N801 - reads as a function
    """The journal with lines 1 and 2 known and creates 3 to 5 still under way, in memory to be copied quickly."""

    def __init__(self, left: Left) -> None:
        self.left = left

    def __enter__(self) -> sqlite3.Connection:
        self.memory = sqlite3.connect(":memory:", isolation_level=None)
        disk = connect(self.left.folder / JOURNAL)
        disk.backup(self.memory)
        disk.close()
        results = ResultsFile(self.left.folder / RESULTS)
        db = Database(self.memory)
        results.position(None)
        for ord_, line in enumerate(list(results.tail()), start=1):
            place = results.adopt(line)
            changes.settle(db, ord_, State.TASKED, line=place, calls=Calls(0, 1, 1), task=Task(f"task-{ord_}", NOW))
        results.close()
        return self.memory

    def __exit__(self, *_: object) -> None:
        self.memory.close()


@pytest.mark.parametrize("every", lengths(short=101, long=5, thorough=1))
def test_of_a_tail_torn_at_any_byte_the_whole_lines_are_adopted(torn: Torn, every: int) -> None:
    for size in sorted({*range(0, len(torn.tail) + 1, every), *(end - less for end in torn.ends for less in (0, 1))}):
        torn.assert_adopted(torn.tail[:size], sum(end <= size for end in torn.ends))


@pytest.mark.parametrize("every", lengths(short=201, long=11, thorough=3))
def test_of_a_tail_that_turns_to_zeros_at_any_byte_the_whole_lines_are_adopted(torn: Torn, every: int) -> None:
    """The file has its full length, but the last pages never reached the disk."""
    for size in range(0, len(torn.tail), every):
        zeros = torn.tail[:size] + bytes(len(torn.tail) - size)
        torn.assert_adopted(zeros, sum(end <= size for end in torn.ends))


@pytest.mark.parametrize("hole", only_short([1, 7, 64, 512], 64, 512))
def test_of_a_tail_with_a_hole_anywhere_only_the_lines_before_it_are_adopted(hole: int, torn: Torn) -> None:
    """Pages may reach the disk in any order."""
    for start in range(0, len(torn.tail) - hole, max(hole // 2, 11)):
        holed = torn.tail[:start] + bytes(hole) + torn.tail[start + hole :]
        torn.assert_adopted(holed, sum(end <= start for end in torn.ends))


# --- what waits again ---

REASONS = {
    "failed in passing": (State.FAILED, Problem("search", "67200100", "busy", "retry", True), State.PENDING),
    "unreadable file": (State.FAILED, Problem("read", "picture", "no JPG", "fail", True), State.PENDING),
    "refused for good": (State.FAILED, Problem("search", "68300010", "no", "fail", False), State.FAILED),
    "in doubt": (State.IN_DOUBT, Problem("create", "no_answer", "lost", "in_doubt", False), State.IN_DOUBT),
    "expired": (State.EXPIRED, Problem("create", "expired", "old", "retry", True), State.PENDING),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_may_pass_waits_again_and_nothing_else(reason: str, db: Database, left: Left) -> None:
    state, problem, after = REASONS[reason]
    on_their_way(db, State.CREATING if state is State.IN_DOUBT else State.PENDING)
    changes.leave_open(db, 1, state, problem, calls=Calls())
    assert requeue_failed(db) == (after is State.PENDING)
    assert states(left.folder) == {"SKU-1": after}
