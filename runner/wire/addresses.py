"""Which addresses a container with a network may call, decided by the address alone.

The attack that this stops: a name server that answers for the provider's name with an address of
the inside: the engine's machine, a metadata service, a server in the user's network. Whoever
connects passes each address through `fault` first, and then connects to that address and not to
the name, so that no second answer of the name server counts.

Standard library only: this file is copied into every image.

Source: the registries of special-purpose addresses at IANA (RFC 6890), RFC 1918, RFC 4193,
RFC 6598; for addresses that carry another one, RFC 4291 2.5.5.2, RFC 3056 and RFC 6052. The tables
are written out because those of `ipaddress` differ between versions of Python.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA = "of a metadata service"
PRIVATE = "private"
LOOPBACK = "of the container itself"
OWN = "of the container's own network, which is the engine's machine"
NO_ADDRESS = "no address"

# Machines of clouds find their own credentials there. Some are in no special range.
METADATA_ADDRESSES = frozenset(
    {
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16",
        "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
    }
)  # fmt: skip
_SPECIAL = {
    LOOPBACK: ("127.0.0.0/8", "::1/128"),
    "unspecified": ("0.0.0.0/8", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    PRIVATE: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": (
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "3fff::/20",
    ),
}  # fmt: skip
SPECIAL = {kind: tuple(map(ipaddress.ip_network, networks)) for kind, networks in _SPECIAL.items()}
# All of IPv6 that is given out to the public lies here.
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
ROUTES = Path("/proc/net/route")


def fault(
    text: str, *, named: str = "", private_ok: bool = False, own: Iterable[Network] = ()
) -> str:
    """What an address is that must not be called; "" when it may be.

    Args:
        text: the address, as a name server or a caller gives it.
        named: the host that the user named. An address that it names may be called whatever it is.
        private_ok: whether a private address may be called.
        own: the container's own networks, of which no address may be called.
    """
    what = kind(text)
    if names(named, text):
        return ""
    if any(_plain(text) in network for network in own):
        return what if what not in ("", PRIVATE) else OWN
    return "" if private_ok and what == PRIVATE else what


def kind(text: str) -> str:
    """What kind of special address it is, in words; "" for one of the public internet."""
    address = _plain(text)
    if address is None:
        return NO_ADDRESS
    if str(address) in METADATA_ADDRESSES:
        return METADATA
    for what, networks in SPECIAL.items():
        if any(address in network for network in networks):
            return what
    if isinstance(address, ipaddress.IPv6Address) and address not in PUBLIC_IPV6:
        return "reserved"
    return ""


def refusal(host: str, faults: Mapping[str, str]) -> str:
    """The words for a host none of whose addresses may be called.

    Args:
        host: its name.
        faults: address → what is wrong with calling it.
    """
    said = ", ".join(f"{address} ({what})" for address, what in faults.items())
    return f"{host} has no address but {said}"


def names(host: str, text: str) -> bool:
    """Whether a host names this address: it is the same one, or `localhost` and of the container.

    Source: RFC 6761, 6.3.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return kind(text) == LOOPBACK
    address = _plain(host)
    return address is not None and address == _plain(text)


def own_networks(routes: Path = ROUTES) -> tuple[Network, ...]:
    """The IPv4 networks that this container is in; none if it has no interface but loopback.

    The engine's machine is in them.

    Source: linux/Documentation/networking/proc_net_tcp.rst has the order of the bytes;
        net/ipv4/fib_trie.c, fib_route_seq_show, the columns.
    """
    try:
        rows = [line.split() for line in routes.read_text("ascii").splitlines()[1:]]
    except OSError:
        return ()
    found = []
    for row in rows:
        network, gateway, mask = (_little_endian(row[column]) for column in (1, 2, 7))
        if int(mask) and not int(gateway):
            found.append(ipaddress.IPv4Network(f"{network}/{mask}"))
    return tuple(found)


def _little_endian(digits: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(socket.ntohl(int(digits, 16)))


def _plain(text: str) -> Address | None:
    """The address without a scope, and that which it carries, if it carries one; None for none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
