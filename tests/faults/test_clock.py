"""Clocks that are set, machines that sleep: what was bought ages all the same, and no burst follows. Nobody waits."""

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.calls.access import Access
from pipeline.calls.limiter import CATCH_UP_S, Limiter
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.oauth import Token
from pipeline.engine.item import process_item
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, UPLOAD_LIFE_S, Kind, State, Upload
from pipeline.outcomes import Tasked
from pipeline.sources.pictures import Picture
from pipeline.system.clock import Age, Clocks, Ticks
from tests.support.fakes import NOW, FakeVendor, admitted, endpoints_of, hits, job, open_journal, states, url, work_of
from tests.support.virtual_time import run_virtually

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
OLD_S = HITS_LIFE_S - EXPIRY_MARGIN_S


class Time:
    """Both clocks: `pass_` is a time both count, `step` a hand on the wall clock."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 5000.0
        self.clocks = Clocks(lambda: self.wall, lambda: self.steady)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def step(self, seconds: float) -> None:
        self.wall += seconds

    def live(self, happened: list[tuple[float, float]]) -> None:
        for passed, stepped in happened:
            self.pass_(passed)
            self.step(stepped)


# What happened since the hits came, as (time passed, step of the wall clock) one after the other; whether a tick
# notices, and whether the hits may still be used.
CASES: list[tuple[str, list[tuple[float, float]], bool, bool]] = [
    ("nothing, for a quarter second", [(0.25, 0)], False, True),
    ("a leap second, repeated", [(0.25, -1)], False, True),
    ("a leap second, smeared", [(0, 0.5)], False, True),
    ("set forth by an hour", [(0, HOUR)], True, True),
    ("set back by an hour", [(0, -HOUR)], True, True),
    ("set back by an hour, nine hours ago", [(0, -HOUR), (9 * HOUR, 0)], True, False),
    ("set forth by a day", [(0, DAY)], True, False),
    ("set back by a day", [(0, -DAY)], True, True),
    ("set back by a day, nine hours ago", [(0, -DAY), (9 * HOUR, 0)], True, False),
    ("slept for eight hours", [(8 * HOUR, 0)], True, True),
    ("slept for ten hours", [(10 * HOUR, 0)], True, False),
    ("slept for ten hours, woke with the old time", [(10 * HOUR, -10 * HOUR)], True, False),
    ("stalled for 29 seconds", [(29, 0)], False, True),
    ("stalled for 31 seconds", [(31, 0)], True, True),
    ("set by 29 seconds", [(0, 29)], False, True),
    ("forth by a day and back within a tick", [(0, DAY), (0, -DAY)], False, True),
]
IDS = [case[0] for case in CASES]


@pytest.mark.parametrize(("_name", "happened", "noticed", "_usable"), CASES, ids=IDS)
def test_a_step_and_a_sleep_are_noticed_by_the_next_tick_and_only_by_it(
    _name: str, happened: list[tuple[float, float]], noticed: bool, _usable: bool
) -> None:
    of = Time()
    ticks = Ticks(of.clocks)
    of.live(happened)
    assert (ticks.tick() is not None) == noticed
    of.pass_(0.25)
    assert ticks.tick() is None


@pytest.mark.parametrize(("_name", "happened", "_noticed", "usable"), CASES, ids=IDS)
def test_an_age_is_the_larger_of_what_both_clocks_say(
    _name: str, happened: list[tuple[float, float]], _noticed: bool, usable: bool
) -> None:
    of = Time()
    age = Age(of.wall, of.clocks)
    of.live(happened)
    assert (age.seconds <= OLD_S) == usable
    assert age.seconds >= 0


@pytest.mark.parametrize(("_name", "happened", "_noticed", "usable"), CASES, ids=IDS)
@pytest.mark.parametrize("where", ["before the intent", "before the permit"])
@pytest.mark.anyio
async def test_a_task_is_never_made_of_expired_hits_but_of_new_ones(
    tmp_path: Path, _name: str, happened: list[tuple[float, float]], _noticed: bool, usable: bool, where: str
) -> None:
    """Between a search and its task the clock is set, or the machine sleeps: at worst one search is paid again."""
    of = Time()
    vendor = FakeVendor()
    spec = job(tmp_path)
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        ports = Ports(
            spec,
            endpoints_of(spec),
            vendor,
            journal,
            dict[str, Any]().__getitem__,
            now=of.clocks.wall,
            steady=of.clocks.steady,
        )

        class Meter(ItemMeter):
            async def before(self, kind: Kind, request_id: str) -> None:
                first = vendor.stats.sent[Kind.SEARCH] == 1 and kind is Kind.CREATE
                if first and where == "before the intent":
                    of.live(happened)
                await super().before(kind, request_id)
                if first and where == "before the permit":
                    of.live(happened)
                vendor.now = of.wall

        work = work_of(1)
        settled = await process_item(work, ports, Meter(work, ports))
        assert isinstance(settled, Tasked)
        assert vendor.sent == [(Kind.SEARCH, url(1))] * (1 if usable else 2) + [(Kind.CREATE, url(1))]
        assert len(vendor.executed) == 1
    assert states(tmp_path / "run")["SKU-1"] is State.CREATING


@pytest.mark.parametrize("step_s", [0, -10 * HOUR], ids=["slept", "slept and woke with the old time"])
@pytest.mark.anyio
async def test_an_upload_that_expired_while_the_machine_slept_is_made_again(step_s: float, tmp_path: Path) -> None:
    of = Time()
    vendor = FakeVendor()
    spec = job(tmp_path, upload={"public": True})
    picture = Picture(b"picture", "jpeg", "digest")
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1, source="a.jpg", local=True)
        ports = Ports(
            spec, endpoints_of(spec), vendor, journal, lambda _: picture, now=of.clocks.wall, steady=of.clocks.steady
        )

        class Meter(ItemMeter):
            async def before(self, kind: Kind, request_id: str) -> None:
                if kind is Kind.SEARCH and vendor.stats.sent[Kind.UPLOAD] == 1:
                    of.pass_(10 * HOUR)
                    of.step(step_s)
                    vendor.now = of.wall
                await super().before(kind, request_id)

        work = await _only(journal)
        await process_item(work, ports, Meter(work, ports))
    assert [kind for kind, _ in vendor.sent] == [Kind.UPLOAD, Kind.UPLOAD, Kind.SEARCH, Kind.CREATE]


async def _only(journal: Any) -> Any:
    [work] = await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)
    return work


@pytest.mark.parametrize(
    ("at", "kept"),
    [(NOW - 8 * HOUR, True), (NOW - 9 * HOUR, False), (NOW + 20, True), (NOW + HOUR, False), (NOW + DAY, False)],
    ids=["8 h old", "9 h old", "20 s ahead", "1 h ahead", "1 d ahead"],
)
@pytest.mark.anyio
async def test_stored_hits_from_the_future_are_as_good_as_expired(tmp_path: Path, at: float, kept: bool) -> None:
    """The clock was set back between two runs: how old they are nobody knows."""
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        journal.steps.put_back(work_of(1), hits(at=at))
        [work] = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert (work.hits is not None) == kept
    assert states(tmp_path / "run")["SKU-1"] is (State.SEARCHED if kept else State.PENDING)


@pytest.mark.anyio
async def test_a_stored_upload_from_the_future_is_made_again(tmp_path: Path) -> None:
    vendor, of = FakeVendor(), Time()
    spec = job(tmp_path, upload={"public": True})
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1, source="a.jpg", local=True)
        work = await _only(journal)
        work.upload = Upload("https://up.example/old", NOW + DAY + UPLOAD_LIFE_S)
        ports = Ports(
            spec,
            endpoints_of(spec),
            vendor,
            journal,
            lambda _: Picture(b"picture", "jpeg", "digest"),
            now=of.clocks.wall,
            steady=of.clocks.steady,
        )
        await process_item(work, ports, ItemMeter(work, ports))
    assert [kind for kind, _ in vendor.sent] == [Kind.UPLOAD, Kind.SEARCH, Kind.CREATE]


# --- what the run does about it ---


@pytest.mark.parametrize(
    ("credentials", "fetched"),
    [(Credentials(client_id="id", client_secret="secret"), 2), (Credentials(api_key="key"), 0)],
    ids=["token", "API key"],
)
@pytest.mark.anyio
async def test_a_token_is_not_trusted_after_a_jump(credentials: Credentials, fetched: int) -> None:
    asked = []

    async def fetch(_refused: str) -> Token:
        asked.append(1)
        return Token(f"token-{len(asked)}", 1800)

    access = Access(credentials, fetch=fetch, clock=lambda: 0.0)
    await access.ready()
    await access.ready()
    access.renew()
    await access.ready()
    await access.ready()
    assert len(asked) == fetched


def test_a_token_ages_while_the_machine_sleeps() -> None:
    of, asked = Time(), list[float]()

    async def fetch(_refused: str) -> Token:
        asked.append(of.steady)
        return Token("token", 1800)

    async def use() -> None:
        access = Access(Credentials(client_id="id", client_secret="secret"), fetch=fetch, clock=of.clocks.steady)
        await access.ready()
        of.pass_(1400)
        await access.ready()
        of.step(-DAY)  # nothing to a token
        await access.ready()
        of.pass_(10 * HOUR)
        await access.ready()

    anyio.run(use)
    assert len(asked) == 2


@pytest.mark.parametrize("qps", [1, 5, 100, 1000])
def test_no_burst_follows_a_sleep(qps: int) -> None:
    """Many calls wait; the loop stands still for an hour; what was not sent meanwhile is not made up for."""

    async def run() -> list[float]:
        loop: Any = asyncio.get_running_loop()
        limiter = Limiter(qps)
        sent: list[float] = []

        async def call() -> None:
            sent.append(await limiter.permit())

        async with anyio.create_task_group() as calls:
            for _ in range(3 * qps):
                calls.start_soon(call)
            await anyio.sleep(0.5)
            loop.now += HOUR  # everything due is late by an hour now
            limiter.start_evenly()
        return [at for at in sent if at > 1000 + HOUR]

    after = run_virtually(run)
    assert after
    assert max(sum(start <= at < start + 1.0 for at in after) for start in after) <= qps
    first = after[0]
    most = 1 + (CATCH_UP_S + 0.05) * qps
    assert sum(at <= first + 0.05 for at in after) <= most


def test_a_limiter_that_was_woken_makes_up_for_nothing() -> None:
    now = [0.0]
    limiter = Limiter(1000, clock=lambda: now[0])

    async def permits() -> list[float]:
        await limiter.permit()
        now[0] = HOUR
        limiter.start_evenly()
        assert limiter._wait_s(HOUR) == pytest.approx(1 / 1000)
        now[0] = HOUR + 1.0  # and a stall right after
        return [await limiter.permit()]

    assert anyio.run(permits) == [HOUR + 1.0]
