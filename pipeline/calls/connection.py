"""The connections to a vendor as the system has them: how long it delivers what was sent, and whether one is open.

The proof that a connection is open is looked for at the moment before a request's first byte.

A server may close a connection without saying so in its answer. The end of the stream then lies in our socket, and the
event loop has not come to read it: a create that leaves nevertheless is in doubt for nothing.
"""

import contextlib
import select
import socket
import sys
import weakref

import aiohttp
from aiohttp.client_proto import ResponseHandler

from pipeline.endpoints.interface import Refusal
from pipeline.errors import Code, Reconnect

UNDELIVERED_MS = 3_000
_ESTABLISHED = 1  # TCP_ESTABLISHED of linux/tcp_states.h, where the state is the first byte of `struct tcp_info`


def deliver_soon_or_never(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose connection ends when the other side has not acknowledged what was sent within 3 seconds.

    A call that was sent during a cut lies in the system, which delivers it when the cut heals, minutes later: beyond
    the pace of that second, and perhaps when the lease that it was sent under is another machine's. Only Linux can.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNDELIVERED_MS)
    return made


class Proofs:
    """The proofs of one session; it remembers which connections have carried a request before."""

    def __init__(self) -> None:
        self._used: weakref.WeakSet[ResponseHandler] = weakref.WeakSet()

    def used(self, conn: aiohttp.connector.Connection) -> None:
        """Note that a request leaves on this connection."""
        if conn.protocol is not None:
            self._used.add(conn.protocol)

    def require_open(self, conn: aiohttp.connector.Connection) -> None:
        """Return if nothing says that the connection is closed, or is about to be; else nothing may leave on it.

        Raises Reconnect for a kept connection: the next one may be good. Raises Refusal for a new one: whoever closes
        what was just opened is not there, and asking again at once would go on for ever.
        """
        protocol = conn.protocol
        if protocol is not None and protocol.is_connected() and not protocol.should_close and not _is_ended(protocol):
            return
        if protocol is not None and protocol in self._used:
            raise Reconnect("its connection was closed before its turn", code=Code.STALE, sent=False)
        raise Refusal("not_sent", detail="the connection was closed as soon as it was open")


def _is_ended(protocol: ResponseHandler) -> bool:
    """Return whether the system knows that the other side has closed or reset the connection.

    Linux is asked for the state of TCP, which keeps the interpreter's lock. Elsewhere `poll` tells whether anything
    lies in the socket: before a request that can only be an end, or over TLS a ticket, so there it is not asked. It
    gives the lock away: beside the journal's thread two polls a picture cost a tenth of the throughput (measured).
    """
    assert protocol.transport is not None
    sock = protocol.transport.get_extra_info("socket")
    if sock is None:
        return False
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # no TCP: a socket of another kind
            return _tcp_state(sock.fileno()) != _ESTABLISHED
    if not hasattr(select, "poll") or protocol.transport.get_extra_info("ssl_object") is not None:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _tcp_state(descriptor: int) -> int:
    """Ask the system for the state of a TCP connection; uvloop's stand-in for a socket takes three times as long."""
    sock = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)  # the family says nothing here
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    finally:
        sock.detach()
