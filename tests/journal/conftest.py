"""A journal of its own for every test, in a real file; and one whose writing fails."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.places import JOURNAL
from pipeline.journal.sql.database import Database
from tests.support.journal_rows import new_database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with new_database(tmp_path / JOURNAL) as db:
        yield db


@pytest.fixture
async def broken() -> AsyncIterator[AsyncExitStack]:
    """Closes journals whose writing has failed, which each of them says once more."""
    stack = AsyncExitStack()
    yield stack
    with suppress(JournalError):
        await stack.aclose()
