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
from pipeline.sandbox.tasks import read_tasks
from tests.sandbox.conftest import Settings, Start
from tests.support.sandbox_calls import KEY, PRODUCT, SEARCH, call, create, creation, search, single


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

    def test_closing_twice_does_nothing(self, settings: Settings) -> None:
        with SandboxServer(settings()) as server:
            server.close()
        server.close()

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

    @pytest.mark.anyio
    async def test_it_ends_although_an_answer_has_a_long_latency(self, settings: Settings) -> None:
        with SandboxServer(settings(latency_s=3600)) as server:
            async with anyio.create_task_group() as calls:
                calls.start_soon(_ignoring_errors, server)
                while not server.stats.executed.get("search"):
                    await anyio.sleep(0.01)
                await anyio.to_thread.run_sync(server.close)
        assert "sandbox" not in {thread.name for thread in threading.enumerate()}

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
            "pipeline.errors.SpecError: The sandbox needs numpy: pip install 'numpy>=2,<3'"
        )
        assert "During handling" not in ended.stderr

    def test_settings_show_no_secret(self, settings: Settings) -> None:
        assert "sandbox-secret" not in repr(settings())
        assert "sandbox-key" not in repr(settings())

    @pytest.mark.parametrize("wrong", [{"latency_s": -1}, {"latency_s": (2, 1)}, {"qps": 0}, {"qps": 2e6}])
    def test_settings_that_make_no_sense_are_refused(self, wrong: dict, settings: Settings) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            settings(**wrong)


@pytest.mark.anyio
class TestStats:
    async def test_arrivals_are_logged_per_endpoint_refused_ones_included(self, start: Start) -> None:
        server = start(qps=0.001)
        await search(server)
        await search(server)
        await create(server)
        first, second = server.stats.arrivals("search")
        assert first <= second
        assert (server.stats.calls("search"), server.stats.calls("create"), server.stats.calls("query")) == (2, 1, 0)
        assert server.stats.arrivals("query") == []

    async def test_outcomes_and_executions_are_told_apart(self, start: Start) -> None:
        server = start(faults=scripted(search=["http_502", "lost"]))
        await search(server)
        with pytest.raises(aiohttp.ClientError):
            await search(server)
        await search(server)
        assert server.stats.outcomes == {"search": {"http_502": 1, "reset.after": 1, "ok": 1}}
        assert server.stats.executed == {"search": 2}

    async def test_the_loops_lag_is_measured(self, start: Start) -> None:
        server = start()
        while server.stats.lag_max_s == 0.0:
            await anyio.sleep(0.01)
        assert 0 <= server.stats.lag_p99_s <= server.stats.lag_max_s

    def test_the_most_in_a_second_is_of_any_sliding_second(self) -> None:
        from pipeline.sandbox.stats import SandboxStats

        stats = SandboxStats()
        assert stats.most_in_a_second("search") == 0
        stats._arrivals["search"].extend([0.0, 0.9, 1.0, 1.8, 1.9, 5.0])
        assert stats.most_in_a_second("search") == 4


@pytest.mark.anyio
class TestFaults:
    async def test_a_lost_answer_was_executed_and_a_reset_was_not(self, start: Start, tmp_path: Path) -> None:
        server = start(faults=scripted(create=["reset", "lost"]))
        for executed in (0, 1):
            with pytest.raises(aiohttp.ClientError):
                await create(server)
            assert len(list(read_tasks(tmp_path / "sandbox"))) == executed

    async def test_a_truncated_answer_ends_in_the_middle(self, start: Start) -> None:
        server = start(faults=scripted(search=["truncated"]))
        with pytest.raises(aiohttp.ClientPayloadError):
            await search(server)
        assert server.stats.executed == {"search": 1}

    async def test_garbage_is_http_200_without_json(self, start: Start) -> None:
        reply = await search(start(faults=scripted(search=["garbage"])))
        assert reply.status == 200
        with pytest.raises(ValueError, match=r".*"):
            _ = reply.envelope

    async def test_a_slow_answer_is_whole_in_the_end(self, start: Start) -> None:
        server = start(faults=FaultPlan(rules=scripted(search=["slow"]).rules, drip_s=0.05))
        slow, plain = await search(server), await search(server)
        assert slow.body == plain.body

    async def test_a_late_answer_is_the_right_one(self, start: Start) -> None:
        server = start(faults=FaultPlan(rules=scripted(search=["late"]).rules, late_s=0.05))
        late, plain = await search(server), await search(server)
        assert late.body == plain.body

    async def test_a_hanging_call_never_gets_a_byte_and_ends_with_its_client(
        self, start: Start, tmp_path: Path
    ) -> None:
        server = start(faults=scripted(create=["hang"]))
        async with aiohttp.ClientSession(headers=KEY) as session:
            with pytest.raises(TimeoutError):
                await session.post(
                    f"{server.url}/ai/infringement-detection-creation",
                    json=creation(),
                    timeout=aiohttp.ClientTimeout(total=0.5),
                )
        assert len(list(read_tasks(tmp_path / "sandbox"))) == 1

    async def test_no_data_is_a_success_without_data(self, start: Start) -> None:
        reply = await create(start(faults=scripted(create=["no_data"])))
        assert reply.envelope == {"status": True, "error_code": 0, "error_msg": ""}

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 599])
    async def test_a_gateway_answers_html(self, status: int, start: Start) -> None:
        reply = await search(start(faults=scripted(search=[f"http_{status}"])))
        assert reply.status == status
        assert reply.headers["Content-Type"] == "text/html"
        assert ("Retry-After" in reply.headers) is (status == 429)

    async def test_a_redirect_points_to_the_sandbox_and_following_it_shows(self, start: Start) -> None:
        server = start(faults=scripted(search=["redirect"]))
        reply = await search(server)
        assert reply.status == 307
        assert reply.headers["Location"] == f"/redirected{SEARCH}"
        assert (await call(server, "GET", reply.headers["Location"])).code == 67200101
        assert server.stats.calls("redirected") == 1

    async def test_a_bomb_is_small_on_the_wire_and_unpacks_to_its_size(self, start: Start) -> None:
        server = start(faults=FaultPlan(rules=scripted(search=["bomb"]).rules, bomb_bytes=3 * 2**20 + 7))
        async with (
            aiohttp.ClientSession(headers=KEY, auto_decompress=False) as session,
            session.get(server.url + SEARCH, params={"url": PRODUCT}) as response,
        ):
            assert response.headers["Content-Encoding"] == "gzip"
            assert len(await response.read()) < 10_000
        server = start(faults=FaultPlan(rules=scripted(search=["bomb"]).rules, bomb_bytes=3 * 2**20 + 7))
        assert len((await search(server)).data) == 3 * 2**20 + 7

    async def test_both_searches_share_their_faults_and_limits(self, start: Start) -> None:
        server = start(faults=scripted(search=["ok", "67200100"]))
        assert (await search(server)).code == 0
        assert (await single(server)).code == 67200100


async def _ignoring_errors(server: SandboxServer) -> None:
    with suppress(aiohttp.ClientError):
        await search(server)
