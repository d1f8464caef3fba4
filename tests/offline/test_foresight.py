"""What a plan foresees of the next run: its calls within the budgets, item by item as they stand in the journal."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.journal.sql import changes
from pipeline.journal.sql.database import Database
from pipeline.models import PAID, Problem, State
from pipeline.offline.foresight import Foreseen, Seen, foresee
from tests.support.fakes import NOW, job
from tests.support.journal_rows import PASSING, REFUSED, new_database, put

P, S, TASKED = State.PENDING, State.SEARCHED, State.TASKED
FAILED, IN_DOUBT, EXPIRED = State.FAILED, State.IN_DOUBT, State.EXPIRED
FRESH, OLD = f'{{"at": {NOW - 60}}}', f'{{"at": {NOW - 9 * 3600}}}'
LOST = Problem("create", "no_answer", "lost", "in_doubt", False)


def foreseen(db: Database, *, unusable: tuple[int, ...] = (), limit: int | None = None, **api: Any) -> Foreseen:
    changes.requeue_failed(db)
    spec = job(Path("/tmp"), api=api)
    return foresee(db, spec, Seen(unusable), generation=1, now=NOW, limit=limit)


def calls(found: Foreseen) -> tuple[int, ...]:
    return tuple(found.calls[kind] for kind in PAID)


@pytest.mark.parametrize(
    ("state", "columns", "expected"),
    [
        pytest.param(P, {}, (0, 1, 1), id="pending"),
        pytest.param(P, {"local": 1}, (1, 1, 1), id="local-to-upload"),
        pytest.param(P, {"local": 1, "url": "u", "url_expires": NOW + 3600}, (0, 1, 1), id="local-uploaded"),
        pytest.param(P, {"local": 1, "url": "u", "url_expires": NOW + 60}, (1, 1, 1), id="upload-too-old"),
        pytest.param(S, {"segment": 1, "search": FRESH}, (0, 0, 1), id="searched"),
        pytest.param(S, {"segment": 1, "search": OLD}, (0, 1, 1), id="hits-too-old"),
        pytest.param(S, {"segment": 1, "search": FRESH, "local": 1}, (1, 0, 1), id="searched-and-upload-too-old"),
        pytest.param(EXPIRED, {}, (0, 1, 1), id="expired"),
        pytest.param(FAILED, {"problem": PASSING}, (0, 1, 1), id="failed-in-passing"),
        pytest.param(FAILED, {"problem": PASSING, "segment": 1, "search": FRESH}, (0, 0, 1), id="failed-with-hits"),
        pytest.param(FAILED, {"problem": REFUSED}, (0, 0, 0), id="refused-for-good"),
        pytest.param(IN_DOUBT, {"problem": LOST}, (0, 0, 0), id="in-doubt"),
        pytest.param(TASKED, {}, (0, 0, 0), id="settled"),
        pytest.param(P, {"same_as": 9}, (0, 0, 0), id="twin"),
    ],
)
def test_each_item_costs_what_a_next_run_pays_for_it(
    state: State, columns: dict[str, object], expected: tuple[int, int, int], tmp_path: Path
) -> None:
    packed = {k: msgspec.json.encode(v).decode() if isinstance(v, Problem) else v for k, v in columns.items()}
    with new_database(tmp_path / "db") as db:
        put(db, 1, state, **packed)
        assert calls(foreseen(db)) == expected


def test_budgets_let_as_many_items_in_as_can_be_taken_all_the_way(tmp_path: Path) -> None:
    with new_database(tmp_path / "db") as db:
        for number in range(1, 7):
            put(db, number, local=1)
        found = foreseen(db, budget={"search_calls": 9, "create_calls": 4})
    assert (calls(found), found.left_out) == ((4, 4, 4), 2)
    assert found.budget.startswith("the budget is used up: api.budget.create_calls is 4; raise it")


def test_a_picture_that_cannot_be_read_costs_nothing_and_a_limit_ends_the_count(tmp_path: Path) -> None:
    with new_database(tmp_path / "db") as db:
        bad, *_ = [put(db, number, local=1) for number in range(1, 5)]
        assert calls(foreseen(db, unusable=(bad,))) == (3, 3, 3)
        assert calls(foreseen(db, unusable=(bad,), limit=2)) == (1, 1, 1)


@pytest.mark.parametrize(("most", "creates"), [(0, 0), (1, 1), (5, 2)])
def test_items_in_doubt_that_the_job_lets_a_run_create_once_more_are_counted(
    tmp_path: Path, most: int, creates: int
) -> None:
    with new_database(tmp_path / "db") as db:
        lost = msgspec.json.encode(LOST).decode()
        put(db, 1, IN_DOUBT, problem=lost, segment=1, spooled_at=0, spooled=9, search=_note(NOW - 60))
        put(db, 2, IN_DOUBT, problem=lost)
        found = foreseen(db, on_in_doubt={"retry": 1, "max_duplicates": most} if most else "hold")
    assert calls(found) == (0, max(0, creates - 1), creates), "the second one's hits are gone: it is searched again"


def _note(at: float) -> str:
    return msgspec.json.encode({"scores": [], "complete": [], "total": 0, "request_id": "r", "at": at}).decode()
