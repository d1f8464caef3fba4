"""The refusals of a proxy: they must not look like those of a vendor that is not there."""

from urllib.parse import urlsplit

import aiohttp

from pipeline.endpoints.interface import Refusal
from pipeline.errors import Code, WrongProxy

_CREDENTIALS = 407
_MAY_PASS = (408, 429)  # of the refusals that begin with 4
_SETTING = "api.proxy (or PATSNAP_PROXY)"


def raise_if_of_the_proxy(error: Exception, proxy: str | None, *, host: str) -> None:
    """Raise what follows if no connection to `host` was made because of the proxy; its password is never shown.

    1. It wants other credentials, or does not let the host through: WrongProxy, for every call would be refused alike.
    2. It is not there, or did not reach the host: Refusal, as for a vendor that cannot be reached.
    """
    if proxy is None:
        return
    parts = urlsplit(proxy)
    name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        reason = error.os_error.strerror or type(error.os_error).__name__
        raise Refusal("not_sent", detail=f"the proxy {name}: {reason}; it is set in {_SETTING}") from None
    if not isinstance(error, aiohttp.ClientHttpProxyError):
        return
    if error.status == _CREDENTIALS:
        raise _wrong(
            f"the proxy {name} refused its credentials, which are wrong or missing (HTTP {error.status}). Passwords of "
            f"proxies are not supported: set {_SETTING} to a proxy that asks for none, then run again"
        ) from None
    if 400 <= error.status < 500 and error.status not in _MAY_PASS:
        raise _wrong(
            f"the proxy {name} does not let {host} through (HTTP {error.status}): have it allowed there, or set "
            f"{_SETTING} to another proxy, then run again"
        ) from None
    raise Refusal("not_sent", detail=f"the proxy {name} did not reach {host}: HTTP {error.status}") from None


def _wrong(message: str) -> WrongProxy:
    return WrongProxy(message, code=Code.PROXY, sent=False)
