"""Pauses of the whole client: money, a full platform, the day's limit; in virtual time, without a network."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time
from itertools import pairwise

import anyio
import pytest

from pipeline.calls.client import Client
from pipeline.calls.health import Waits
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.errors import RunPaused, Stopping
from pipeline.models import Hits, Kind
from pipeline.sources.pictures import Picture
from tests.support.virtual_time import run_virtually
from tests.support.virtual_vendor import PlainMeter, Reply, VirtualVendor, client_of, create, outcome, search

DAILY, BALANCE = 67200007, 67200005
MORNING = datetime(2026, 11, 21, 9, 0, tzinfo=UTC).timestamp()


def at(gate: QuotaGate) -> Waits:
    """The waits of a client that waits at this gate for the day's limit."""
    return Waits(gate, ReachGate())


async def many(
    client: Client, count: int, *, on: Callable[[Client, object], None] = lambda client, ended: None
) -> None:
    """So many searches at once; `on` sees how each ended."""

    async def one(number: int) -> None:
        on(client, await outcome(search(client, number)))

    async with anyio.create_task_group() as callers:
        for number in range(count):
            callers.start_soon(one, number)


# --- money ---


@pytest.mark.parametrize("code", [BALANCE, DAILY], ids=["balance", "daily limit"])
@pytest.mark.parametrize("latency_s", [0.3, 5.0, 10.0])
def test_after_the_first_refusal_for_money_nothing_is_sent_that_was_not_sent_already(
    code: int, latency_s: float
) -> None:
    """The vendor answers slowly: what is in flight by then is all, whoever waits for a permit."""

    def end(client: Client, ended: object) -> None:
        if isinstance(ended, RunPaused):
            client.stop()  # as the engine does

    async def scenario() -> VirtualVendor:
        vendor = VirtualVendor(lambda kind, number: code if number > 7 else None, latency_s=latency_s)
        await many(client_of(vendor, qps=20), 500, on=end)
        return vendor

    vendor = run_virtually(scenario)
    refused_at = min(at for _, at, reply in vendor.answered if reply == code)
    assert [at for _, at in vendor.sent if at > refused_at] == []
    assert len(vendor.sent) <= 7 + 1 + 20 * latency_s + 1
    assert len(vendor.answered) == len(vendor.sent)


# --- a full platform, a vendor that is down ---

FULL = 67200000


@pytest.mark.proofs
def test_a_full_platform_is_probed_by_one_call_at_a_time_and_less_and_less_often() -> None:
    async def scenario() -> tuple[VirtualVendor, list[object]]:
        vendor = VirtualVendor(lambda *_: FULL if anyio.current_time() < 1000 + 2000 else None, latency_s=1.0)
        ended: list[object] = []
        await many(client_of(vendor, qps=10), 100, on=lambda _, how: ended.append(how))
        return vendor, ended

    vendor, ended = run_virtually(scenario)
    assert len(ended) == 100
    assert not any(isinstance(how, Exception) for how in ended)
    times = [at - 1000 for at in vendor.times(Kind.SEARCH)]
    first = [at for at in times if at < 20]
    probes = [at for at in times if 20 < at < 2000]
    assert len(first) <= 12  # one second's worth: what had left before the first refusal came
    assert [round(later - sooner, -1) for sooner, later in pairwise([0.0, *probes])] == [30, 60, 120, 240, 480, 600]
    opened = next(at for at in times if at >= 2000)
    assert len([at for at in times if at >= 2000]) == 100
    assert all(at >= opened + 1.0 for at in times if at > opened), "the others wait for the probe's answer"


def test_what_left_before_a_pause_says_nothing_new_about_it() -> None:
    """Ten calls under way are refused alike: the pause is 30 s, not 30 s ten times doubled."""

    async def scenario() -> float:
        vendor = VirtualVendor(lambda *_: FULL if anyio.current_time() < 1010 else None, latency_s=5.0)
        client = client_of(vendor, qps=10)
        await many(client, 10)
        return anyio.current_time() - 1000

    assert 30 < run_virtually(scenario) < 60


def test_a_platform_that_stays_full_for_an_hour_ends_the_run_and_fails_no_item() -> None:
    async def scenario() -> tuple[list[object], float]:
        client = client_of(VirtualVendor(lambda *_: FULL, latency_s=1.0))
        ended: list[object] = []

        def note(client: Client, how: object) -> None:
            ended.append(how)
            client.stop()

        await many(client, 3, on=note)
        return ended, anyio.current_time() - 1000

    ended, took_s = run_virtually(scenario)
    assert sorted(type(how).__name__ for how in ended) == ["RunPaused", "Stopping", "Stopping"]
    assert 3600 <= took_s <= 3600 + 2 * 600


