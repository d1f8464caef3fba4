"""The life of a served sandbox: its port, its thread, its end whatever waits."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import aiohttp
import anyio
import pytest

import pipeline
from pipeline.errors import SpecError
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.server import SandboxServer
from tests.support.fixtures import Settings, Start
from tests.support.processes import PATIENCE_S
from tests.support.sandbox_calls import search


def scripted(**scripts: list[str]) -> FaultPlan:
    return FaultPlan.scripted(scripts)


class TestLifetime:
    def test_it_listens_on_loopback_and_ends_its_thread(self, settings: Settings) -> None:
        before = threading.active_count()
        with SandboxServer(settings()) as server:
            host, port = server.url.removeprefix("http://").split(":")
            assert host == "127.0.0.1"
            socket.create_connection((host, int(port))).close()
        assert threading.active_count() == before
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))

    def test_closing_twice_leaves_alone_whoever_has_its_port_by_then(self, settings: Settings) -> None:
        with SandboxServer(settings()) as first:
            port = int(first.url.rpartition(":")[2])
        with SandboxServer(settings(), port=port) as second:
            first.close()
            socket.create_connection(("127.0.0.1", port)).close()
            assert repr(second) == f"<SandboxServer http://127.0.0.1:{port}>"

    def test_one_that_never_started_can_be_closed(self, settings: Settings) -> None:
        server = SandboxServer(settings())
        assert repr(server) == "<SandboxServer, not started>"
        server.close()

    def test_a_port_in_use_is_one_clear_line(self, settings, start: Start) -> None:
        port = int(start().url.rsplit(":", 1)[1])
        with pytest.raises(SpecError, match=f"cannot listen on 127.0.0.1:{port}") as error:
            SandboxServer(settings(), port=port).__enter__()
        assert len(error.value.lines) == 1

    def test_one_that_cannot_start_leaves_its_port_free(self, settings: Settings, tmp_path: Path) -> None:
        server = SandboxServer(settings(gallery=tmp_path / "none"))
        with pytest.raises(FileNotFoundError):
            server.__enter__()
        server.close()

    def test_a_given_port_is_taken(self, settings: Settings) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with SandboxServer(settings(), port=port) as server:
            assert server.url == f"http://127.0.0.1:{port}"

    @pytest.mark.proofs
    @pytest.mark.anyio
    @pytest.mark.parametrize("fault", ["hang", "slow", "late"])
    async def test_it_ends_although_calls_are_waiting(self, fault: str, settings: Settings) -> None:
        server = SandboxServer(
            settings(faults=FaultPlan(rules=scripted(search=[fault]).rules, late_s=3600, drip_s=3600))
        )
        with server:
            async with anyio.create_task_group() as calls:
                calls.start_soon(_ignoring_errors, server)
                while not server.stats.outcomes.get("search"):
                    await anyio.sleep(0.01)
                await anyio.to_thread.run_sync(server.close)
        assert "sandbox" not in {thread.name for thread in threading.enumerate()}

    @pytest.mark.proofs
    @pytest.mark.anyio
    async def test_it_ends_although_an_answer_has_a_long_latency(self, settings: Settings) -> None:
        with SandboxServer(settings(latency_s=3600)) as server:
            async with anyio.create_task_group() as calls:
                calls.start_soon(_ignoring_errors, server)
                while not server.stats.executed.get("search"):
                    await anyio.sleep(0.01)
                await anyio.to_thread.run_sync(server.close)
        assert "sandbox" not in {thread.name for thread in threading.enumerate()}

    @pytest.mark.proofs
    def test_without_numpy_it_is_one_line_that_says_what_to_install(self) -> None:
        code = "import sys; sys.modules['numpy'] = None\nimport pipeline.sandbox.server"
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=Path(pipeline.__file__).parents[1],
        )
        assert ended.stderr.splitlines()[-1] == (
            "pipeline.errors.SpecError: the sandbox needs numpy: pip install 'numpy>=2,<3'"
        )
        assert "During handling" not in ended.stderr


async def _ignoring_errors(server: SandboxServer) -> None:
    with suppress(aiohttp.ClientError):
        await search(server)


@pytest.mark.anyio
async def test_a_kept_connection_can_be_closed_without_a_word(start: Start) -> None:
    """The answer does not say `Connection: close`; the end of the stream comes after it all the same."""
    server = start(keep_alive_s=0)
    host, port = server.url.removeprefix("http://").split(":")
    stream = await anyio.connect_tcp(host, int(port))
    async with stream:
        await stream.send(b"GET /nothing HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        received = b""
        with anyio.fail_after(PATIENCE_S), suppress(anyio.EndOfStream):
            while True:
                received += await stream.receive()
    assert received.startswith(b"HTTP/1.1 200")
    assert b"\r\nconnection:" not in received.lower()
