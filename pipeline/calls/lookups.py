"""Names of foreign hosts looked up in threads of their own, so that one that hangs holds up nobody else.

The event loop looks names up in a few threads that all its users share, the paid calls among them: four names whose
servers never answer would keep the vendor's own from being found, and the process from its end.
"""

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

MOST = 8  # lookups at once, with those that nobody waits for any more

_Found = list[tuple[Any, ...]]


class Lookups(AbstractResolver):
    """A resolver whose lookups take a thread each, which the end of the process does not wait for."""

    def __init__(self) -> None:
        self._under_way = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError where it has none, or too many lookups hang."""
        if self._under_way >= MOST:
            raise OSError("too many names are looked up")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Found] = loop.create_future()

        def settle(found: _Found | None, error: Exception | None) -> None:
            self._under_way -= 1
            if answer.cancelled():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(found or [])

        def look_up() -> None:
            found, error = None, None
            try:
                found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            except Exception as exc:
                error = exc
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, found, error)

        threading.Thread(target=look_up, name="lookup", daemon=True).start()
        self._under_way += 1
        return [_result(host, one) for one in await answer]

    async def close(self) -> None:
        """Do nothing: a lookup that hangs ends by itself."""


def _result(name: str, found: tuple[Any, ...]) -> ResolveResult:
    family, _, proto, _, (address, port, *_) = found
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=name, host=address, port=port, family=family, proto=proto, flags=flags)
