"""T16: what a load at any speed rests on, without a clock: few syncs an item, and nothing kept of those that are done.

`make load` measures the rate, the barriers' p99 and the memory over time: docs/reliability.md.
"""

import gc
import tracemalloc
from functools import partial
from pathlib import Path

import anyio

from tests.proof.load import load
from tests.proof.power_loss import fast_folder


def test_on_a_slow_disk_many_items_share_a_sync(tmp_path: Path) -> None:
    """Two barriers an item, yet at most a sync for eight of them: else 1,000 items a second would need 2,000 syncs.

    It was one for five while calls were reserved sixteen at a time: each such group let sixteen items go on.
    """
    figures = anyio.run(partial(load, tmp_path / "run", 1500, sync_s=0.02))
    assert len(figures.barriers) == 2 * figures.items == 3000
    assert 0 < figures.syncs <= figures.items / 8


def test_nothing_is_kept_in_memory_of_items_that_are_done() -> None:
    """From the middle to the end at most 300 bytes an item, the measuring included; one on its way has thousands."""

    count = 2000

    def traced() -> float:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        with fast_folder() as base:
            figures = anyio.run(partial(load, Path(base) / "run", count, look=traced))
    finally:
        tracemalloc.stop()
    assert figures.items == count
    assert figures.memory[-1] - figures.memory[10] < 300 * count / 2
