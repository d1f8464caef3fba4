"""A store of its own for every test, in a real file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.journal.sql.database import Store
from pipeline.journal.sql.schema import configure
from pipeline.journal.storage import JOURNAL, connect


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(connect(tmp_path / JOURNAL))
    configure(store.do)
    store.create()
    yield store
    store.close()
