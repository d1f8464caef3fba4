"""A vendor at one address with an account for each of several clients, each with limits, tasks and pictures of its own.

Each account is a sandbox. What comes in goes to the one that its `apikey`, or the name in its Basic header, names.
"""

import asyncio
import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, TCPConnector, hdrs, web

from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.settings import SandboxSettings
from tests.support.accounts import known_account
from tests.support.jobs import lines, sandbox_cache
from tests.support.workers import told_by

CREDENTIALS = {
    f"PATSNAP_{key}__{name.upper()}": f"{name}-{what}"
    for name in ("main", "second")
    for key, what in (("CLIENT_ID", "client-id"), ("CLIENT_SECRET", "very-secret"))
}
_KEPT = {hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, "X-Request-ID", hdrs.ACCEPT}


class TwoAccounts:
    """The vendor; `of` has the sandbox of each account, by its name."""

    def __init__(self, url: str, of: Mapping[str, SandboxServer]) -> None:
        self.url = url
        self.of = of


@contextmanager
def vendor_of_two(folder: Path, *, main: dict[str, Any], second: dict[str, Any]) -> Iterator[TwoAccounts]:
    """Serve accounts with these settings; what each does lies in a folder of its own in `folder`."""
    with ExitStack() as running:
        of = {
            name: running.enter_context(SandboxServer(_settings(folder, name, settings)))
            for name, settings in (("main", main), ("second", second))
        }
        url = running.enter_context(_front({f"{name}-client-id": server.url for name, server in of.items()}))
        for name in of:
            known_account(url, account(name))
        yield TwoAccounts(url, of)


def account(name: str) -> dict[str, str]:
    """The credentials of an account as the variables of the one account hold them."""
    return {"PATSNAP_CLIENT_ID": f"{name}-client-id", "PATSNAP_CLIENT_SECRET": f"{name}-very-secret"}


def tasks_of(folder: Path, account: str) -> list[dict[str, Any]]:
    """Return the tasks that an account of the vendor has."""
    file = folder / f"vendor-{account}" / "tasks.jsonl"
    return lines(file) if file.exists() else []


def assert_each_once(folder: Path, pictures: int) -> None:
    """Each picture has one task of one account, which its record has."""
    tasks = [*tasks_of(folder, "main"), *tasks_of(folder, "second")]
    assert len({task["urls"][0] for task in tasks}) == len(tasks) == pictures
    records, open_ = told_by(folder / "shared" / "job")
    assert not open_
    assert {record["task"]["task_id"] for record in records} == {task["task_id"] for task in tasks}


def _settings(folder: Path, name: str, settings: dict[str, Any]) -> SandboxSettings:
    client = {"client_id": f"{name}-client-id", "client_secret": f"{name}-very-secret"}
    return SandboxSettings(folder=folder / f"vendor-{name}", cache_dir=sandbox_cache(), **client, **settings)


@contextmanager
def _front(urls: Mapping[str, str]) -> Iterator[str]:
    """Hand every call on to the account that it is for."""
    started, stop = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        found["loop"] = asyncio.get_running_loop()
        async with ClientSession(connector=TCPConnector(limit=0), auto_decompress=False) as session:

            async def hand_on(request: web.Request) -> web.Response:
                url = urls.get(_client_of(request), next(iter(urls.values())))
                headers = {name: value for name, value in request.headers.items() if name in _KEPT}
                body = await request.read()
                target = f"{url}{request.raw_path}"
                async with session.request(request.method, target, data=body or None, headers=headers) as answer:
                    kept = {hdrs.CONTENT_TYPE: answer.headers.get(hdrs.CONTENT_TYPE, "application/json")}
                    return web.Response(status=answer.status, body=await answer.read(), headers=kept)

            app = web.Application(client_max_size=1 << 26)
            app.router.add_route("*", "/{path:.*}", hand_on)
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            found["port"] = runner.addresses[0][1]
            started.set()
            await stop.wait()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="front", daemon=True)
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{found['port']}"
    finally:
        found["loop"].call_soon_threadsafe(stop.set)
        thread.join(10)


def _client_of(request: web.Request) -> str:
    if key := request.query.get("apikey"):
        return key
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return base64.b64decode(given).decode().partition(":")[0] if scheme == "Basic" else ""
