"""A store of its own for every test, in a real file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.journal.disk import JOURNAL, connect
from pipeline.journal.schema import configure
from pipeline.journal.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(connect(tmp_path / JOURNAL))
    configure(store.do)
    store.create()
    yield store
    store.close()
