"""Patents of many items: each is asked for once, up to a hundred in a call, and kept before anybody is told."""

import anyio
import pytest

from pipeline.endpoints.details import FAILED, NOT_FOUND, PENDING
from pipeline.engine import patent_batches
from pipeline.errors import TryAgain
from tests.support.patents import MemoryCache, PatentVendor, all_of, batches_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no batch wait for long."""
    monkeypatch.setattr(patent_batches, "LINGER_S", 0.01)


async def test_two_items_with_one_hit_ask_once() -> None:
    vendor = PatentVendor()
    async with batches_of(vendor, MemoryCache()) as batches:
        first, second = batches.want(["a", "b"]), batches.want(["b", "c"])
        await all_of([*first, *second])
        await all_of(batches.want(["a", "c"]))
    assert vendor.asked == {"a": 1, "b": 1, "c": 1}
    assert first[1] is second[0]


async def test_a_call_has_a_hundred_patents_at_most_and_takes_those_of_many_items_together() -> None:
    vendor = PatentVendor()
    async with batches_of(vendor, MemoryCache()) as batches:
        wanted = [one for number in range(50) for one in batches.want(f"{number}-{n}" for n in range(5))]
        await all_of(wanted)
    assert sorted(map(len, vendor.calls)) == [50, 100, 100]


async def test_what_is_known_is_not_asked_for() -> None:
    vendor, cache = PatentVendor(), MemoryCache(a=b'{"number":"A"}', b=None)
    async with batches_of(vendor, cache) as batches:
        known, missing, new = await all_of(batches.want(["a", "b", "c"]))
    assert vendor.calls == [("c",)]
    assert (known.answer, known.missing) == (b'{"number":"A"}', "")
    assert (missing.answer, missing.missing) == (None, NOT_FOUND)
    assert new.answer == b'{"number":"c"}'


async def test_an_answer_is_in_the_cache_before_anybody_is_told() -> None:
    cache, seen = MemoryCache(), []
    async with batches_of(PatentVendor(unknown={"b"}), cache) as batches:
        for one in batches.want(["a", "b"]):
            await one.done.wait()
            seen.append(dict(cache.answers))
    assert seen[0] == {"a": b'{"number":"a"}', "b": None}


async def test_a_patent_that_another_process_asks_for_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patent_batches, "LOOK_AGAIN_S", 0.01)
    vendor, cache = PatentVendor(), MemoryCache()
    cache.elsewhere.add("a")
    async with batches_of(vendor, cache) as batches:
        (wanted,) = batches.want(["a"])
        while len(cache.looked_up) < 3:
            await anyio.sleep(0.01)
        assert not wanted.done.is_set()
        cache.answers["a"] = b'{"number":"theirs"}'
        await all_of([wanted])
    assert wanted.answer == b'{"number":"theirs"}'
    assert not vendor.calls


async def test_a_patent_that_could_not_be_asked_for_is_given_back_and_asked_for_again_later() -> None:
    vendor, cache = PatentVendor(TryAgain("no", code="no_answer")), MemoryCache()
    async with batches_of(vendor, cache) as batches:
        (failed,) = await all_of(batches.want(["a"]))
        (later,) = await all_of(batches.want(["a"]))
    assert (failed.missing, cache.given_back) == (FAILED, ["a"])
    assert later.answer == b'{"number":"a"}'


async def test_nobody_waits_any_longer_once_it_is_stopped() -> None:
    cache = MemoryCache()
    cache.elsewhere.add("a")
    async with batches_of(PatentVendor(), cache) as batches:
        before = batches.want(["a", "b"])
        while not cache.looked_up:
            await anyio.sleep(0.01)
        batches.stop()
        await all_of([*before, *batches.want(["c"])])
    assert before[0].missing == PENDING


async def test_memory_holds_no_more_answers_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patent_batches, "REMEMBERED", 10)
    vendor, cache = PatentVendor(), MemoryCache()
    async with batches_of(vendor, cache) as batches:
        for at in range(0, 100, 20):
            await all_of(batches.want(map(str, range(at, at + 20))))
        assert len(batches._wanted) == 10
        await all_of(batches.want(["0"]))
    assert vendor.asked["0"] == 1
