"""The end of each kind of call, for those who sleep meanwhile."""

from collections.abc import Iterable

import anyio

from pipeline.errors import Stopping
from pipeline.models import Kind


class Endings:
    """Kinds of calls of which no more are sent, and sleeps that end with them."""

    def __init__(self) -> None:
        self._ended = {kind: anyio.Event() for kind in Kind}

    def end(self, kinds: Iterable[Kind]) -> None:
        """End these kinds: whoever sleeps for one of them gets Stopping."""
        for kind in kinds:
            self._ended[kind].set()

    async def sleep(self, kind: Kind, seconds: float) -> None:
        """Sleep. Raises Stopping as soon as calls of this kind end: the vendor may have asked to wait for minutes."""
        with anyio.move_on_after(seconds):
            await self._ended[kind].wait()
        if self._ended[kind].is_set():
            raise Stopping("the run is ending")
