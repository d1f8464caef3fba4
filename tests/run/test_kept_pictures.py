"""Pictures kept beside a run: the best hits' and the products', never at the cost of a paid call or of much time."""

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from pipeline import RunOptions, run_job
from pipeline.calls.downloads import NotFetched, open_downloads
from pipeline.job.load import load_job
from pipeline.models import Calls, Hits, Item, Work
from pipeline.results.pictures.store import FOLDER, PictureStore, key_of_link, key_of_product
from pipeline.run import kept_pictures
from pipeline.run.kept_pictures import KeptPictures, Means
from pipeline.views import joined_views
from tests.support.jobs import ACCOUNT, drawings, job, lines, started, vendor
from tests.support.virtual_time import run_virtually

NOW = 1_000_000.0


def hits(*scores: float, host: str = "cdn.example.com", at: float = NOW) -> Hits:
    """Hits with these scores, whose pictures are called by their places."""
    rows = [{"url": f"https://{host}/{place}.png?s=1", "score": score} for place, score in enumerate(scores)]
    return Hits(json.dumps(rows).encode(), scores, (True,) * len(scores), len(scores), "r", at)


def work(number: int = 1, *, source: str = "https://shop.example.com/1.jpg", sha256: str | None = None) -> Work:
    return Work(number, Item(f"I{number}", source, sha256 is not None, "", {}), Calls(), sha256=sha256)


class Parts:
    """Kept pictures whose network, disk and workers are values of a test, in virtual time."""

    def __init__(self, folder: Path) -> None:
        self.fetched: list[str] = []
        self.takes_s = 0.0
        self.failing: Callable[[str], str] = lambda url: ""
        self.store = PictureStore(folder)
        self.pictures: KeptPictures

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url.partition("?")[0].rpartition("/")[2])
        await anyio.sleep(self.takes_s)
        if reason := self.failing(url):
            raise NotFetched(reason)
        return url.encode()

    async def shrink(self, data: bytes) -> list[tuple[int, bytes]]:
        return [] if data.endswith(b"broken.png?s=1") else [(480, data), (160, data)]

    def run(self, body: Callable[["Parts", TaskGroup], Awaitable[None]], **keys: Any) -> None:
        async def go() -> None:
            self.pictures = KeptPictures(
                self.store,
                Means(self.fetch, keys.pop("product", lambda source: (b"product", "d1")), self.shrink, lambda: NOW),
                **{"keep": 2, **keys},
            )
            async with anyio.create_task_group() as around:
                around.start_soon(self.pictures.run)
                await body(self, around)
                around.cancel_scope.cancel()

        run_virtually(go)


async def to_the_end(parts: Parts, _: TaskGroup) -> None:
    await parts.pictures.finish(lambda: False)


def test_the_most_similar_hits_are_kept_whatever_their_order(tmp_path: Path) -> None:
    parts = Parts(tmp_path)

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(), hits(0.1, 0.9, 0.3, 0.8))
        await to_the_end(parts, around)

    parts.run(body)
    assert sorted(parts.fetched) == ["1.png", "3.png"]
    assert parts.store.of(key_of_link("http://cdn.example.com/1.png?s=2"), 160) is not None


def test_a_picture_that_many_items_show_is_fetched_once(tmp_path: Path) -> None:
    parts = Parts(tmp_path)

    async def body(parts: Parts, around: TaskGroup) -> None:
        for number in range(50):
            parts.pictures.add(work(number), hits(0.9, 0.8))
        await to_the_end(parts, around)

    parts.run(body)
    parts.run(body)  # a later run has them
    assert sorted(parts.fetched) == ["0.png", "1.png"]


