"""A picture that was replaced since it was sent: what is paid of the one before never meets the one of now."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InDoubt, RunPaused, TryAgain
from pipeline.journal.sql import items
from pipeline.journal.storage import reading_only
from pipeline.models import UPLOAD_LIFE_S, Item, Kind, State
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import error, problems, run_engine
from tests.support.fakes import NOW, FakeVendor, engine_of, hits, item, job, link_of, open_journal, records, states

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
LATER = NOW + UPLOAD_LIFE_S - 600  # an upload of NOW is too old for a call, hits of NOW + 900 are not


def picture(data: bytes) -> Picture:
    return Picture(data, "jpeg", hashlib.sha256(data).hexdigest())


OLD, NEW = picture(b"as it was searched"), picture(b"as it is now")
A = item(1, source="a.jpg", local=True)


async def until(folder: Path, kind: Kind, end: Any, *, at: float = NOW + 900) -> None:
    """Take an item as far as its call of a kind, which ends so; its search was answered 15 minutes after its upload."""
    link = link_of(OLD)
    vendor = FakeVendor({(kind, link): [end], (SEARCH, link): [end if kind is SEARCH else hits(at=at)]})
    await run_engine(folder, vendor, [A], pictures={"a.jpg": OLD})


async def again(folder: Path, shown: Picture, *, now: float = LATER, **more: Any) -> FakeVendor:
    vendor = FakeVendor(now=now, run="again")
    await run_engine(folder, vendor, [A], pictures={"a.jpg": shown}, generation=2, **more)
    return vendor


async def test_paid_hits_never_go_into_a_task_of_another_picture(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(RunPaused, sent=False))
    assert states(tmp_path) == {"SKU-1": State.SEARCHED}
    assert (await again(tmp_path, NEW)).sent == []
    assert states(tmp_path) == {"SKU-1": State.FAILED}
    problem = problems(tmp_path)["SKU-1"]
    assert (problem.code, problem.stage) == ("changed", "read")
    assert OLD.sha256 in problem.message
    with reading_only(tmp_path) as db:
        [(work, _, _)] = items.open_items(db, after=0, limit=9)
    assert work.hits is not None, "what is paid is kept"


async def test_the_picture_put_back_gets_the_task_of_the_hits_that_are_paid(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(RunPaused, sent=False))
    await again(tmp_path, NEW)
    assert [kind for kind, _ in (await again(tmp_path, OLD)).sent] == [UPLOAD, CREATE]
    assert [record["image"]["sha256"] for record in records(tmp_path)] == [OLD.sha256]


async def test_a_picture_that_was_uploaded_again_for_its_paid_hits_is_not_uploaded_a_third_time(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(RunPaused, sent=False))
    vendor = FakeVendor({(CREATE, link_of(OLD)): [error(RunPaused, sent=False)]}, now=LATER, run="again")
    await run_engine(tmp_path, vendor, [A], pictures={"a.jpg": OLD}, generation=2)
    assert [kind for kind, _ in vendor.sent] == [UPLOAD]
    assert states(tmp_path) == {"SKU-1": State.SEARCHED}
    assert [kind for kind, _ in (await again(tmp_path, OLD)).sent] == [CREATE]


async def test_a_picture_that_is_replaced_between_the_look_and_its_upload_is_not_uploaded(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(RunPaused, sent=False))
    vendor = FakeVendor(now=LATER)
    async with open_journal(tmp_path) as journal:
        engine = await engine_of(job(tmp_path), journal, vendor, [A], pictures={"a.jpg": NEW}, generation=2)
        object.__setattr__(engine._ports, "digest", lambda _: OLD.sha256)
        await engine.run()
    assert (vendor.sent, problems(tmp_path)["SKU-1"].code) == ([], "changed")


async def test_a_live_upload_goes_on_to_the_task_of_the_picture_that_was_sent(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(RunPaused, sent=False))
    assert (await again(tmp_path, NEW, now=NOW + 950)).sent == [(CREATE, link_of(OLD))]
    assert [record["image"]["sha256"] for record in records(tmp_path)] == [OLD.sha256]


async def test_an_upload_of_the_picture_that_was_is_not_searched(tmp_path: Path) -> None:
    await until(tmp_path, SEARCH, error(TryAgain))
    vendor = await again(tmp_path, NEW, now=NOW + 60)
    assert vendor.sent == [(kind, link_of(NEW)) for kind in (UPLOAD, SEARCH, CREATE)]
    assert [record["image"]["sha256"] for record in records(tmp_path)] == [NEW.sha256]


async def test_a_create_in_doubt_is_not_repeated_for_another_picture(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(InDoubt))
    async with open_journal(tmp_path, duplicates=1) as journal:
        vendor = FakeVendor(now=LATER)
        engine = await engine_of(job(tmp_path), journal, vendor, [A], pictures={"a.jpg": NEW}, generation=2)
        await engine.run()
    assert (vendor.sent, states(tmp_path)) == ([], {"SKU-1": State.IN_DOUBT})
    assert "a.jpg changed since it was searched" in problems(tmp_path)["SKU-1"].message


async def test_a_person_may_have_the_picture_of_now_searched_and_paid(tmp_path: Path) -> None:
    await until(tmp_path, CREATE, error(RunPaused, sent=False))
    await again(tmp_path, NEW)
    async with open_journal(tmp_path) as journal:
        await journal.waiting.choose([1], risked=False)
        vendor = FakeVendor(now=LATER, scripts={(SEARCH, link_of(NEW)): [hits(at=LATER)]})
        engine = await engine_of(job(tmp_path), journal, vendor, [], pictures={"a.jpg": NEW}, generation=2)
        engine._intake.skip()
        await engine.run()
        await journal.finish()
    assert vendor.sent == [(kind, link_of(NEW)) for kind in (UPLOAD, SEARCH, CREATE)]
    [record] = records(tmp_path)
    assert (record["image"]["sha256"], record["status"]) == (NEW.sha256, "tasked")


async def test_a_picture_that_was_replaced_before_its_upload_is_known_as_what_was_sent(tmp_path: Path) -> None:
    listed = item(1, source="a.jpg", local=True, picture=f"sha256:{OLD.sha256}")
    same = item(2, source="b.jpg", local=True, picture=f"sha256:{NEW.sha256}")
    other = item(3, source="c.jpg", local=True, picture=f"sha256:{OLD.sha256}")
    vendor = FakeVendor()
    files = {"a.jpg": NEW, "b.jpg": NEW, "c.jpg": OLD}
    await run_engine(tmp_path, vendor, [listed], pictures=files)
    await run_engine(tmp_path, vendor, [listed, same, other], pictures=files, generation=2)
    assert [kind for kind, _ in vendor.sent] == [UPLOAD, SEARCH, CREATE] * 2
    same_as = {record["item"]: record.get("same_as") for record in records(tmp_path)}
    assert same_as == {"SKU-1": None, "SKU-2": "SKU-1", "SKU-3": None}


async def test_a_copy_of_the_picture_that_was_is_not_paid_for_beside_its_hits(tmp_path: Path) -> None:
    """The first file was replaced: its twin has the bytes that are paid for, and waits for them to be decided about."""
    known = {"local": True, "picture": f"sha256:{OLD.sha256}"}
    first, twin = item(1, source="a.jpg", **known), item(2, source="b.jpg", **known)
    link = link_of(OLD)
    vendor = FakeVendor({(CREATE, link): [error(RunPaused, sent=False)], (SEARCH, link): [hits(at=NOW + 900)]})
    await run_engine(tmp_path, vendor, [first, twin], pictures={"a.jpg": OLD, "b.jpg": OLD})
    later = FakeVendor(now=LATER)
    listed: list[Item] = [first, twin]
    await run_engine(tmp_path, later, listed, pictures={"a.jpg": NEW, "b.jpg": OLD}, generation=2)
    assert later.sent == []
    assert {id_: problem.code for id_, problem in problems(tmp_path).items()} == {
        "SKU-1": "changed",
        "SKU-2": "same_picture",
    }
    await run_engine(tmp_path, later, listed, pictures={"a.jpg": OLD, "b.jpg": OLD}, generation=3)
    assert [kind for kind, _ in later.sent] == [UPLOAD, CREATE]
    assert states(tmp_path) == {"SKU-1": State.TASKED, "SKU-2": State.TASKED}
