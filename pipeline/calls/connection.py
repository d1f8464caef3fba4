"""The proof that a connection is still open, looked for at the moment before a request's first byte.

A server may close a connection without saying so in its answer. The end of the stream then lies in our socket, and the
event loop has not come to read it: a create that leaves nevertheless is in doubt for nothing.
"""

import select
import weakref

import aiohttp
from aiohttp.client_proto import ResponseHandler

from pipeline.endpoints.interface import Refusal
from pipeline.errors import Code, Reconnect


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
        if protocol is not None and protocol.is_connected() and not protocol.should_close:
            if not _has_unread(protocol):
                return
            # Over TLS that may also be a ticket that came this moment: a new connection costs less than a doubt.
            kept = protocol in self._used or _is_tls(protocol)
        else:
            kept = protocol is not None and protocol in self._used
        if kept:
            raise Reconnect("its connection was closed before its turn", code=Code.STALE, sent=False)
        raise Refusal("not_sent", detail="the connection was closed as soon as it was open")


def _is_tls(protocol: ResponseHandler) -> bool:
    return protocol.transport is not None and protocol.transport.get_extra_info("ssl_object") is not None


def _has_unread(protocol: ResponseHandler) -> bool:
    """Return whether anything lies in the socket: before a request it can only be an end, or belong to nothing."""
    assert protocol.transport is not None
    sock = protocol.transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
