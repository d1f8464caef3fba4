"""One run of the engine over a fake vendor and a real journal, checked at its end."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anyio

from pipeline.engine.engine import Engine
from pipeline.errors import (
    CallError,
    ItemRefused,
)
from pipeline.journal.drawing import SharedCaps
from pipeline.journal.sql.items import counts, open_items
from pipeline.journal.storage import reading_only
from pipeline.models import Item, Kind, Problem
from pipeline.sources.pictures import Picture
from tests.support.fakes import (
    FakeVendor,
    assert_index_matches,
    assert_settled_once,
    engine_of,
    item,
    job,
    look,
    open_journal,
    url,
)

SEARCH = Kind.SEARCH


async def run_engine(
    folder: Path,
    vendor: FakeVendor,
    items: Iterable[Item],
    *,
    limit: int | None = None,
    pictures: dict[str, Picture] | None = None,
    budgets: dict[Kind, int] | None = None,
    generation: int = 1,
    during: Callable[[Engine], Any] | None = None,
    shared: SharedCaps | None = None,
    **parts: Any,
) -> Engine:
    """Run a job with these items, or go on where the folder knows some; the engine's counts must add up."""
    async with open_journal(folder, budgets=budgets, shared=shared) as journal:
        await journal.requeue_failed()
        engine = await engine_of(job(folder, **parts), journal, vendor, items, pictures=pictures, generation=generation)
        async with anyio.create_task_group() as around:
            if during is not None:
                around.start_soon(during, engine)
            await engine.run(limit=limit)
            around.cancel_scope.cancel()
        counted = await look(journal, lambda disk: counts(disk.db))
        assert {state: count for state, count in engine.items().items() if count} == counted
        assert engine.in_flight == 0
        await journal.finish()
    assert_index_matches(folder)
    assert_settled_once(folder)
    return engine


def problems(folder: Path) -> dict[str, Problem]:
    """Read why the open items are open."""
    with reading_only(folder) as db:
        return {work.item.id: problem for work, _, problem in open_items(db, after=0, limit=999)}


def many(count: int, *, start: int = 1) -> list[Item]:
    """Make so many items, numbered from `start`."""
    return [item(n) for n in range(start, start + count)]


def all_refused(code: str, numbers: Iterable[int]) -> dict[tuple[Kind, str], list[CallError]]:
    """Script a refusal of the search of each of these pictures."""
    return {(SEARCH, url(n)): [ItemRefused("the vendor calls a parameter invalid", code=code)] for n in numbers}


def error(kind: type[CallError], *, sent: bool = True) -> CallError:
    """Make an error of this class that says nothing else."""
    return kind("it did not work", code="code", sent=sent)
