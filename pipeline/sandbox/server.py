"""The sandbox on a loopback port, in a thread and an event loop of its own."""

import asyncio
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from aiohttp import web

from pipeline.errors import SpecError
from pipeline.system.fault import Fault

try:
    import numpy  # noqa: F401 - an optional extra: say so before a module deeper down fails to import it
except ImportError:
    raise SpecError(Fault("the sandbox needs numpy: pip install 'numpy>=2,<3'")) from None

from pipeline.sandbox.app import STATS, make_app
from pipeline.sandbox.settings import SandboxSettings
from pipeline.sandbox.stats import SandboxStats

HOST = "127.0.0.1"

_BACKLOG = 1024
_DRAIN_S = 1.0
_JOIN_S = 10.0
_KEEP_ALIVE_S = 3630.0


class SandboxServer:
    """One sandbox that is served inside a `with` block; port 0 takes any free one.

    It has a thread and an event loop of its own, so that it does not disturb the pace of a client in this process. At
    its end calls in flight get `_DRAIN_S` to finish; whatever happens, closing takes at most `_JOIN_S`.
    """

    def __init__(self, settings: SandboxSettings, *, port: int = 0) -> None:
        self._settings = settings
        self._port = port
        self._app: web.Application | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        listener = _listener(self._port)
        try:
            self._app = make_app(self._settings)
        except BaseException:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(listener,), name="sandbox", daemon=True)
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SandboxServer {self.url}>" if self._started.is_set() else "<SandboxServer, not started>"

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    @property
    def stats(self) -> SandboxStats:
        """Counts of what arrived; they may be read while the sandbox runs and afterwards."""
        assert self._app is not None, "the sandbox has not been started"
        return self._app[STATS]

    def close(self) -> None:
        """Stop listening, give calls in flight a moment to finish, and end the thread. A second call does nothing."""
        if self._loop is None or self._thread is None:
            return
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_JOIN_S)

    def _serve(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._main(listener))
        finally:
            self._started.set()

    async def _main(self, listener: socket.socket) -> None:
        assert self._app is not None
        self._loop = asyncio.get_running_loop()
        idle_s = _KEEP_ALIVE_S if self._settings.keep_alive_s is None else self._settings.keep_alive_s
        runner = web.AppRunner(
            self._app, access_log=None, handle_signals=False, shutdown_timeout=_DRAIN_S, keepalive_timeout=idle_s
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
            self._started.set()
            async with asyncio.TaskGroup() as beside:
                beside.create_task(self.stats.watch_loop(self._stop))
                await self._stop.wait()
            # asyncio leaks a connection that it accepts while its server closes (an assertion in Server._attach). So
            # stop accepting first, and let the runner see what was accepted.
            self._loop.remove_reader(listener)
            await _let_callbacks_run()
        finally:
            await runner.cleanup()
            await _let_callbacks_run()  # a closed transport closes its socket in a callback


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=_BACKLOG)
    except (OSError, OverflowError) as exc:
        what = f"the sandbox cannot listen on {HOST}:{port}: {exc}; --port 0 takes any free port"
        raise SpecError(Fault(what, where="--port")) from exc


async def _let_callbacks_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
