"""The speed of this machine's processor, by which bounds on work are written: so they hold on a slow machine, too."""

import time
from functools import cache


@cache
def million_steps_s() -> float:
    """Return the seconds of the processor that a million steps of Python take here: 0.06 on a machine of today."""
    return min(_measured_s() for _ in range(3))


def _measured_s() -> float:
    before = time.process_time()
    sum(n * n for n in range(1_000_000))
    return time.process_time() - before
