"""Links between machines and a server of this machine, each with an address of its own, that can be cut.

with Links() as links:
    link = links.add("127.0.0.11", port)  # the server listens at 127.0.0.1:port
    link.cut()                            # what is under way never arrives, and nothing new begins
    link.heal()                           # connections of before are reset, new ones pass
"""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

SERVER = "127.0.0.1"
_PIECE = 1 << 16

_Pair = tuple[asyncio.StreamWriter, asyncio.StreamWriter]  # to the machine, to the server


class Link:
    """One machine's way to the server. All coroutines run in the thread of its `Links`."""

    def __init__(self, address: str, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.url = f"http://{address}:{port}"
        self.is_cut = False
        self._place = (address, port)
        self._loop = loop
        self._listener: asyncio.Server | None = None
        self._open: set[_Pair] = set()
        self._lost: set[_Pair] = set()

    def cut(self, *, silent: bool = True) -> None:
        """Let no byte pass any more: who connects is refused, and who is connected is told nothing, or is reset."""
        self.is_cut = True
        self._run(self._cut(silent=silent))

    def heal(self) -> None:
        """Let new connections pass, and reset those of before the cut, with what they held."""
        self._run(self._heal())
        self.is_cut = False

    def close(self) -> None:
        """Close everything."""
        self._run(self._cut(silent=False))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _cut(self, *, silent: bool) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # asyncio leaks a connection that it accepts while its server closes: see pipeline.sandbox.server.
            for socket in listener.sockets:
                self._loop.remove_reader(socket)
            for _ in range(10):
                await asyncio.sleep(0)
            listener.close()
        self._lost |= self._open
        self._open.clear()
        if not silent:
            self._reset()

    async def _heal(self) -> None:
        self._reset()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, *self._place)

    def _reset(self) -> None:
        for pair in self._lost:
            _abort(pair)
        self._lost.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(SERVER, self._place[1])
        except OSError:
            writer.transport.abort()
            return
        pair = writer, to_server
        if self._listener is None:  # cut meanwhile
            _abort(pair)
            return
        self._open.add(pair)
        await asyncio.gather(self._pass_on(pair, reader, to_server), self._pass_on(pair, from_server, writer))
        if pair in self._open:
            self._open.remove(pair)
            _abort(pair)

    async def _pass_on(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_PIECE):
                if pair in self._open:
                    writer.write(data)
                    await writer.drain()
            if pair in self._open:
                writer.close()
        except OSError:
            if pair in self._open:
                writer.transport.abort()


def _abort(pair: _Pair) -> None:
    for writer in pair:
        writer.transport.abort()


class Links:
    """The thread in which links work."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self._links: list[Link] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links:
            link.close()
        asyncio.run_coroutine_threadsafe(_let_end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def add(self, port: int) -> Link:
        """Make a link to the server at this port, which need not be there yet."""
        number = len(self._links)
        link = Link(f"127.0.{1 + number // 200}.{1 + number % 200}", port, self._loop)
        self._links.append(link)
        link.heal()
        return link


async def _let_end() -> None:
    """Cancel what still waits."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
