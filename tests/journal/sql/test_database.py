"""Which changes of state are possible, and what one row remembers."""

import sqlite3
from itertools import product
from pathlib import Path

import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.journal.results_file import Line
from pipeline.journal.sql.admission import admit
from pipeline.journal.sql.database import Store
from pipeline.journal.sql.forecast import left
from pipeline.journal.sql.rows import SpoolRef, note_of
from pipeline.journal.sql.schema import LEGAL
from pipeline.journal.storage import JOURNAL, RESULTS, connect, open_disk, open_store_read_only
from pipeline.models import Calls, Kind, Problem, State, Task, Upload
from tests.support.fakes import NOW, hits, item

P, S, C = State.PENDING, State.SEARCHED, State.CREATING
TASKED, NO_HITS, SEARCH_ONLY = State.TASKED, State.NO_HITS, State.SEARCH_ONLY
FAILED, IN_DOUBT, EXPIRED = State.FAILED, State.IN_DOUBT, State.EXPIRED

# reliability.md 2.1, written down a second time: from a state, the states an item may go to.
PROMISED = {
    P: {P, S, C, TASKED, NO_HITS, SEARCH_ONLY, FAILED, EXPIRED},  # P: uploaded; C: hits and intent in one step
    S: {S, P, C, TASKED, NO_HITS, SEARCH_ONLY, FAILED, EXPIRED},  # P: hits too old; TASKED: a line adopted
    C: {C, S, TASKED, IN_DOUBT, FAILED},  # S: provably not executed; never back to the start
    TASKED: set(),
    NO_HITS: set(),
    SEARCH_ONLY: set(),
    FAILED: {FAILED, P, S},  # FAILED: read anew and still bad
    IN_DOUBT: {
        P,
        S,
        TASKED,
        IN_DOUBT,
    },  # by decision alone; IN_DOUBT: another reason
    EXPIRED: {P, S},
}
PAIRS = list(product(State, State))
REFUSED = Problem("search", "68300004", "no", "fail", False)
PASSING = Problem("search", "67200100", "busy", "retry", True)
PAID = (note_of(hits()), SpoolRef(1, 0, 70))


def put(store: Store, number: int, state: State = P, **columns: object) -> int:
    """An item in a state from the start, which no rule binds; returns its `ord`."""
    it = item(number)
    values = {"id": it.id, "source": it.source, "local": 0, "origin": it.origin, "labels": "{}", "source_key": number}
    values |= {"generation": 1, "state": int(state)} | columns
    marks = ", ".join("?" * len(values))
    sql = f"INSERT INTO items ({', '.join(values)}) VALUES ({marks}) RETURNING ord"
    return int(store.do(sql, tuple(values.values())).fetchone()[0])


def named(pair: tuple[State, State]) -> str:
    return f"{pair[0].name}-to-{pair[1].name}".lower()


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_code_and_reliability_page_agree_on_every_change(pair: tuple[State, State]) -> None:
    assert (pair in LEGAL) == (pair[1] in PROMISED[pair[0]])


@pytest.fixture
def one_of_each(store: Store, tmp_path: Path) -> Path:
    """A journal file with an item in each state."""
    for state in State:
        put(store, int(state), state)
    return tmp_path / JOURNAL


@pytest.mark.parametrize("pair", PAIRS, ids=named)
def test_sqlite_itself_refuses_every_change_that_is_not_promised(pair: tuple[State, State], one_of_each: Path) -> None:
    """Asked by another program on the same file: the rule is in the file, not in our code."""
    old, new = pair
    other = sqlite3.connect(one_of_each, isolation_level=None)
    change = "UPDATE items SET state = ? WHERE id = ?", (int(new), f"SKU-{int(old)}")
    try:
        if new in PROMISED[old]:
            other.execute(*change)
        else:
            with pytest.raises(sqlite3.IntegrityError, match="illegal change of state"):
                other.execute(*change)
        after = other.execute("SELECT state FROM items WHERE id = ?", (f"SKU-{int(old)}",)).fetchone()[0]
    finally:
        other.close()
    assert after == int(new if new in PROMISED[old] else old)


