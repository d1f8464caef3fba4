"""Clients that give up on a call when a test says so, and on no other: their patience does not hang on a clock."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pipeline.calls import transport
from tests.support import processes

GiveUp = Callable[[str], None]


@contextmanager
def giving_up_when_told() -> Iterator[GiveUp]:
    """Yield a function that ends the client's patience with a call, named by its X-Request-ID; from any thread."""
    sessions: list[transport._Exchanges] = []
    watch = transport._Exchanges.watch

    def watching(session: transport._Exchanges, every_s: float, due: float = math.inf) -> None:
        if not any(known is session for known in sessions):
            sessions.append(session)
        watch(session, 0.01, due)

    def give_up(request_id: str) -> None:
        for session in sessions:
            if (exchange := session.get(request_id)) is not None:
                exchange.deadline = -math.inf

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport._Exchanges, "watch", watching)
        for kind in transport.PATIENCE_S:
            patch.setitem(transport.PATIENCE_S, kind, processes.PATIENCE_S)  # type: ignore[arg-type]
        yield give_up
