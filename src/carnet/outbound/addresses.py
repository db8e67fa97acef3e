"""Which addresses may be reached from here: those of the open network, and private ones that the operator has named.

A name is looked up once, every address that it has is judged, and the connection goes to one of those that were
judged: a name that says something else a moment later changes nothing. Source: RFC 6890; security 18; OWASP ASVS 1.3.6.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from carnet.errors import Reason, Refused

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""From a host's name and a port to its addresses; raises OSError where there is none."""

MAX_URL: Final = 400
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_NOT_OPEN: Final[tuple[Network, ...]] = (
    # Addresses that carry another one within, or that a relay turns into another one.
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Reach:
    """How far this node reaches: the open network, and `networks` that are private and allowed by the operator. With
    `is_local` also this machine, over plain http: a network for trying things that serves this machine alone."""

    networks: tuple[Network, ...] = ()
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """An address to post to, taken apart. `path` has the query."""

    url: str
    is_secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host as a request names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks such as `10.1.0.0/16`; raises Refused(VALUE_OUT_OF_RANGE)."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text.strip()))
        except ValueError:
            saying = f"{text[:60]!a} is no network: write it as 10.1.0.0/16 or fd00:1234::/48"
            raise Refused(Reason.VALUE_OUT_OF_RANGE, saying, network=text[:60]) from None
    return tuple(found)


def parse_target(url: str, reach: Reach) -> Target:
    """An address that may be posted to, as far as can be said without looking its name up.

    Raises Refused(URL_NOT_ALLOWED): another scheme than https (http for this machine, where that is reached), a user, a
    fragment, more than 400 characters, or an address that may not be reached.
    """
    if len(url) > MAX_URL or not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
        raise _refuse(f"an address has at most {MAX_URL} plain characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refuse("this is no address") from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in ("https", "http") or not host or port == 0:
        raise _refuse("an address begins with https://HOST")
    if "@" in parts.netloc or parts.fragment or "%" in host:
        raise _refuse("leave out user, password and fragment: a signature says who calls")
    if parts.scheme == "http" and not (reach.is_local and host in _LOOPBACK_NAMES):
        raise _refuse("use https: what is sent in the clear can be read and changed on its way")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(url, parts.scheme == "https", host, port or (443 if parts.scheme == "https" else 80), path)
    literal = _find_literal(host)
    if literal is not None and not is_reached(literal, reach):
        raise _refuse("this is an address of a private network, which this node does not reach")
    return target


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_reached(address: Address, reach: Reach) -> bool:
    """Whether a connection may go to this address."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        # It is the IPv4 address that the system connects to.
        address = address.ipv4_mapped
    if any(address.version == network.version and address in network for network in reach.networks):
        return True
    if reach.is_local and address.is_loopback:
        return True
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6:
        return False
    is_inner = any(address.version == network.version and address in network for network in _NOT_OPEN)
    return address.is_global and not address.is_multicast and not is_inner


def find_reached(texts: Sequence[str], reach: Reach) -> list[str]:
    """The addresses of a name, if every one of them may be reached; else none: a name with two faces is not trusted."""
    found = [_find_literal(text.partition("%")[0]) for text in texts]
    if not found or any(one is None or not is_reached(one, reach) for one in found):
        return []
    return [str(one) for one in found]


def _find_literal(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _refuse(saying: str) -> Refused:
    return Refused(Reason.URL_NOT_ALLOWED, saying, field="url")
