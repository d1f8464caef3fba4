"""Lookups of foreign names: one that hangs holds up no other, neither the vendor's nor the end of the process."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from pipeline.calls import lookups
from pipeline.calls.lookups import MOST, Lookups
from tests.support.processes import completed, python

pytestmark = pytest.mark.anyio


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Let names that begin with `slow` be looked up until the event is set."""
    over, known = threading.Event(), socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **more: Any) -> Any:
        if host.startswith("slow"):
            over.wait(60)
            raise socket.gaierror("no such name")
        return known(host, *rest, **more)

    monkeypatch.setattr(lookups.socket, "getaddrinfo", getaddrinfo)
    yield over
    over.set()


async def test_a_name_is_looked_up_while_others_hang_and_those_are_limited(hanging: threading.Event) -> None:
    resolver = Lookups()
    with anyio.move_on_after(0.01):
        async with anyio.create_task_group() as hung:
            for number in range(MOST - 1):
                hung.start_soon(resolver.resolve, f"slow{number}.example.com")
    (found, *_) = await resolver.resolve("localhost", 443)
    assert (found["host"], found["port"], found["hostname"]) == ("127.0.0.1", 443, "localhost")
    with anyio.move_on_after(0.01):
        await resolver.resolve("slow.example.com")
    with pytest.raises(OSError, match="too many"):
        await resolver.resolve("localhost")
    hanging.set()
    with anyio.fail_after(10):
        while True:
            with anyio.move_on_after(1):
                try:
                    assert await resolver.resolve("localhost")
                    break
                except OSError:
                    await anyio.sleep(0.01)


async def test_a_name_that_is_none_is_refused(hanging: threading.Event) -> None:
    hanging.set()
    with pytest.raises(OSError, match="no such name"):
        await Lookups().resolve("slow.example.com")


@pytest.mark.proofs
def test_the_end_of_the_process_waits_for_no_lookup() -> None:
    code = """
import anyio, socket, time
from pipeline.calls.lookups import Lookups
socket.getaddrinfo = lambda *_, **__: time.sleep(60)
async def main():
    with anyio.move_on_after(0.01):
        await Lookups().resolve("slow.example.com")
anyio.run(main)
"""
    began = time.monotonic()
    assert completed(python(code), cwd=".", env={**os.environ}).returncode == 0
    assert time.monotonic() - began < 50
