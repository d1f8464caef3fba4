"""Readings for people before the next run."""

import msgspec
import pytest

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import left
from pipeline.models import Problem, State
from tests.support.fakes import NOW
from tests.support.journal_rows import PASSING, REFUSED, put

P, S, TASKED = State.PENDING, State.SEARCHED, State.TASKED
FAILED, IN_DOUBT, EXPIRED = State.FAILED, State.IN_DOUBT, State.EXPIRED

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
    state: State, columns: dict[str, object], expected: tuple[int, int, int], db: Database
) -> None:
    packed = {k: msgspec.json.encode(v).decode() if isinstance(v, Problem) else v for k, v in columns.items()}
    put(db, 1, state, **packed)
    assert tuple(left(db, now=NOW).values()) == expected
    assert list(left(db, now=NOW)) == ["pending", "searched", "to_upload"]


def test_nothing_is_left_of_an_empty_journal(db: Database) -> None:
    assert left(db, now=NOW) == {"pending": 0, "searched": 0, "to_upload": 0}
