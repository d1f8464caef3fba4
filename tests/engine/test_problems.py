"""The second create of an item in doubt: only a task ends the doubt."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InDoubt, ItemRefused, RunPaused, TryAgain
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import connect
from pipeline.models import HITS_LIFE_S, Kind, State
from tests.support import fakes
from tests.support.fakes import FakeVendor, Lost, engine_of, item, look, open_journal, states, url

CREATE = Kind.CREATE


async def _run(
    folder: Path, fake: FakeVendor, *, duplicates: int = 10, images: int = 2, limit: int | None = None, **api: Any
) -> None:
    """Run a job's items, or go on where an earlier run ended; the engine's counts must be the journal's."""
    spec = fakes.job(folder, images=images, api={"max_in_flight": 1, **api})
    async with open_journal(folder / "run", duplicates=duplicates) as journal:
        engine = await engine_of(spec, journal, fake, [item(n) for n in range(1, images + 1)])
        await engine.run(limit=limit)
        counted = await look(journal, lambda disk: counts(disk.db))
        assert {state: count for state, count in engine.items().items() if count} == counted


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("then", "said"),
    [
        pytest.param(ItemRefused("refused", code="68300004"), "refused", id="refused for good"),
        pytest.param(TryAgain("not reached", code="not_sent", sent=False), "not reached", id="not sent"),
        pytest.param(InDoubt("no answer again", code="no_answer"), "no answer again", id="in doubt again"),
    ],
)
async def test_a_second_create_that_comes_to_nothing_leaves_the_first_in_doubt_and_held(
    tmp_path: Path, then: Any, said: str
) -> None:
    """A doubt ends with a task or with a person's decision, never by a later failure."""
    fake = FakeVendor({(CREATE, url(1)): [Lost(), then]})
    await _run(tmp_path, fake, images=1)
    await _run(tmp_path, FakeVendor(), images=1)  # its one retry is spent
    assert states(tmp_path / "run") == {"SKU-1": State.IN_DOUBT}
    async with open_journal(tmp_path / "run") as journal:
        [(_, _, problem)] = await journal.open_items(after=0)
    assert said in problem.message
    assert "the answer never came" in problem.message
    assert problem.retryable is False


@pytest.mark.anyio
async def test_a_run_that_is_paused_before_the_second_create_keeps_the_doubt_and_the_retry(tmp_path: Path) -> None:
    paused = RunPaused("no balance", code="67200005")
    await _run(tmp_path, FakeVendor({(CREATE, url(1)): [Lost(), paused]}), images=1)
    assert states(tmp_path / "run") == {"SKU-1": State.IN_DOUBT}
    healthy = FakeVendor()
    await _run(tmp_path, healthy, images=1, duplicates=1)
    assert states(tmp_path / "run") == {"SKU-1": State.TASKED}
    assert [kind for kind, _ in healthy.sent] == [CREATE]  # the hits are still there


@pytest.mark.anyio
async def test_hits_that_grew_too_old_are_searched_again_before_the_second_create(tmp_path: Path) -> None:
    await _run(tmp_path, FakeVendor({(CREATE, url(1)): [Lost()]}), images=1, duplicates=0)
    later = FakeVendor(now=fakes.NOW + HITS_LIFE_S)
    await _run(tmp_path, later, images=1)
    assert states(tmp_path / "run") == {"SKU-1": State.TASKED}
    assert [kind for kind, _ in later.sent] == [Kind.SEARCH, CREATE]


@pytest.mark.anyio
async def test_a_doubt_whose_new_search_finds_nothing_stays_a_doubt(tmp_path: Path) -> None:
    await _run(tmp_path, FakeVendor({(CREATE, url(1)): [Lost()]}), images=1, duplicates=0)
    later = FakeVendor({(Kind.SEARCH, url(1)): [fakes.NOTHING]}, now=fakes.NOW + HITS_LIFE_S)
    await _run(tmp_path, later, images=1)
    assert states(tmp_path / "run") == {"SKU-1": State.IN_DOUBT}


@pytest.mark.anyio
async def test_a_kill_during_the_second_create_leaves_it_in_doubt_with_the_retry_spent(tmp_path: Path) -> None:
    await _run(tmp_path, FakeVendor({(CREATE, url(1)): [Lost()]}), images=1, duplicates=0)
    spec = fakes.job(tmp_path, images=1)

    async def die(kind: Kind, url_: str) -> None:
        fakes.dead_copy(tmp_path / "run", tmp_path / "dead")

    async with open_journal(tmp_path / "run", duplicates=1) as journal:
        await (await engine_of(spec, journal, FakeVendor(pause=die), [item(1)])).run()
    await _settle_nothing_more(tmp_path / "dead", spec)
    assert states(tmp_path / "dead") == {"SKU-1": State.IN_DOUBT}
    async with open_journal(tmp_path / "dead") as journal:
        [(_, _, problem)] = await journal.open_items(after=0)
    assert problem.code == "interrupted"
    assert "an earlier create" in problem.message


async def _settle_nothing_more(folder: Path, spec: Any) -> None:
    fake = FakeVendor()
    async with open_journal(folder, duplicates=10) as journal:
        await (await engine_of(spec, journal, fake, [item(1)])).run()
    assert fake.sent == []


@pytest.mark.anyio
async def test_a_retry_is_reserved_on_disk_before_its_create_is_sent(tmp_path: Path) -> None:
    seen: list[int] = []

    async def watch(kind: Kind, url_: str) -> None:
        if kind is CREATE:
            connection = connect(tmp_path / "run" / "journal.sqlite")
            seen.append(connection.execute("SELECT count(*) FROM risks WHERE spent").fetchone()[0])
            connection.close()

    await _run(tmp_path, FakeVendor({(CREATE, url(1)): [Lost()]}, pause=watch), images=1)
    assert seen == [0, 1]


@pytest.mark.anyio
async def test_second_creates_count_against_the_limit_of_a_run_like_any_other_item(tmp_path: Path) -> None:
    lost = FakeVendor({(CREATE, url(1)): [Lost()], (CREATE, url(2)): [Lost()]})
    await _run(tmp_path, lost, duplicates=0)
    again = FakeVendor()
    await _run(tmp_path, again, images=3, limit=2)
    assert [picture for kind, picture in again.sent if kind is CREATE] == [url(3), url(1)]


@pytest.mark.anyio
async def test_an_item_that_is_no_longer_listed_is_not_created_again(tmp_path: Path) -> None:
    await _run(tmp_path, FakeVendor({(CREATE, url(2)): [Lost()]}), duplicates=0)
    fake = FakeVendor()
    async with open_journal(tmp_path / "run", duplicates=10) as journal:
        await (await engine_of(fakes.job(tmp_path), journal, fake, [item(1)], generation=2)).run()
    assert fake.sent == []
    assert states(tmp_path / "run")["SKU-2"] is State.IN_DOUBT