def test_a_vendor_that_is_down_is_probed_by_searches_and_by_no_create_that_may_end_in_doubt() -> None:
    async def scenario() -> tuple[VirtualVendor, list[object]]:
        vendor = VirtualVendor(lambda kind, n: "503" if n > 20 and anyio.current_time() < 1400 else None, latency_s=1.0)
        client = client_of(vendor, qps=10)
        ended: list[object] = []
        async with anyio.create_task_group() as around:
            around.start_soon(many, client, 100)
            await anyio.sleep(15)
            around.start_soon(lambda: keep(ended, create(client)))
        return vendor, ended

    async def keep(ended: list[object], call: Awaitable[object]) -> None:
        ended.append(await outcome(call))

    vendor, ended = run_virtually(scenario)
    probes = [kind for kind, at in vendor.sent if 1020 < at < 1400]
    assert len(probes) >= 3
    assert set(probes) == {Kind.SEARCH}
    assert not any(isinstance(how, Exception) for how in ended)


def test_where_only_creates_wait_a_create_probes() -> None:
    async def scenario() -> object:
        vendor = VirtualVendor(lambda *_: 67200001 if anyio.current_time() < 1010 else None)
        return await outcome(create(client_of(vendor)))

    assert not isinstance(run_virtually(scenario), Exception)


# --- waiting for the quota ---


class Quota:
    """A daily limit that is lifted at a moment of the virtual loop's time."""

    def __init__(self, *, lifted_at_s: float, resets_at: time) -> None:
        self.said: list[str] = []
        self.lifted_at_s = lifted_at_s
        self.gate = QuotaGate(resets_at, table=TABLE, now=self.now, say=self.said.append)

    def now(self) -> float:
        return MORNING + anyio.current_time() - 1000.0

    def reply(self, kind: Kind, number: int) -> Reply:
        return DAILY if number > 3 and self.now() < MORNING + self.lifted_at_s else None


@pytest.mark.proofs
def test_calls_wait_until_the_reset_and_then_one_probe_goes_every_30_minutes_until_one_succeeds() -> None:
    async def scenario() -> tuple[VirtualVendor, Quota, list[object]]:
        quota = Quota(lifted_at_s=3600 + 2 * 1800 - 60, resets_at=time(10, 0, tzinfo=UTC))  # lifted late
        vendor = VirtualVendor(quota.reply, latency_s=1.0)
        ended: list[object] = []
        await many(client_of(vendor, qps=10, waits=at(quota.gate)), 100, on=lambda _, how: ended.append(how))
        return vendor, quota, ended

    vendor, quota, ended = run_virtually(scenario)
    assert not any(isinstance(how, Exception) for how in ended)
    assert len(ended) == 100
    times = [at - 1000.0 for at in vendor.times(Kind.SEARCH)]
    probes = [at for at in times if 60 < at < 7200]
    assert [round(at / 1800) for at in probes] == [2, 3]  # at 10:00 and 10:30
    at_last = [at for at in times if at >= 7200]
    assert all(at >= at_last[0] + 1.0 for at in at_last[1:]), "the others wait for the probe's answer"
    assert len(at_last) == 97
    assert len(quota.said) == 3
    assert all("\n" not in line and "nothing is sent until 2026-11-21" in line for line in quota.said)


HOUR = 3600.0


def test_an_upload_that_passes_at_the_reset_costs_no_day() -> None:
    """Uploads have a limit of their own; the searches' is lifted 20 minutes late."""

    async def scenario() -> tuple[list[float], Quota]:
        quota = Quota(lifted_at_s=HOUR + 1200, resets_at=time(10, 0, tzinfo=UTC))
        replies = VirtualVendor(
            lambda kind, number: quota.reply(kind, number) if kind is Kind.SEARCH else None, latency_s=1.0
        )
        client = client_of(replies, waits=at(quota.gate))
        async with anyio.create_task_group() as around:
            around.start_soon(many, client, 6)
            await anyio.sleep(60)
            for _ in range(3):
                around.start_soon(lambda: client.call(PictureUpload(), Picture(b"picture", "jpeg", ""), PlainMeter()))
        return [at - 1000.0 for at in replies.times(Kind.SEARCH)], quota

    searches, quota = run_virtually(scenario)
    assert len([at for at in searches if at > 600]) == 4  # the probe that came too early, and the three that wait
    assert max(searches) < HOUR + 1800 + 60
    assert len(quota.said) == 2