def test_whatever_one_picture_brings_about_the_others_are_kept_and_the_run_goes_on(tmp_path: Path) -> None:
    parts = Parts(tmp_path)

    def raises(url: str) -> str:
        if "0.png" in url:
            raise ValueError("a fault that nobody foresaw")
        return ""

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.failing = raises
        parts.pictures.add(work(), hits(0.9, 0.8))
        await to_the_end(parts, around)

    parts.run(body)
    assert (parts.pictures.kept, dict(parts.pictures.not_kept)) == (1, {"it could not be handled": 1})


@pytest.mark.parametrize("link", ["https://[::1", "https://ex\u2100mple.com/x", "https://\0/x", "https://a.com:x/"])
@pytest.mark.anyio
async def test_a_link_that_is_none_is_not_kept_and_ends_nothing(tmp_path: Path, link: str) -> None:
    spec = load_job(job(tmp_path, url="http://127.0.0.1:9", pictures=1))
    async with open_downloads(proxy=None, ca_file=None, own="") as downloads:
        fetch = kept_pictures._fetch_of(spec, tmp_path, "https://connect.patsnap.com", downloads)
        with pytest.raises(NotFetched):
            await fetch(link)


def test_a_local_product_is_kept_as_it_was_searched(tmp_path: Path) -> None:
    parts = Parts(tmp_path)

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(1, source="a.jpg", sha256="d1"), None)
        parts.pictures.add(work(2, source="b.jpg", sha256="d2"), None)  # another file by now
        await to_the_end(parts, around)

    parts.run(body)
    assert parts.store.of(key_of_product("d1"), 160) == b"product"
    assert (parts.pictures.kept, parts.pictures.not_kept) == (1, {"the file changed": 1})


@pytest.mark.parametrize(("products", "fetched"), [(False, []), (True, ["b.jpg"])])
def test_of_several_views_each_is_kept_as_any_other_picture(tmp_path: Path, products: bool, fetched: list[str]) -> None:
    parts = Parts(tmp_path)
    views = joined_views(["a.jpg", "https://cdn.example.com/b.jpg", "c.jpg"])
    digests = joined_views(["d-a.jpg", "url", "d-c.jpg"])

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(1, source=views, sha256=digests), None)
        await to_the_end(parts, around)

    parts.run(body, products=products, product=lambda source: (source.encode(), f"d-{source}"))
    assert [parts.store.of(key_of_product(f"d-{name}"), 160) for name in ("a.jpg", "c.jpg")] == [b"a.jpg", b"c.jpg"]
    assert (parts.fetched, dict(parts.pictures.not_kept)) == (fetched, {})


@pytest.mark.parametrize(("products", "asked"), [(False, []), (True, ["1.jpg"])])
def test_a_product_behind_a_link_is_fetched_only_where_the_job_says_so(
    tmp_path: Path, products: bool, asked: list[str]
) -> None:
    parts = Parts(tmp_path)

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(), None)
        await to_the_end(parts, around)

    parts.run(body, products=products)
    assert parts.fetched == asked


def test_what_is_not_there_in_time_is_dropped_and_counted(tmp_path: Path) -> None:
    """The run may go on for a tenth of its time, or ten seconds."""
    parts = Parts(tmp_path)
    parts.takes_s = 4.0

    async def body(parts: Parts, around: TaskGroup) -> None:
        for number in range(20):
            parts.pictures.add(work(number), hits(0.9, host=f"h{number}.example.com"))
        began = anyio.current_time()
        await to_the_end(parts, around)
        assert anyio.current_time() - began == pytest.approx(kept_pictures.LEAST_S, abs=0.5)

    parts.run(body)
    assert parts.pictures.kept == 2 * kept_pictures.AT_ONCE
    assert parts.pictures.not_kept == {"no time left": 20 - 2 * kept_pictures.AT_ONCE}


def test_a_stop_ends_the_wait_at_once(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.takes_s = 5.0

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(), hits(0.9, 0.8))
        began = anyio.current_time()
        await parts.pictures.finish(lambda: True)
        assert anyio.current_time() == began

    parts.run(body)
    assert parts.pictures.not_kept == {"no time left": 2}