CHANGES = {
    "uploaded": lambda store, ord_: store.uploaded(ord_, Upload("https://up.example/1", NOW), "ab"),
    "intend": lambda store, ord_: store.intend(ord_, request_id="r", at=NOW, calls=Calls(), hits=None),
    "put_back": lambda store, ord_: store.put_back(ord_, calls=Calls(), hits=None),
    "settle": lambda store, ord_: store.settle(ord_, TASKED, line=Line(0, 0, 1, 1), calls=Calls(), task=None),
    "fail": lambda store, ord_: store.leave_open(ord_, FAILED, REFUSED, calls=Calls()),
    "doubt": lambda store, ord_: store.leave_open(ord_, IN_DOUBT, REFUSED, calls=Calls()),
    "requeue": lambda store, ord_: store.requeue(ord_),
    "forget_hits": lambda store, ord_: store.forget_hits(ord_),
}
FROM = {
    "uploaded": {P, IN_DOUBT},
    "intend": {P, S, C},
    "put_back": {P, S, C},
    "settle": {P, S, C, IN_DOUBT},
    "fail": {P, S, C, FAILED},
    "doubt": {C, IN_DOUBT},
    "requeue": {FAILED, EXPIRED},
    "forget_hits": {P, S, FAILED, EXPIRED, IN_DOUBT},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("state", State, ids=lambda state: state.name.lower())
def test_change_happens_only_where_it_may_and_otherwise_leaves_the_row_alone(
    change: str, state: State, store: Store
) -> None:
    ord_ = put(store, 1, state)
    before = store.do("SELECT * FROM items").fetchall()
    if state in FROM[change]:
        CHANGES[change](store, ord_)
        return
    with pytest.raises((JournalError, sqlite3.IntegrityError)):
        CHANGES[change](store, ord_)
    assert store.do("SELECT * FROM items").fetchall() == before


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_an_item_that_is_not_there_is_refused(change: str, store: Store) -> None:
    with pytest.raises(JournalError, match="refused"):
        CHANGES[change](store, 77)


def test_journal_of_another_version_is_refused(store: Store, tmp_path: Path) -> None:
    store.set_meta("version", "2")
    with pytest.raises(JournalError, match="version 2, and this program reads 1: use a newer pipeline"):
        open_disk(tmp_path, now=NOW)


def test_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"this was never SQLite" * 100)
    with pytest.raises(JournalError, match="cannot be read"):
        open_disk(tmp_path, now=NOW)


def test_other_database_is_refused(tmp_path: Path) -> None:
    other = connect(tmp_path / JOURNAL)
    other.execute("CREATE TABLE holidays (day TEXT)")
    other.close()
    with pytest.raises(JournalError, match="cannot be read"):
        open_disk(tmp_path, now=NOW)


def test_results_that_cannot_be_opened_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / RESULTS).mkdir()
    with pytest.raises(JournalError, match="cannot be written: Is a directory; check the disk and the permissions"):
        open_disk(tmp_path, now=NOW)


def test_creating_a_journal_that_exists_changes_nothing(store: Store) -> None:
    put(store, 1, S)
    store.create()
    assert store.counts() == {S: 1}


def test_commits_survive_a_power_loss_by_configuration(store: Store) -> None:
    """FULL (2): NORMAL lost acknowledged items in 202 of 400 simulated power losses."""
    assert store.do("PRAGMA synchronous").fetchone() == (2,)
    assert store.do("PRAGMA journal_mode").fetchone() == ("wal",)


def test_one_row_holds_the_whole_checkpoint(store: Store) -> None:
    """State, task id, calls and the line's place change in one UPDATE of one row: no crash comes between them."""
    ord_ = put(store, 1, C, segment=1, spooled_at=0, spooled=70)
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    store.settle(ord_, TASKED, line=Line(4, 100, 20, 99), calls=Calls(0, 1, 1), task=Task("t-1", NOW))
    store._connection.set_trace_callback(None)
    assert len({sql for sql in statements if sql.startswith(("UPDATE", "INSERT", "DELETE"))}) == 1
    assert store.do(
        "SELECT state, task_id, task_at, seq, offset, length, crc, calls, segment, spooled_at, spooled FROM items"
    ).fetchall() == [(10, "t-1", NOW, 4, 100, 20, 99, '{"upload":0,"search":1,"create":1}', None, None, None)]
    assert store.standing(ord_) == ("SKU-1", TASKED, Line(4, 100, 20, 99), None)