def test_the_wait_for_the_quota_counts_as_a_pause() -> None:
    async def scenario() -> tuple[float, float | None]:
        quota = Quota(lifted_at_s=1e9, resets_at=time(10, 0, tzinfo=UTC))
        client = client_of(VirtualVendor(lambda *_: DAILY), waits=at(quota.gate))
        async with anyio.create_task_group() as around:
            around.start_soon(many, client, 2)
            await anyio.sleep(60)
            found = client.paused_s, client.waits_until
            client.stop()
        return found

    paused_s, until = run_virtually(scenario)
    assert HOUR - 120 < paused_s < HOUR
    assert until == MORNING + HOUR


def test_ending_the_run_ends_the_wait_at_once() -> None:
    async def scenario() -> tuple[float, list[object]]:
        quota = Quota(lifted_at_s=1e9, resets_at=time(8, 0, tzinfo=UTC))
        client = client_of(VirtualVendor(quota.reply), waits=at(quota.gate))
        ended: list[object] = []
        async with anyio.create_task_group() as around:
            around.start_soon(lambda: many(client, 50, on=lambda _, how: ended.append(how)))
            await anyio.sleep(600)
            began = anyio.current_time()
            client.stop(Kind.UPLOAD, Kind.SEARCH)
            assert isinstance(await outcome(create(client)), Stopping)  # a drain would only wait with it
        return anyio.current_time() - began, ended

    took_s, ended = run_virtually(scenario)
    assert took_s < 0.5
    assert sum(isinstance(how, Stopping) for how in ended) == 47


def test_the_balance_is_never_probed() -> None:
    async def scenario() -> object:
        quota = Quota(lifted_at_s=0, resets_at=time(10, 0, tzinfo=UTC))
        return await outcome(search(client_of(VirtualVendor(lambda *_: BALANCE), waits=at(quota.gate))))

    ended = run_virtually(scenario)
    assert isinstance(ended, RunPaused)
    assert ended.code == str(BALANCE)


def test_without_waiting_the_daily_limit_ends_the_run() -> None:
    async def scenario() -> object:
        return await outcome(search(client_of(VirtualVendor(lambda *_: DAILY))))

    assert isinstance(run_virtually(scenario), RunPaused)


def test_a_picture_that_is_refused_shows_that_the_quota_is_back() -> None:
    async def scenario() -> tuple[VirtualVendor, QuotaGate]:
        quota = Quota(lifted_at_s=0, resets_at=time(10, 0, tzinfo=UTC))
        replies: dict[int, Reply] = {1: DAILY, 2: 68300010}
        vendor = VirtualVendor(lambda kind, number: replies.get(number))
        await many(client_of(vendor, waits=at(quota.gate)), 1)
        return vendor, quota.gate

    vendor, gate = run_virtually(scenario)
    assert len(vendor.sent) == 2
    assert not gate.closed


# --- answers that bring nothing ---


@pytest.mark.parametrize(
    "data", [{}, {"patent_messages": None}, {"total_search_result_count": 0}, {"patent_messages": []}], ids=str
)
def test_sixty_pictures_without_hits_cost_one_search_each_and_never_look_like_a_vendor_that_is_down(
    data: dict[str, object],
) -> None:
    found: list[object] = []

    async def scenario() -> VirtualVendor:
        vendor = VirtualVendor(lambda kind, number: {"data": data})
        await many(client_of(vendor, qps=50), 60, on=lambda _, ended: found.append(ended))
        return vendor

    vendor = run_virtually(scenario)
    assert len(vendor.sent) == len(found) == 60
    assert all(isinstance(ended, Hits) and ended.scores == () for ended in found)


@pytest.mark.parametrize("said", [{}, {"data": None}, {"data": {"total_search_result_count": 5}}], ids=str)
def test_a_success_that_brings_nothing_fails_its_picture_alone_and_pauses_no_other_call(
    said: dict[str, object],
) -> None:
    """After sixty broken answers the next picture is searched at once: the vendor answers, so it is not down."""
    ended: list[object] = []

    async def scenario() -> float:
        vendor = VirtualVendor(lambda kind, number: said if number <= 60 else None)
        client = client_of(vendor, qps=50)
        await many(client, 60, on=lambda _, one: ended.append(one))
        begun = anyio.current_time()
        assert isinstance(await search(client), Hits)
        return anyio.current_time() - begun

    assert run_virtually(scenario) < 1.0
    assert len(ended) == 60
    assert not any(isinstance(one, RunPaused) for one in ended)
