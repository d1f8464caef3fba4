"""A search of several pages: each is one paid call, durable before the next, and asked for no more than once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import ItemRefused, TryAgain
from pipeline.journal.storage import reading_only
from pipeline.models import HITS_LIFE_S, Hits, Kind, State
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import many, problems, run_engine
from tests.support.fakes import NOW, FakeVendor, item, records, rows, states, url
from tests.support.paged import PagedVendor, found, hit

pytestmark = pytest.mark.anyio

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE
MANY = [hit(number) for number in range(431)]
PLENTY = found(MANY, total=20_783)


def numbers(hits: Any) -> list[str]:
    return [one["patent_id"] for one in (msgspec.json.decode(hits) if isinstance(hits, bytes) else hits)]


async def test_a_search_of_three_pages_pays_three_and_the_task_gets_the_best_hundred(tmp_path: Path) -> None:
    vendor = PagedVendor(PLENTY)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 300})
    assert vendor.sent == [*[(SEARCH, url(1))] * 3, (CREATE, url(1))]
    assert [(asked["limit"], asked.get("offset")) for asked in vendor.asked] == [
        ("100", None),
        ("100", "100"),
        ("100", "200"),
    ]
    assert numbers(vendor.chosen[url(1)].array) == [f"p{number}" for number in range(100)]
    [record] = records(tmp_path)
    assert record["hits"] == MANY[:300]
    assert record["calls"]["search"] == 3
    search = record["search"]
    assert (search["hits"], search["total"], search["truncated"], search["depth"]) == (300, 20_783, True, 300)
    assert search["ranks"] == [*range(1, 301)]
    assert [(page["offset"], page["hits"], page["request_id"]) for page in search["pages"]] == [
        (0, 100, "search-1"),
        (100, 100, "search-2"),
        (200, 100, "search-3"),
    ]
    assert search["params"] == {"limit": 100}
    assert record["task"]["hits"] == 100


async def test_a_page_is_asked_for_only_once_those_before_it_are_on_the_disk(tmp_path: Path) -> None:
    held: list[int] = []

    def body(asked: dict[str, Any]) -> dict[str, Any]:
        [search] = [msgspec.json.decode(said) if said else None for (said,) in rows(tmp_path, "search")]
        held.append(len(search["paging"]["pages"]) if search else 0)
        return PLENTY(asked)

    await run_engine(tmp_path, PagedVendor(body), [item(1)], search={"depth": 300})
    assert held == [0, 1, 2]


async def test_the_last_page_is_no_longer_than_the_depth(tmp_path: Path) -> None:
    vendor = PagedVendor(PLENTY)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 250})
    assert [asked["limit"] for asked in vendor.asked] == ["100", "100", "50"]
    [record] = records(tmp_path)
    assert len(record["hits"]) == 250


async def test_the_best_are_chosen_from_all_pages_when_the_order_slipped_between_them(tmp_path: Path) -> None:
    hits = [hit(number, 0.5) for number in range(100)] + [hit(100 + number, 0.9) for number in range(50)]
    vendor = PagedVendor(found(hits, total=150))
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 200}, task={"max_hits": 60})
    assert numbers(vendor.chosen[url(1)].array) == [f"p{n}" for n in (*range(10), *range(100, 150))]


async def test_with_model_1_the_order_is_the_vendors_and_no_score_ends_the_paging(tmp_path: Path) -> None:
    hits = [hit(number, number / 1000) for number in range(300)]
    vendor = PagedVendor(found(hits, total=300))
    search = {"endpoint": "P060", "depth": 300, "min_score": 0.15}
    await run_engine(tmp_path, vendor, [item(1)], search=search)
    assert vendor.offsets == [0, 100, 200]
    assert numbers(vendor.chosen[url(1)].array) == [f"p{number}" for number in range(150, 250)]


ENDS = {
    "the vendor's total": (found(MANY[:200], total=200), {}, [0, 100]),
    "its total within a page": (found(MANY[:130], total=130), {}, [0, 100]),
    "a page past the end": (found(MANY[:200]), {}, [0, 100, 200]),
    "a short page when no total is said": (found(MANY[:130]), {}, [0, 100]),
    "a score below the asked one": (PLENTY, {"min_score": 0.9885}, [0, 100]),
    "a score below it on the first page": (PLENTY, {"min_score": 0.9999}, [0]),
    "the depth": (PLENTY, {"depth": 400}, [0, 100, 200, 300]),
    "nothing found": (found([], total=0), {}, [0]),
}


@pytest.mark.parametrize("end", ENDS)
async def test_paging_ends_at(end: str, tmp_path: Path) -> None:
    body, search, offsets = ENDS[end]
    vendor = PagedVendor(body)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 1100, **search})
    assert vendor.offsets == offsets
    [record] = records(tmp_path)
    assert record["status"] == ("no_hits" if end == "nothing found" else "tasked")


async def test_a_page_past_the_end_is_no_more_pages_and_never_no_hits(tmp_path: Path) -> None:
    def body(asked: dict[str, Any]) -> dict[str, Any]:
        answer = found(MANY[:100], total=431)(asked)  # the total shrank meanwhile
        if int(asked.get("offset", 0)):
            answer["data"]["total_search_result_count"] = 100
        return answer

    vendor = PagedVendor(body)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 300})
    [record] = records(tmp_path)
    assert (record["status"], len(record["hits"]), record["search"]["total"]) == ("tasked", 100, 100)
    assert vendor.offsets == [0, 100]
    assert record["search"]["truncated"] is False


async def test_an_empty_page_within_the_total_ends_the_search_and_the_record_says_what_was_not_seen(
    tmp_path: Path,
) -> None:
    vendor = PagedVendor(found(MANY[:100], total=431))
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 300})
    [record] = records(tmp_path)
    assert (len(record["hits"]), record["search"]["total"], record["search"]["truncated"]) == (100, 431, True)


async def test_a_patent_on_two_pages_counts_once_and_keeps_its_better_rank(tmp_path: Path) -> None:
    shifted = [*MANY[:100], *MANY[98:190], hit(500), {"title": "without an id", "score": 0.2}]
    vendor = PagedVendor(found(shifted, total=len(shifted)))
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 200})
    [record] = records(tmp_path)
    assert record["hits"] == [*MANY[:190], hit(500), {"title": "without an id", "score": 0.2}]
    assert record["search"]["ranks"] == [*range(1, 101), *range(103, 195)]
    assert record["search"]["hits"] == 192
    assert record["search"]["pages"][1]["hits"] == 94
    assert record["search"]["truncated"] is False


async def test_a_page_that_shows_nothing_new_is_the_last_one_that_is_paid(tmp_path: Path) -> None:
    first_again = found(MANY[:100], total=20_783)
    vendor = PagedVendor(lambda asked: first_again({**asked, "offset": 0}))
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 1000})
    assert vendor.offsets == [0, 100]
    [record] = records(tmp_path)
    assert numbers(record["hits"]) == [f"p{number}" for number in range(100)]
    assert record["search"]["total"] == 20_783


async def test_a_page_that_fails_leaves_the_item_open_with_its_paid_pages_and_the_next_run_goes_on(
    tmp_path: Path,
) -> None:
    class Failing(PagedVendor):
        def reply(self, kind: Kind, url: str) -> Any:
            failing = kind is SEARCH and len(self.asked) == 2
            return TryAgain("busy", code="67200100", sent=True) if failing else super().reply(kind, url)

    vendor = Failing(PLENTY)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 400})
    assert states(tmp_path) == {"SKU-1": State.FAILED}
    assert problems(tmp_path)["SKU-1"].stage == "search"
    [(noted,)] = rows(tmp_path, "search")
    assert msgspec.json.decode(noted)["paging"]["next_offset"] == 200
    again = PagedVendor(PLENTY)
    await run_engine(tmp_path, again, [], search={"depth": 400})
    assert again.offsets == [200, 300]
    [record] = records(tmp_path)
    assert record["hits"] == MANY[:400]
    assert record["calls"]["search"] == 5


async def test_a_budget_lets_no_item_begin_whose_pages_it_does_not_allow(tmp_path: Path) -> None:
    vendor = PagedVendor(PLENTY)
    engine = await run_engine(
        tmp_path, vendor, many(3), search={"depth": 300}, budgets={SEARCH: 8}, api={"max_in_flight": 1}
    )
    assert engine.ended_by is not None
    assert [kind for kind, _ in vendor.sent].count(SEARCH) == 6
    assert list(states(tmp_path).values()).count(State.TASKED) == 2


async def test_pages_that_an_item_turned_out_not_to_need_are_there_for_others(tmp_path: Path) -> None:
    vendor = PagedVendor(found(MANY[:50], total=50))
    engine = await run_engine(
        tmp_path, vendor, many(4), search={"depth": 300}, budgets={SEARCH: 6}, api={"max_in_flight": 1}
    )
    assert engine.ended_by is None
    assert list(states(tmp_path).values()) == [State.TASKED] * 4


async def test_pages_whose_links_expired_before_the_last_came_are_asked_for_anew(tmp_path: Path) -> None:
    class Slow(PagedVendor):
        async def answering(self, kind: Kind, url: str) -> None:
            if len(self.asked) == 1:
                self.now = NOW + HITS_LIFE_S

    vendor = Slow(PLENTY)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 300})
    assert vendor.offsets == [0, 100, 0, 100, 200]
    [record] = records(tmp_path)
    assert record["hits"] == MANY[:300]


async def test_another_question_meanwhile_asks_no_further_page_of_the_old_one(tmp_path: Path) -> None:
    class Refusing(PagedVendor):
        def reply(self, kind: Kind, url: str) -> Any:
            failing = kind is SEARCH and len(self.asked) == 1
            return TryAgain("busy", code="67200100", sent=True) if failing else super().reply(kind, url)

    await run_engine(tmp_path, Refusing(PLENTY), [item(1)], search={"depth": 300})
    vendor = PagedVendor(PLENTY)
    await run_engine(tmp_path, vendor, [], search={"depth": 300, "filters": {"loc": "06-01"}})
    assert vendor.offsets == []
    [record] = records(tmp_path)
    assert (record["status"], len(record["hits"]), record["search"]["params"]) == ("tasked", 100, {"limit": 100})


async def test_a_local_picture_is_uploaded_once_for_all_pages(tmp_path: Path) -> None:
    vendor = PagedVendor(PLENTY)
    picture = Picture(b"bytes", "jpeg", "ab" * 32)
    await run_engine(
        tmp_path, vendor, [item(1, source="a.jpg", local=True)], pictures={"a.jpg": picture}, search={"depth": 300}
    )
    assert [kind for kind, _ in vendor.sent] == [Kind.UPLOAD, SEARCH, SEARCH, SEARCH, CREATE]


async def test_without_tasks_all_pages_are_in_the_record(tmp_path: Path) -> None:
    vendor = PagedVendor(PLENTY)
    await run_engine(tmp_path, vendor, [item(1)], search={"depth": 300}, task={"enabled": False})
    [record] = records(tmp_path)
    assert (record["status"], len(record["hits"])) == ("searched", 300)


async def test_many_items_page_at_once_and_leave_no_hits_behind(tmp_path: Path) -> None:
    vendor = PagedVendor(PLENTY)
    await run_engine(tmp_path, vendor, many(30), search={"depth": 300}, api={"max_in_flight": 30})
    assert len(vendor.asked) == 90
    assert all(record["hits"] == MANY[:300] for record in records(tmp_path))
    assert list((tmp_path / "spool").glob("*.spool")) == []
    with reading_only(tmp_path) as db:
        assert db.do("SELECT count(*) FROM items WHERE segment IS NOT NULL").fetchone()[0] == 0


async def test_a_search_of_one_page_is_what_it_was(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1)])
    [record] = records(tmp_path)
    assert {"depth", "pages", "ranks"}.isdisjoint(record["search"])
    assert isinstance(vendor.found("x"), Hits)


async def test_a_page_refused_for_good_leaves_the_item_open_with_the_hits_of_the_others(tmp_path: Path) -> None:
    class Refusing(PagedVendor):
        def reply(self, kind: Kind, url: str) -> Any:
            refused = kind is SEARCH and len(self.asked) == 1
            return ItemRefused("invalid", code="68300004", sent=True) if refused else super().reply(kind, url)

    await run_engine(tmp_path, Refusing(PLENTY), [item(1)], search={"depth": 300})
    assert states(tmp_path) == {"SKU-1": State.FAILED}
    with reading_only(tmp_path) as db:
        assert db.do("SELECT segment IS NOT NULL FROM items").fetchone()[0] == 1


class Named(PagedVendor):
    """P009 V2: names each search, and knows a name for as long as `known` says."""

    known = 20 * 60

    def __init__(self, body: Any = PLENTY, **options: Any) -> None:
        self.names: dict[str, float] = {}
        super().__init__(self._named, **options)
        self._hits = body

    def _named(self, asked: dict[str, Any]) -> dict[str, Any]:
        if name := asked.get("search_id"):
            if self.now - self.names[name] > self.known:
                return {"data": None, "status": False, "error_code": 68300004, "error_msg": "Invalid parameter!"}
            return self._hits(asked)
        answer = self._hits(asked)
        name = f"S{len(self.names)}"
        self.names[name] = self.now
        answer["data"]["search_id"] = name
        return answer

    @property
    def paths(self) -> list[str]:
        return [f"{asked['path'].rpartition('/')[2]} {asked.get('offset', 0)}" for asked in self.asked]


V2 = {"endpoint": "P009-V2", "depth": 400}


async def test_pages_are_asked_for_by_the_name_of_the_search(tmp_path: Path) -> None:
    vendor = Named()
    await run_engine(tmp_path, vendor, [item(1)], search=V2)
    assert vendor.paths == ["search-id 0", "results 100", "results 200", "results 300"]
    [record] = records(tmp_path)
    assert (record["hits"], record["calls"]["search"]) == (MANY[:400], 4)


async def test_a_page_whose_name_grew_old_is_searched_anew_with_its_offset_and_named_anew(tmp_path: Path) -> None:
    class Slow(Named):
        async def answering(self, kind: Kind, url: str) -> None:
            if len(self.asked) == 2:
                self.now = NOW + 20 * 60

    vendor = Slow()
    await run_engine(tmp_path, vendor, [item(1)], search=V2)
    assert vendor.paths == ["search-id 0", "results 100", "results 200", "search-id 300"]


async def test_a_name_that_the_vendor_forgot_earlier_costs_one_refused_call_and_is_counted(tmp_path: Path) -> None:
    class Forgetful(Named):
        known = -1

    vendor = Forgetful()
    await run_engine(tmp_path, vendor, [item(1)], search={**V2, "depth": 200})
    assert vendor.paths == ["search-id 0", "results 100", "search-id 100"]
    [record] = records(tmp_path)
    assert (record["hits"], record["calls"]["search"]) == (MANY[:200], 3)
    assert [page["request_id"] for page in record["search"]["pages"]] == ["search-1", "search-3"]


async def test_a_later_run_uses_the_name_while_it_lives(tmp_path: Path) -> None:
    class Dying(Named):
        def reply(self, kind: Kind, url: str) -> Any:
            failing = kind is SEARCH and len(self.asked) == 2
            return TryAgain("busy", code="67200100", sent=True) if failing else super().reply(kind, url)

    first = Dying()
    await run_engine(tmp_path, first, [item(1)], search=V2)
    second = Named(now=NOW + 60)
    second.names = dict(first.names)
    await run_engine(tmp_path, second, [], search=V2)
    assert second.paths == ["results 200", "results 300"]