def test_two_items_never_share_a_line(store: Store) -> None:
    first, second = put(store, 1), put(store, 2)
    store.settle(first, NO_HITS, line=Line(0, 0, 5, 1), calls=Calls(), task=None)
    with pytest.raises(sqlite3.IntegrityError):
        store.settle(second, NO_HITS, line=Line(0, 5, 5, 1), calls=Calls(), task=None)


def test_intents_are_numbered_and_keep_their_request(store: Store) -> None:
    ord_ = put(store, 1)
    store.intend(ord_, request_id="first", at=NOW, calls=Calls(0, 1, 1), hits=PAID)
    store.put_back(ord_, calls=Calls(0, 1, 0), hits=None)
    store.intend(ord_, request_id="second", at=NOW + 1, calls=Calls(0, 1, 1), hits=None)
    assert store.do("SELECT state, attempt, intent, intent_at, segment FROM items").fetchall() == [
        (2, 2, "second", NOW + 1, 1)
    ]


def test_items_come_back_as_they_were_entered(store: Store) -> None:
    first = item(1, labels={"client": "Ünal & Söhne"}, source="a/b.jpg", local=True)
    admit(store, [first], generation=1, accept_changes=False)
    store.uploaded(1, Upload("https://up.example/1", NOW), "ab")
    (waiting,) = store.waiting(P, after=0, limit=10, generation=1)
    assert (waiting.work.item, waiting.note, waiting.spool) == (first, None, None)
    assert (waiting.work.upload, waiting.work.sha256) == (Upload("https://up.example/1", NOW), "ab")


def test_paid_hits_come_back_with_their_place_in_the_spool(store: Store) -> None:
    ord_ = put(store, 1)
    store.put_back(ord_, calls=Calls(0, 1, 0), hits=PAID)
    (waiting,) = store.waiting(S, after=0, limit=10, generation=1)
    assert (waiting.note, waiting.spool, waiting.work.calls) == (*PAID, Calls(0, 1, 0))


def test_waiting_items_come_in_the_jobs_order_and_in_batches(store: Store) -> None:
    for number in (5, 3, 9, 1):
        put(store, number)
    put(store, 7, FAILED)
    first = store.waiting(P, after=0, limit=3, generation=1)
    rest = store.waiting(P, after=first[-1].work.ord, limit=3, generation=1)
    assert [w.work.item.id for w in first] == ["SKU-5", "SKU-3", "SKU-9"]
    assert [w.work.item.id for w in rest] == ["SKU-1"]


def test_items_no_longer_listed_do_not_wait(store: Store) -> None:
    put(store, 1)
    assert store.waiting(P, after=0, limit=10, generation=2) == []


def test_twins_wait_apart_and_name_the_item_they_share_with(store: Store) -> None:
    admit(store, [item(1), item(2), item(3, source=item(1).source)], generation=1, accept_changes=False)
    assert [w.work.item.id for w in store.waiting(P, after=0, limit=10, generation=1)] == ["SKU-1", "SKU-2"]
    assert [(work.item.id, first) for work, first in store.twins(after=0, limit=10, generation=1)] == [("SKU-3", 1)]
    assert store.twins(after=3, limit=10, generation=1) == []


def test_counts_are_per_state_and_per_generation(store: Store) -> None:
    for number, state in enumerate((P, P, S, TASKED, FAILED), start=1):
        put(store, number, state)
    store.do("UPDATE items SET generation = 2 WHERE ord > 1")
    assert store.counts() == {P: 2, S: 1, TASKED: 1, FAILED: 1}
    assert store.counts(generation=2) == {P: 1, S: 1, TASKED: 1, FAILED: 1}


FRESH, OLD = f'{{"at": {NOW - 60}}}', f'{{"at": {NOW - 9 * 3600}}}'


