"""Pictures fetched from the hosts that a search named: free, anonymous, and never from inside this network.

The links come from outside, so nothing of them is trusted: only https on its usual port (http is opened as https on the
same host), no redirects, no cookies and no credentials, every address that a name resolves to must be a public one, and
the connection goes to the very address that was checked. Through `api.proxy` the proxy resolves names; then the rules
for addresses are its own.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.calls.lookups import Lookups
from pipeline.version import __version__

MOST_BYTES: Final = 8 << 20
CONNECT_S, WHOLE_S = 5.0, 20.0
_AT_ONCE = 8  # connections


class NotFetched(Exception):
    """A picture that was not fetched; its text is a few words without the link, whose query is a signature."""


class _PublicOnly(AbstractResolver):
    """A resolver of names that lead to public addresses alone."""

    def __init__(self) -> None:
        self._resolver = Lookups()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError where one of them is not public."""
        found = await self._resolver.resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise OSError("its name leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


def is_public(address: str) -> bool:
    """Return whether an address is one of the public internet: not this machine's, its network's or a cloud's own."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv6Address):
        inner = known.ipv4_mapped or known.sixtofour or (known.teredo or (None, None))[1]
        if inner is not None:
            known = inner
        elif known in _TRANSLATED:  # addresses of the old internet behind a translator: the last 32 bits are theirs
            known = ipaddress.IPv4Address(int(known) & 0xFFFF_FFFF)
    return known.is_global and not known.is_multicast and not known.is_reserved


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class Downloads:
    """Fetches pictures. `own` is the authority of a sandbox on this machine, whose pictures may be fetched, too."""

    def __init__(self, session: aiohttp.ClientSession, *, proxy: str | None = None, own: str = "") -> None:
        self._session = session
        self._proxy = proxy
        self._own = own

    async def fetch(self, url: str) -> bytes:
        """Return what lies at `url`, at most 8 MB. Raises NotFetched."""
        target = self._checked(url)
        try:
            async with self._session.get(target, allow_redirects=False, proxy=self._proxy) as response:
                if response.status != 200:
                    raise NotFetched(f"HTTP {response.status}")
                if (response.content_length or 0) > MOST_BYTES:
                    raise NotFetched("too large")
                return await _read(response)
        except NotFetched:
            raise
        except (aiohttp.ClientError, OSError, ValueError, EOFError, ssl.SSLError, TimeoutError) as exc:
            raise NotFetched(_reason(exc)) from None  # its own text may hold the link

    def _checked(self, url: str) -> URL:
        """Return the address to open. Raises NotFetched for one that must not be opened."""
        try:
            target = URL(url, encoded=True)  # a signature holds for the link as it was sent
            host, port = target.host or "", target.explicit_port
        except ValueError:
            raise NotFetched("no link") from None
        if self._own and target.authority == self._own and target.scheme == "http":
            return target
        if target.scheme not in ("http", "https") or not host or target.user or target.password:
            raise NotFetched("no link that may be opened")
        if port not in (None, 443 if target.scheme == "https" else 80):
            raise NotFetched("an unusual port")
        if _is_address(host) or "." not in host.rstrip("."):
            raise NotFetched("no public host")
        return target.with_scheme("https").with_port(None)


def _is_address(host: str) -> bool:
    """Return whether a host is an address in any of its spellings, which no resolver would check."""
    if ":" in host:
        return True
    try:
        socket.inet_aton(host)  # takes 0x7f.1 and 2130706433, too
    except ValueError:  # a NUL in it: no name either
        return True
    except OSError:
        return False
    return True


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            raise NotFetched("too large")
        parts.append(part)
    return b"".join(parts)


def _reason(exc: Exception) -> str:
    if isinstance(exc, asyncio.TimeoutError | TimeoutError):
        return "no answer in time"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return exc.os_error.strerror or str(exc.os_error) or "no connection"
    return type(exc).__name__


@asynccontextmanager
async def open_downloads(
    *, proxy: str | None = None, ca_file: str | None = None, own: str = ""
) -> AsyncIterator[Downloads]:
    """Open what fetches pictures until the block ends; connections of its own, none of which the paid calls use."""
    tls: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else True
    # Requests to the sandbox on this machine are let through by `_checked` alone; a literal address asks no resolver.
    connector = aiohttp.TCPConnector(limit=_AT_ONCE, ssl=tls, resolver=_PublicOnly(), use_dns_cache=False)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=WHOLE_S, sock_connect=CONNECT_S),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"infringement-pipeline/{__version__}", "Accept": "image/*"},
    ) as session:
        yield Downloads(session, proxy=proxy, own=own)
