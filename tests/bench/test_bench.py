"""The benchmarks measure what they say: each contender does all of the work, and the counting counts."""

from pathlib import Path

import pytest

from tests.bench.compare import CONTENDERS, measure, vendor
from tests.bench.instructions import FEW, MORE, per_picture, total
from tests.bench.lease_cpu import ratio
from tests.bench.leases import permit_us, store_ms
from tests.bench.pace import early_ms, used, worst_second
from tests.support.lease_stores import MemoryStore
from tests.support.lengths import only_short


@pytest.mark.proofs
@pytest.mark.parametrize("name", only_short(CONTENDERS, "pipeline"))
def test_a_contender_searches_and_creates_every_picture(name: str) -> None:
    with vendor("--size", "3000", "--hits", "10") as (address, lag):
        told = measure(name, address, 40)
    assert told["per_s"] > 0
    assert told["rss_mb"] > 10
    assert lag["pictures"] == 40


def test_the_worst_second_is_found_wherever_it_begins() -> None:
    times = [0.0, 0.5, 1.2, 1.3, 1.4, 2.15, 2.35]
    assert worst_second(times) == (4, 2)
    assert early_ms(times, 3) == pytest.approx(100.0)  # 0.5 to 1.4
    assert used([0.0, 0.1, 0.2], 10) == pytest.approx(1.0)


def test_the_check_of_a_permit_is_measured_with_slots_in_use() -> None:
    assert 0 < permit_us(calls=100) < 1000


def test_the_store_of_leases_is_measured_with_so_many_machines() -> None:
    store = MemoryStore()
    assert min(store_ms(store, machines=2, times=3)) > 0
    assert len(store.entries) == 2


@pytest.mark.proofs
def test_what_leases_cost_a_run_is_measured_in_a_run() -> None:
    assert ratio(qps=50, pictures=20, us=0.0) > 1


def test_instructions_are_those_of_one_more_picture(tmp_path: Path) -> None:
    profile = tmp_path / "callgrind-01"
    profile.write_text("# callgrind format\npid: 1\nthread: 1\n\nevents: Ir\nsummary: 4040462987\n\nfn=(1) f\n31 3\n")
    assert total(profile) == 4_040_462_987
    more = MORE - FEW
    assert per_picture({1: 7, 2: 1}, {1: 7 + 2_500_000 * more, 2: 1, 3: 9}) == {"the loop": 2.5, "the journal": 0.0}