def test_a_host_that_never_answers_is_not_asked_for_ever(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.failing = lambda url: "no answer in time" if "dead" in url else ""

    async def body(parts: Parts, around: TaskGroup) -> None:
        for number in range(100):
            parts.pictures.add(work(number), hits(0.9, host=f"dead.example.com/{number}"))
        parts.pictures.add(work(), hits(0.9))
        await to_the_end(parts, around)

    parts.run(body)
    assert len(parts.fetched) < 30
    assert sum(parts.pictures.not_kept.values()) == 100
    assert parts.pictures.kept == 1


def test_an_expired_link_is_not_opened(tmp_path: Path) -> None:
    parts = Parts(tmp_path)

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(), hits(0.9, at=NOW - 40_000))
        await to_the_end(parts, around)

    parts.run(body)
    assert (parts.fetched, parts.pictures.not_kept) == ([], {"the link expired": 1})


@pytest.mark.parametrize("array", [b"{}", b"[1]", b"[{}]", b'[{"url": 5}]', b'[{"url": ""}]', b"\xff"])
def test_hits_of_another_shape_hold_nothing_up(tmp_path: Path, array: bytes) -> None:
    parts = Parts(tmp_path)

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(), Hits(array, (0.9,), (True,), 1, "r", NOW))
        await to_the_end(parts, around)

    parts.run(body)
    assert parts.fetched == []


def test_a_full_disk_ends_no_run_and_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.store, "put", full)

    async def body(parts: Parts, around: TaskGroup) -> None:
        parts.pictures.add(work(), hits(0.9, 0.8))
        await to_the_end(parts, around)

    parts.run(body)
    assert sum(parts.pictures.not_kept.values()) == 2


def keys_of(folder: Path, *, best: int) -> set[str]:
    """The keys of the pictures that the records of a run name."""
    found = set()
    for record in lines(folder / "results.jsonl"):
        ranked = sorted(record["hits"], key=lambda hit: -hit["score"])
        found |= {key_of_link(hit["url"]) for hit in ranked[:best]}
    return found


@pytest.mark.proofs
def test_a_run_keeps_the_pictures_of_its_best_hits_from_the_vendor(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=4, report={"pictures": {"keep": 2, "side": 480}})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
    run = tmp_path / "runs" / "job"
    store, wanted = PictureStore(run), keys_of(run, best=2)
    assert summary.pictures is not None
    assert (summary.pictures.kept, summary.pictures.not_kept) == (len(wanted), {})
    assert all((store.of(key, side) or b"")[8:12] == b"WEBP" for key in wanted for side in (160, 480))
    assert json.loads((run / "summary.json").read_text())["pictures"]["kept"] == len(wanted)


@pytest.mark.proofs
def test_after_kill_9_no_worker_is_left_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        pictures = drawings(40)
        path = job(tmp_path, url=server.url, pictures=pictures, report={"pictures": {"keep": 3}}, api={"qps": 10})
        index = tmp_path / "runs" / "job" / FOLDER / "index.jsonl"
        with started("run", path, cwd=tmp_path, **ACCOUNT) as process:
            while process.poll() is None and not index.exists():
                time.sleep(0.01)
            workers = _workers_of(process.pid)
            process.kill()
            process.wait()
        assert workers
        while any(Path(f"/proc/{worker}").exists() for worker in workers):
            time.sleep(0.01)
        summary = run_job(path, overrides=["api.qps=1000"], options=RunOptions(environment=ACCOUNT))
    assert summary.items["tasked"] + summary.items["in_doubt"] == 40  # a create may have been under way
    assert summary.pictures is not None
    assert (bool(summary.pictures.kept), summary.pictures.not_kept) == (True, {})


def _workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_job_that_keeps_no_pictures_starts_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).pictures is None
    assert not (tmp_path / "runs" / "job" / FOLDER).exists()
