"""The event loop of a run: uvloop, which takes a twentieth less processor time than asyncio's own (measured).

A run makes its loop itself. Coroutines of ours in any other loop keep the same promises, and are a little slower.
"""

import time

import uvloop


class EventLoop(uvloop.Loop):
    """uvloop with the clock of asyncio's loop: its own counts in milliseconds, and stands still during a callback.

    Permits are spaced by less than that, and the age of a call includes the callback that is running.
    """

    time = staticmethod(time.monotonic)  # seconds
