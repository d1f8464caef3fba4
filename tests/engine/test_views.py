"""Items with several views: uploaded picture by picture, searched and created together."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.errors import ItemRefused, TryAgain
from pipeline.models import Kind, State, Upload
from pipeline.sources.pictures import Picture
from pipeline.views import joined_views
from tests.support.engine_runs import problems, run_engine
from tests.support.fakes import NOW, FakeVendor, Item, item, link_of, records, rows, states

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
PICTURES = {name: Picture(name.encode(), "jpeg", name[0] * 64) for name in ("a.jpg", "b.jpg", "c.jpg")}
LINKS = {name: link_of(picture) for name, picture in PICTURES.items()}
WEB = "https://cdn.example/side.jpg"
P061: dict[str, Any] = {"search": {"endpoint": "P061"}}


def viewed(number: int, *views: str) -> Item:
    local = any(not view.startswith("https://") for view in views)
    return item(number, source=joined_views(views), local=local, picture=f"views {views}")


def kinds(vendor: FakeVendor) -> list[Kind]:
    return [kind for kind, _ in vendor.sent]


async def test_each_file_is_uploaded_and_all_views_are_searched_and_created_in_their_order(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [viewed(1, "a.jpg", WEB, "b.jpg")], pictures=PICTURES, **P061)
    together = joined_views([LINKS["a.jpg"], WEB, LINKS["b.jpg"]])
    assert vendor.sent == [
        (UPLOAD, LINKS["a.jpg"]),
        (UPLOAD, LINKS["b.jpg"]),
        (SEARCH, together),
        (CREATE, together),
    ]
    [record] = records(tmp_path)
    assert record["calls"] == {"upload": 2, "search": 1, "create": 1}
    assert record["image"]["views"] == [
        {"source": "a.jpg", "url": LINKS["a.jpg"], "sha256": "a" * 64},
        {"source": WEB, "url": WEB, "sha256": None},
        {"source": "b.jpg", "url": LINKS["b.jpg"], "sha256": "b" * 64},
    ]
    assert (record["image"]["url"], record["image"]["sha256"]) == (LINKS["a.jpg"], "a" * 64)


async def test_views_that_are_all_at_urls_need_no_upload(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [viewed(1, WEB, f"{WEB}?2")], **P061)
    assert kinds(vendor) == [SEARCH, CREATE]


@pytest.mark.parametrize("in_flight", [1, 30])
async def test_a_picture_of_many_items_is_uploaded_once_also_by_all_at_once(tmp_path: Path, in_flight: int) -> None:
    async def slowly(kind: Kind, url: str) -> None:
        for _ in range(3):
            await anyio.sleep(0)

    vendor = FakeVendor(pause=slowly)
    items = [viewed(number, "a.jpg", f"https://cdn.example/{number}.jpg", "b.jpg") for number in range(30)]
    await run_engine(tmp_path, vendor, items, pictures=PICTURES, api={"max_in_flight": in_flight}, **P061)
    assert kinds(vendor).count(UPLOAD) == 2
    assert list(states(tmp_path).values()) == [State.TASKED] * 30
    assert sum(record["calls"]["upload"] for record in records(tmp_path)) == 2


async def test_what_was_uploaded_before_a_run_ended_is_not_uploaded_again(tmp_path: Path) -> None:
    class Failing(FakeVendor):
        def reply(self, kind: Kind, url: str) -> Any:
            failing = kind is UPLOAD and url == LINKS["c.jpg"]
            return TryAgain("busy", code="67200100", sent=True) if failing else super().reply(kind, url)

    views = viewed(1, "a.jpg", "b.jpg", "c.jpg")
    await run_engine(tmp_path, Failing(), [views], pictures=PICTURES, **P061)
    assert states(tmp_path) == {"SKU-1": State.FAILED}
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [], pictures=PICTURES, **P061)
    assert vendor.sent[:1] == [(UPLOAD, LINKS["c.jpg"])]
    assert kinds(vendor) == [UPLOAD, SEARCH, CREATE]


async def test_an_upload_that_ended_is_made_anew(tmp_path: Path) -> None:
    await run_engine(tmp_path, FakeVendor(), [viewed(1, "a.jpg", "b.jpg")], pictures=PICTURES, **P061)
    later = FakeVendor(now=NOW + 9 * 3600)
    await run_engine(tmp_path, later, [viewed(2, "a.jpg", "c.jpg")], pictures=PICTURES, generation=2, **P061)
    assert kinds(later) == [UPLOAD, UPLOAD, SEARCH, CREATE]


async def test_one_view_that_cannot_be_read_costs_nothing_and_is_named(tmp_path: Path) -> None:
    class Pictures(dict[str, Picture]):
        def __contains__(self, name: object) -> bool:
            return name != "b.jpg" and super().__contains__(name)

        def __getitem__(self, name: str) -> Picture:
            if name in self:
                return super().__getitem__(name)
            raise ItemRefused("the picture is empty", code="picture", sent=False)

    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [viewed(1, "a.jpg", "b.jpg")], pictures=Pictures(PICTURES), **P061)
    assert vendor.sent == []
    assert problems(tmp_path)["SKU-1"].message == "b.jpg: the picture is empty"


async def test_a_view_replaced_after_the_search_refuses_the_item_once_its_uploads_ended(tmp_path: Path) -> None:
    class Failing(FakeVendor):
        def reply(self, kind: Kind, url: str) -> Any:
            return TryAgain("busy", code="67200100", sent=False) if kind is CREATE else super().reply(kind, url)

        async def _upload(self, picture: Any, meter: Any) -> Upload:
            return Upload((await super()._upload(picture, meter)).url, self.now + 20 * 60)

    await run_engine(tmp_path, Failing(), [viewed(1, "a.jpg", "b.jpg")], pictures=PICTURES, **P061)
    changed = {**PICTURES, "b.jpg": Picture(b"another", "jpeg", "d" * 64)}
    vendor = FakeVendor(now=NOW + 3600)
    await run_engine(tmp_path, vendor, [], pictures=changed, **P061)
    assert vendor.sent == []
    assert problems(tmp_path)["SKU-1"].code == "changed"
    [(sent,)] = rows(tmp_path, "sha256")
    assert sent == joined_views(["a" * 64, "b" * 64])


async def test_an_item_with_one_picture_is_searched_with_p060_beside_those_with_views(tmp_path: Path) -> None:
    asked: list[str] = []

    class Asked(FakeVendor):
        async def call(self, endpoint: Any, asked_: Any, meter: Any) -> Any:
            if endpoint.kind is SEARCH:
                asked.append(endpoint.request(asked_).path)
            return await super().call(endpoint, asked_, meter)

    await run_engine(tmp_path, Asked(), [item(1), viewed(2, WEB, f"{WEB}?2")], api={"max_in_flight": 1}, **P061)
    assert asked == ["/search/patent/image-single", "/search/patent/image-multiple"]