@pytest.mark.parametrize(
    ("state", "columns", "expected"),
    [
        pytest.param(P, {}, (1, 0, 0), id="pending"),
        pytest.param(P, {"local": 1}, (1, 0, 1), id="local-to-upload"),
        pytest.param(P, {"local": 1, "url": "u", "url_expires": NOW + 3600}, (1, 0, 0), id="local-uploaded"),
        pytest.param(P, {"local": 1, "url": "u", "url_expires": NOW + 60}, (1, 0, 1), id="upload-too-old"),
        pytest.param(S, {"segment": 1, "search": FRESH}, (0, 1, 0), id="searched"),
        pytest.param(S, {"segment": 1, "search": OLD}, (1, 0, 0), id="hits-too-old"),
        pytest.param(S, {"segment": 1, "search": FRESH, "local": 1}, (0, 1, 1), id="searched-and-upload-too-old"),
        pytest.param(EXPIRED, {}, (1, 0, 0), id="expired"),
        pytest.param(FAILED, {"problem": PASSING}, (1, 0, 0), id="failed-in-passing"),
        pytest.param(FAILED, {"problem": PASSING, "segment": 1, "search": FRESH}, (0, 1, 0), id="failed-with-hits"),
        pytest.param(FAILED, {"problem": REFUSED}, (0, 0, 0), id="refused-for-good"),
        pytest.param(IN_DOUBT, {"problem": REFUSED}, (0, 0, 0), id="in-doubt"),
        pytest.param(TASKED, {}, (0, 0, 0), id="settled"),
        pytest.param(P, {"same_as": 9}, (0, 0, 0), id="twin"),
    ],
)
def test_left_is_what_a_next_run_pays_for(
    state: State, columns: dict[str, object], expected: tuple[int, int, int], store: Store
) -> None:
    packed = {k: msgspec.json.encode(v).decode() if isinstance(v, Problem) else v for k, v in columns.items()}
    put(store, 1, state, **packed)
    assert tuple(left(store, now=NOW).values()) == expected
    assert list(left(store, now=NOW)) == ["pending", "searched", "to_upload"]


def test_nothing_is_left_of_an_empty_journal(store: Store) -> None:
    assert left(store, now=NOW) == {"pending": 0, "searched": 0, "to_upload": 0}


def test_requeued_items_wait_where_their_paid_hits_allow(store: Store) -> None:
    with_hits, without = put(store, 1), put(store, 2)
    store.leave_open(with_hits, FAILED, PASSING, calls=Calls(), hits=PAID)
    store.leave_open(without, FAILED, PASSING, calls=Calls())
    store.requeue(with_hits)
    store.requeue(without)
    assert store.do("SELECT state, problem FROM items").fetchall() == [(1, None), (0, None)]


def test_open_items_come_in_order_with_what_is_known_of_their_search(store: Store) -> None:
    first = put(store, 1)
    put(store, 2, TASKED)
    second = put(store, 3)
    store.leave_open(first, FAILED, PASSING, calls=Calls(0, 1, 0), hits=PAID)
    store.leave_open(second, FAILED, REFUSED, calls=Calls())
    found = store.open_items(after=0, limit=10)
    assert [(work.item.id, state, problem) for work, state, problem in found] == [
        ("SKU-1", FAILED, PASSING),
        ("SKU-3", FAILED, REFUSED),
    ]
    assert (found[0][0].hits.scores, found[0][0].hits.array, found[1][0].hits) == ((0.9, 0.5), b"[]", None)
    assert [work.item.id for work, _, _ in store.open_items(after=first, limit=10)] == ["SKU-3"]


def test_calls_start_at_none_and_keep_what_is_noted(store: Store) -> None:
    store.note_calls(Kind.SEARCH, reserved=64, sent=3)
    assert store.calls() == {Kind.UPLOAD: (0, 0), Kind.SEARCH: (64, 3), Kind.CREATE: (0, 0)}


def test_looking_needs_a_journal_and_never_writes(store: Store, tmp_path: Path) -> None:
    put(store, 1)
    seen = open_store_read_only(tmp_path)
    assert seen.counts() == {P: 1}
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        seen.set_meta("version", "9")
    seen.close()
    with pytest.raises(JournalError, match="no run here"):
        open_store_read_only(tmp_path / "elsewhere")


def test_looking_at_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"this was never SQLite" * 100)
    with pytest.raises(JournalError, match="cannot be read"):
        open_store_read_only(tmp_path)
