"""Copies of one file share its outcome, but only what has those bytes when the outcome is shared."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.engine.sharing import is_alike
from pipeline.models import Calls, Item, Kind, State, Upload, Work
from pipeline.sources.pictures import Picture
from tests.support.fakes import FakeVendor, engine_of, job, open_journal, records, states

pytestmark = pytest.mark.anyio


def picture(data: bytes) -> Picture:
    return Picture(data, "jpeg", hashlib.sha256(data).hexdigest())


def copy(id_: str, source: str, data: bytes = b"a") -> Item:
    return Item(id_, source, True, "images[0]", {}, picture=f"sha256:{picture(data).sha256}")


def counted(vendor: FakeVendor) -> tuple[int, int, int]:
    sent = [kind for kind, _ in vendor.sent]
    return sent.count(Kind.UPLOAD), sent.count(Kind.SEARCH), sent.count(Kind.CREATE)


async def run(
    folder: Path,
    vendor: FakeVendor,
    items: list[Item],
    files: dict[str, Any],
    generation: int = 1,
    limit: int | None = None,
    budgets: dict[Kind, int] | None = None,
) -> None:
    async with open_journal(folder, budgets=budgets) as journal:
        await journal.requeue_failed()
        spec = job(folder, api={"max_in_flight": 1} if budgets else {})
        engine = await engine_of(spec, journal, vendor, items, pictures=files, generation=generation)
        await engine.run(limit=limit)


async def test_copies_of_a_file_cost_one_upload_one_search_and_one_task(tmp_path: Path) -> None:
    vendor = FakeVendor()
    files = {name: picture(b"a") for name in ("1.jpg", "2.jpg", "3.jpg")}
    await run(tmp_path, vendor, [copy(name, name) for name in files], files)
    assert counted(vendor) == (1, 1, 1)
    assert [record.get("same_as") for record in records(tmp_path)] == [None, "1.jpg", "1.jpg"]


async def test_copies_that_changed_since_they_were_found_are_searched_themselves_and_once(tmp_path: Path) -> None:
    vendor = FakeVendor()
    items = [copy(f"{n}.jpg", f"{n}.jpg") for n in range(1, 5)]
    files = {"1.jpg": picture(b"a"), "2.jpg": picture(b"new"), "3.jpg": picture(b"a"), "4.jpg": picture(b"new")}
    await run(tmp_path, vendor, items, files)
    assert counted(vendor) == (2, 2, 2)
    sent = {record["item"]: (record["image"]["sha256"], record.get("same_as")) for record in records(tmp_path)}
    assert sent == {
        "1.jpg": (picture(b"a").sha256, None),
        "3.jpg": (picture(b"a").sha256, "1.jpg"),
        "2.jpg": (picture(b"new").sha256, None),
        "4.jpg": (picture(b"new").sha256, "2.jpg"),
    }


async def test_copies_that_changed_count_against_the_limit_of_a_run_like_any_other_item(tmp_path: Path) -> None:
    vendor = FakeVendor()
    items = [copy(f"{n}.jpg", f"{n}.jpg") for n in range(1, 5)]
    files = {"1.jpg": picture(b"a")} | {f"{n}.jpg": picture(b"new %d" % n) for n in (2, 3, 4)}
    await run(tmp_path, vendor, items, files, limit=2)
    assert counted(vendor) == (2, 2, 2)


async def test_copy_is_searched_itself_when_the_first_file_changed(tmp_path: Path) -> None:
    vendor = FakeVendor()
    files = {"1.jpg": picture(b"new"), "2.jpg": picture(b"a")}
    await run(tmp_path, vendor, [copy("1", "1.jpg"), copy("2", "2.jpg")], files)
    assert counted(vendor) == (2, 2, 2)
    assert [record["image"]["sha256"] for record in records(tmp_path)] == [files[n].sha256 for n in files]


async def test_copy_that_cannot_be_read_any_more_fails_and_costs_nothing(tmp_path: Path) -> None:
    from pipeline.errors import Code, ItemRefused

    class Files(dict[str, Picture]):
        def __missing__(self, name: str) -> Picture:
            raise ItemRefused("the picture cannot be read", code=Code.PICTURE, sent=False)

    vendor = FakeVendor()
    await run(tmp_path, vendor, [copy("1", "1.jpg"), copy("2", "2.jpg")], Files({"1.jpg": picture(b"a")}))
    assert counted(vendor) == (1, 1, 1)
    assert states(tmp_path) == {"1": State.TASKED, "2": State.FAILED}


async def test_copy_is_worked_on_when_the_first_file_cannot_be_read(tmp_path: Path) -> None:
    from pipeline.errors import Code, ItemRefused

    class Files(dict[str, Picture]):
        def __missing__(self, name: str) -> Picture:
            raise ItemRefused("the picture cannot be read", code=Code.PICTURE, sent=False)

    vendor = FakeVendor()
    files = Files({"2.jpg": picture(b"a"), "3.jpg": picture(b"a")})
    await run(tmp_path, vendor, [copy(str(n), f"{n}.jpg") for n in (1, 2, 3)], files)
    assert counted(vendor) == (1, 1, 1)
    assert states(tmp_path) == {"1": State.FAILED, "2": State.TASKED, "3": State.TASKED}


async def test_file_that_moved_is_the_same_picture_under_its_id(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run(tmp_path, vendor, [copy("1", "1.jpg")], {"1.jpg": picture(b"a")})
    await run(tmp_path, vendor, [copy("1", "moved/1.jpg")], {"moved/1.jpg": picture(b"a")}, generation=2)
    assert counted(vendor) == (1, 1, 1)


@pytest.mark.parametrize("limits", [{"budgets": {Kind.CREATE: 1}}, {"limit": 1}], ids=str)
async def test_copies_get_their_task_for_nothing_also_when_the_budget_or_the_limit_is_used_up(
    limits: dict[str, Any], tmp_path: Path
) -> None:
    vendor = FakeVendor()
    items = [copy("1", "1.jpg"), copy("other", "other.jpg", b"b"), copy("2", "2.jpg")]
    files = {"1.jpg": picture(b"a"), "2.jpg": picture(b"a"), "other.jpg": picture(b"b")}
    await run(tmp_path, vendor, items, files, **limits)
    assert counted(vendor) == (1, 1, 1)
    assert states(tmp_path) == {"1": State.TASKED, "other": State.PENDING, "2": State.TASKED}


def alike(id_: str, source: str, data: bytes) -> Item:
    """Make an item whose file has other bytes than the first one and shows the same, as a split found out."""
    return Item(id_, source, True, "images[0]", {}, picture=f"sha256:{picture(b'a').sha256}", own=picture(data).sha256)


def shown(folder: Path) -> dict[str, tuple[str, str | None]]:
    return {record["item"]: (record["image"]["sha256"], record.get("same_as")) for record in records(folder)}


async def test_files_that_show_the_same_pixels_share_one_call_and_each_record_says_its_own_bytes(
    tmp_path: Path,
) -> None:
    vendor = FakeVendor()
    items = [copy("1", "1.jpg"), alike("2", "2.png", b"b"), copy("3", "3.jpg"), alike("4", "4.png", b"c")]
    files = {"1.jpg": picture(b"a"), "2.png": picture(b"b"), "3.jpg": picture(b"a"), "4.png": picture(b"c")}
    await run(tmp_path, vendor, items, files)
    assert counted(vendor) == (1, 1, 1)
    a, b, c = (picture(data).sha256 for data in (b"a", b"b", b"c"))
    assert shown(tmp_path) == {"1": (a, None), "2": (b, "1"), "3": (a, "1"), "4": (c, "1")}
    urls = {record["image"]["url"] for record in records(tmp_path)}
    assert len(urls) == 1, "what the vendor saw is the first file alone"


async def test_a_file_that_changed_since_its_pixels_were_compared_is_searched_itself(tmp_path: Path) -> None:
    vendor = FakeVendor()
    files = {"1.jpg": picture(b"a"), "2.png": picture(b"new"), "3.png": picture(b"c")}
    await run(tmp_path, vendor, [copy("1", "1.jpg"), alike("2", "2.png", b"b"), alike("3", "3.png", b"c")], files)
    assert counted(vendor) == (2, 2, 2)
    assert shown(tmp_path)["2"] == (picture(b"new").sha256, None)
    assert shown(tmp_path)["3"] == (picture(b"c").sha256, "1")


@pytest.mark.parametrize("order", ["bca", "bac", "abc"])
async def test_files_of_the_same_pixels_share_one_call_also_when_the_first_of_them_changed(
    tmp_path: Path, order: str
) -> None:
    """The first of the others leads them from then on, whether it has the bytes of the first or its own."""
    vendor = FakeVendor()
    items, files = [copy("1", "1.jpg")], {"1.jpg": picture(b"new")}
    for letter in order:
        data = letter.encode()
        items.append(copy(letter, f"{letter}.png") if letter == "a" else alike(letter, f"{letter}.png", data))
        files[f"{letter}.png"] = picture(data)
    await run(tmp_path, vendor, items, files)
    assert counted(vendor) == (2, 2, 2)
    sent = shown(tmp_path)
    assert sent["1"] == (picture(b"new").sha256, None)
    assert {sent[letter] for letter in order} == {
        (picture(letter.encode()).sha256, None if letter == order[0] else order[0]) for letter in order
    }


async def test_the_digest_of_an_earlier_upload_is_not_taken_for_that_of_a_twins_own_bytes() -> None:
    """Both stand in one column: a twin by its pixels was never uploaded itself."""
    twin = Work(2, copy("2", "2.jpg"), Calls(), sha256=picture(b"b").sha256)
    assert is_alike(twin, picture(b"b").sha256, picture(b"a").sha256)
    assert not is_alike(twin, picture(b"c").sha256, picture(b"a").sha256)
    assert not is_alike(twin, picture(b"b").sha256, picture(b"c").sha256)
    assert not is_alike(
        msgspec.structs.replace(twin, upload=Upload("https://up.example/2", 1.0)),
        picture(b"b").sha256,
        picture(b"a").sha256,
    )
