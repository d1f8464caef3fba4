"""Processes that are stopped for a while, as by Ctrl-Z or a machine that pauses: answers come all the same."""

import os
import signal
import sys

import anyio
import pytest

from tests.support.misbehaving import CREATED, TASK_ID, Caller, Misbehaving, http
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

# The clock of the child is an hour ahead once it goes on: for all it can tell, it stood still longer than its patience.
CREATE = """
import asyncio, signal, sys
import anyio
from pipeline.calls import transport
from tests.support.clients import client_at, create

class Loop(asyncio.SelectorEventLoop):
    ahead_s = 0.0

    def time(self):
        return super().time() + self.ahead_s

def go_on(*_):
    Loop.ahead_s = 3600.0

async def main():
    async with client_at(sys.argv[1], patience_s=dict.fromkeys(transport.PATIENCE_S, 600.0)) as client:
        print((await create(client)).task_id)

signal.signal(signal.SIGCONT, go_on)
transport.GRACE_S = 600.0
anyio.run(main, backend_options={"loop_factory": Loop})
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("size", [len(CREATED), 1 << 20], ids=["small", "more than a socket holds"])
async def test_an_answer_that_came_while_the_process_was_stopped_is_read_and_not_overdue(size: int) -> None:
    asked, stopped, answered = anyio.Event(), anyio.Event(), anyio.Event()

    async def answer_the_stopped(caller: Caller) -> None:
        await caller.request()
        asked.set()
        await stopped.wait()
        caller.writer.write(http(200, CREATED.ljust(size)))  # sends at once what the child's socket holds
        answered.set()
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
            os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
            stopped.set()
            await answered.wait()
            child.send_signal(signal.SIGCONT)
            with anyio.fail_after(PATIENCE_S):
                said = b"".join([part async for part in child.stdout])
        finally:
            if child.returncode is None:
                child.kill()
    assert said.decode().strip() == TASK_ID
