"""The simulation runs the real protocol: its store answers as a folder does, its workers keep what leases promise."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.leases.folder_store import FolderStore
from pipeline.leases.slots import Slots
from pipeline.leases.store import StoreUnknown
from tests.bench.estimates import Assumed, days
from tests.bench.simulate import FOLDER, death, outage, steady, upgrade
from tests.support.simulated_workers import Case, Exceeded, simulated
from tests.support.timed_store import Place, Server, TimedStore
from tests.support.virtual_threads import VirtualThreads

CASE = Case(FOLDER, qps=4, workers=2, machines=2, between_s=0, answer_s=5)
SERIES = ["w/aa", "w/bb", "q/acme/search/0", "q/acme/search/1", "stop/acme/all", "stop/acme/job/a"]
ROOMS = ["w", "q/acme", "stop/acme", "stop/acme/job", "s/5eed"]


def test_threads_take_turns_in_the_order_of_time() -> None:
    seen = []

    def step(name: str, seconds: float) -> None:
        for _ in range(2):
            threads.sleep(seconds)
            seen.append((name, threads.now))

    with VirtualThreads() as threads:
        killed = threads.start(lambda: step("killed", 5))
        threads.start(lambda: step("slow", 2))
        threads.start(lambda: step("fast", 1.5))
        threads.sleep(4.5)
        threads.kill(killed)
        threads.sleep(10)
    assert seen == [("fast", 1.5), ("slow", 2.0), ("fast", 3.0), ("slow", 4.0)]


def test_an_error_of_a_thread_is_not_lost() -> None:
    def step() -> None:
        raise ZeroDivisionError

    with VirtualThreads() as threads:
        threads.start(step)
        with pytest.raises(ZeroDivisionError):
            threads.sleep(1)


def test_the_timed_store_answers_as_a_folder_does(tmp_path: Path) -> None:
    chance = random.Random(5)
    folder, numbers = FolderStore(tmp_path), dict.fromkeys(SERIES, 0)
    with VirtualThreads() as threads:
        timed = TimedStore(Server(threads, FOLDER), Place())
        for _ in range(20):
            series, room = chance.choice(SERIES), chance.choice(ROOMS)
            number = numbers[series] = max(1, numbers[series] + chance.choice([0, 1, 1]))
            value = bytes([chance.randrange(65, 90)])
            assert timed.put_new(series, number, value) == folder.put_new(series, number, value)
            if number > 2:
                timed.drop(series, number - 2)
                folder.drop(series, number - 2)
            assert timed.read(series, number - 1) == folder.read(series, number - 1)
            assert timed.newest(room) == folder.newest(room)


def test_what_a_process_has_read_is_not_asked_for_again_and_each_page_of_names_is() -> None:
    with VirtualThreads() as threads:
        server = Server(threads, replace(FOLDER, page=2))
        place = Place()
        for number in range(1, 6):
            place.put("w/aa", number, b"x")
        store = TimedStore(server, place)
        store.newest("w")
        store.newest("w")
        assert server.counts == {"list": 2 * 3, "get": FOLDER.of_get}
        server.out_until = threads.now + 9
        with pytest.raises(StoreUnknown):
            store.newest("w")


def test_two_workers_use_the_whole_limit_and_a_death_gives_it_to_the_other() -> None:
    with simulated(CASE) as world:
        assert steady(world, warm_s=20, steady_s=20).use == pytest.approx(1, abs=0.03)
        cost = death(world, 1.0, back_s=60, after_s=60)
        assert cost.in_doubt == pytest.approx(2 * CASE.answer_s)
        assert 16 / 2 < cost.seconds < 26 / 2  # half of the limit, until others take it
        assert sum(one.per_second("search") for one in world.workers) == CASE.qps


def test_an_outage_costs_what_is_beyond_the_lease_and_nobody_is_taken_for_dead() -> None:
    with simulated(CASE) as world:
        world.go_on(20)
        before = {one.lease.incarnation for one in world.workers if one.lease}
        assert outage(world, 1.0, 40) == pytest.approx(40 - 7.5, abs=6)
        assert {one.lease.incarnation for one in world.workers if one.lease} == before


def test_an_upgrade_is_done_in_good_order() -> None:
    with simulated(CASE) as world:
        world.go_on(20)
        assert upgrade(world, 1.0) < 30
        assert all(one.alive for one in world.workers)
        assert world.in_doubt == 0


def test_the_simulation_finds_two_holders_of_one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slots, "_is_free", lambda *_: True)
    monkeypatch.setattr(Slots, "_hungry", lambda slots: [slots._incarnation])
    with pytest.raises(Exceeded), simulated(CASE) as world:
        world.go_on(30)


def test_estimates_are_plain_arithmetic() -> None:
    assert days(50) == pytest.approx(23.15, abs=0.01)
    assert Assumed(answer_s=5, change_s=1).working(50, 10_000) == pytest.approx(200 / 211)
