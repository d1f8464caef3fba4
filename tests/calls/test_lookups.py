"""Lookups of foreign names: one that hangs holds up no other, neither the vendor's nor the end of the process."""

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from pipeline.calls import lookups
from pipeline.calls.lookups import MOST, Lookups
from tests.support.processes import PATIENCE_S, completed, python

pytestmark = pytest.mark.anyio


class Hanging:
    """Lookups of names that begin with `slow`: they last until `over` is set, and those that have begun are known."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over = threading.Event()
        self._known = socket.getaddrinfo

    def getaddrinfo(self, host: str, *rest: Any, **more: Any) -> Any:
        if host.startswith("slow"):
            self.begun.append(host)
            self.over.wait(PATIENCE_S)
            raise socket.gaierror("no such name")
        return self._known(host, *rest, **more)

    async def begin(self, resolver: Lookups, count: int) -> None:
        """Begin so many lookups, and wait for none of them."""
        many = len(self.begun) + count
        async with anyio.create_task_group() as hung:
            for number in range(count):
                hung.start_soon(resolver.resolve, f"slow{number}.example.com")
            while len(self.begun) < many:
                await anyio.sleep(0.01)
            hung.cancel_scope.cancel()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    names = Hanging()
    monkeypatch.setattr(lookups.socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.over.set()


async def test_a_name_is_looked_up_while_others_hang_and_those_are_limited(hanging: Hanging) -> None:
    resolver = Lookups()
    await hanging.begin(resolver, MOST - 1)
    (found, *_) = await resolver.resolve("localhost", 443)
    assert (found["host"], found["port"], found["hostname"]) == ("127.0.0.1", 443, "localhost")
    await hanging.begin(resolver, 1)
    with pytest.raises(OSError, match="too many"):
        await resolver.resolve("localhost")
    hanging.over.set()
    with anyio.fail_after(PATIENCE_S):
        while True:
            try:
                assert await resolver.resolve("localhost")
                break
            except OSError:
                await anyio.sleep(0.01)


async def test_a_name_that_is_none_is_refused(hanging: Hanging) -> None:
    hanging.over.set()
    with pytest.raises(OSError, match="no such name"):
        await Lookups().resolve("slow.example.com")


@pytest.mark.proofs
def test_the_end_of_the_process_waits_for_no_lookup() -> None:
    code = """
import anyio, socket, time
from pipeline.calls.lookups import Lookups
socket.getaddrinfo = lambda *_, **__: time.sleep(1e6)
async def main():
    with anyio.move_on_after(0.01):
        await Lookups().resolve("slow.example.com")
anyio.run(main)
"""
    assert completed(python(code), cwd=".", env={**os.environ}).returncode == 0
