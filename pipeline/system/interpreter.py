"""The interpreter's own settings while a run goes on: what is measured to matter, and put back afterwards."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# The journal's thread asks for the interpreter's lock a dozen times in each group, and all in flight wait for it: with
# 5 ms, CPython's own, a group takes longer (measured: 7 % of the throughput).
_SWITCH_S = 0.0005
# An answer is 100 small dicts, so CPython's own threshold of 700 looks for cycles with every seventh of them, and there
# are none (measured: 3 %).
_GARBAGE = (20_000, 20, 50)


@contextmanager
def tuned() -> Iterator[None]:
    """Tune the interpreter to a run."""
    switch_s, garbage = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(*_GARBAGE)
    gc.freeze()  # what start-up has built lives as long as the run: no need to look at it again and again
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*garbage)
        sys.setswitchinterval(switch_s)
