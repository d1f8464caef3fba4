"""The interpreter of a run: its event loop, and settings that were measured to matter, restored when it ends.

The loop is uvloop, which takes a twentieth less processor time than asyncio's own (measured). A run makes its loop
itself; coroutines of ours in any other loop keep the same promises, and are a little slower.
"""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

# The journal's thread asks for the interpreter's lock a dozen times in each group of changes, and all items in flight
# wait for the group. With CPython's own 5 ms between switches a group takes longer (measured: 7 % of the throughput);
# with 0.5 ms both threads take the lock from each other so often that it costs a tenth more CPU (measured).
_SWITCH_S = 0.002
# An answer is 100 small dicts. CPython's own threshold of 700 objects looks for reference cycles at every seventh
# answer, and there are none to be found (measured: 3 % of the throughput).
GARBAGE = (20_000, 20, 50)


class EventLoop(uvloop.Loop):
    """uvloop with the clock of asyncio's loop: its own counts in milliseconds, and stands still during a callback.

    Permits are spaced by less than that, and the age of a call includes the callback that is running.
    """

    time = staticmethod(time.monotonic)  # seconds


@contextmanager
def tuned() -> Iterator[None]:
    """Apply the settings until the block ends."""
    switch_s, garbage, frozen = sys.getswitchinterval(), gc.get_threshold(), gc.get_freeze_count()
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(*GARBAGE)
    if not frozen:  # a program that froze its own objects goes on as it was
        gc.freeze()  # what start-up built lives as long as the run: the collector need not visit it
    try:
        yield
    finally:
        if not frozen:
            gc.unfreeze()
        gc.set_threshold(*garbage)
        sys.setswitchinterval(switch_s)
