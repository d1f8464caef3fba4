"""Processes that are stopped for a while, as by Ctrl-Z or a machine that pauses: answers come all the same."""

import signal
import sys

import anyio
import pytest

from tests.support.misbehaving import CREATED, TASK_ID, Caller, Misbehaving, http
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

CREATE = """
import sys
import anyio
from pipeline.models import Kind
from tests.support.clients import client_at, create

async def main():
    async with client_at(sys.argv[1], patience_s=dict.fromkeys(Kind, 2.0)) as client:
        print((await create(client)).task_id)

anyio.run(main)
"""
STOPPED_S = 3.0  # longer than the patience, and than a watch that is merely late


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("size", [len(CREATED), 1 << 20], ids=["small", "more than a socket holds"])
async def test_an_answer_that_came_while_the_process_was_stopped_is_read_and_not_overdue(size: int) -> None:
    asked = anyio.Event()
    stopped = anyio.Event()

    async def answer_the_stopped(caller: Caller) -> None:
        await caller.request()
        asked.set()
        await stopped.wait()
        await caller.say(http(200, CREATED.ljust(size)))
        await caller.reader.read()

    async with (
        Misbehaving(answer_the_stopped) as server,
        await anyio.open_process([sys.executable, "-c", CREATE, server.url]) as child,
    ):
        assert child.stdout is not None
        try:
            with anyio.fail_after(PATIENCE_S):
                await asked.wait()
            child.send_signal(signal.SIGSTOP)
            stopped.set()
            await anyio.sleep(STOPPED_S)
            child.send_signal(signal.SIGCONT)
            with anyio.fail_after(PATIENCE_S):
                said = b"".join([part async for part in child.stdout])
        finally:
            if child.returncode is None:
                child.kill()
    assert said.decode().strip() == TASK_ID
