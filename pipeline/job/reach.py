"""Hosts of pictures: the ones that a vendor elsewhere can never reach, however they are spelled."""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from pipeline.job.checks import check_url, host_of_plain_url
from pipeline.models import SANDBOX_HOST

_LOCAL_ENDINGS = (
    *("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa"),
    *("invalid", "onion"),
)
# Public names that lead back to whoever looks them up, and names that hold the address to which they lead.
_OF_THIS_MACHINE = ("localtest.me", "lvh.me", "vcap.me", "lacolhost.com")
_WITH_ADDRESS = ("nip.io", "sslip.io", "xip.io")
_ADDRESS_INSIDE = re.compile(r"(?:^|[.-])(\d{1,3}(?:([.-])\d{1,3})(?:\2\d{1,3}){2})$")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_NAT64 = ip_network("64:ff9b::/96")
_FIX = "list a URL that opens from anywhere, or the file itself with `path:`"


def check_picture_url(value: str) -> str:
    """Return `value` if a vendor may be able to fetch a picture there; raise ValueError with the rule."""
    require_reachable(host_of_plain_url(value) or urlsplit(check_url(value)).netloc)
    return value


def require_reachable(netloc: str) -> None:
    """Raise ValueError where no vendor elsewhere can reach a host."""
    if fault := _fault_of_netloc(netloc):
        raise ValueError(fault)


@lru_cache(maxsize=1000)  # a million URLs of a manifest are those of a few hosts
def _fault_of_netloc(netloc: str) -> str:
    host = SplitResult("https", netloc, "", "", "").hostname or ""
    if host in ("http", "https"):
        return f"the URL begins twice with {host}://; write it once"
    why = why_unreachable(host)
    return f"the vendor cannot reach {host!r}, {why}; {_FIX}" if why else ""


def why_unreachable(host: str) -> str:
    """Say what a host is that cannot be reached from outside its network; "" for one that may be."""
    name = unicodedata.normalize("NFKC", unquote(host)).casefold().replace("\u3002", ".").rstrip(".")
    if name == SANDBOX_HOST:
        return ""
    if ":" in name:
        return _kind_of(IPv6Address(name.partition("%")[0]))
    if _NUMBER.fullmatch(name.rpartition(".")[2]):  # browsers, too, take such a name for an address
        address = _address_of(name)
        return "no address" if address is None else _kind_of(address)
    if "." not in name:
        return "this machine" if name == "localhost" else "a name inside one network (it has no dot)"
    if f".{name}".endswith(tuple(f".{ending}" for ending in _OF_THIS_MACHINE)):
        return "this machine"
    if (ending := _ending(name, _WITH_ADDRESS)) and (inside := _ADDRESS_INSIDE.search(name.removesuffix(f".{ending}"))):
        address = _address_of(inside[1].replace("-", "."))
        return "" if address is None else _kind_of(address)
    ending = _ending(name, _LOCAL_ENDINGS)
    return f"a name inside one network (.{ending})" if ending else ""


def _ending(name: str, endings: tuple[str, ...]) -> str:
    """Return the one of these endings that a name has; "" for none."""
    return next((ending for ending in endings if name.endswith(f".{ending}")), "")


def _address_of(name: str) -> IPv4Address | None:
    """Read an IPv4 address in any spelling that programs understand: 127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1."""
    numbers = [_number(part) for part in name.split(".")]
    whole = [number for number in numbers if number is not None]
    if len(whole) != len(numbers) or len(whole) > 4:
        return None
    *front, last = whole
    if any(number > 255 for number in front) or last >= 256 ** (4 - len(front)):
        return None
    return IPv4Address(sum(number << 8 * (3 - index) for index, number in enumerate(front)) + last)


def _number(text: str) -> int | None:
    try:
        if text.startswith("0x"):
            return int(text[2:] or "0", 16)
        return int(text, 8) if text.startswith("0") else int(text)
    except ValueError:
        return None


def _kind_of(address: IPv4Address | IPv6Address) -> str:
    """Name the use of an address that is not public; "" for a public one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and (address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1)):
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _kind_of(inner)
    if address.is_loopback or address.is_unspecified:
        return "this machine"
    if address.is_link_local:
        return "a link-local address"
    if address.is_private:
        return "a private address"
    return (
        "" if address.is_global and not (address.is_multicast or address.is_reserved) else "an address of special use"
    )
