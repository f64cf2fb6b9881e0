"""Ways out by network: names, addresses of the world, of the host and of other containers.

The attack that this stops: code that talks to anybody but the model. A container without a network
has no route, so each connection is refused at once; nothing waits for an answer but for a moment.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from pathlib import Path

import twins
from framework import Box, attack, without_network

PATIENCE_SECONDS = 0.3
WORLD = (("1.1.1.1", 443), ("8.8.8.8", 53), ("93.184.215.14", 80))
WORLD_V6 = (("2606:4700:4700::1111", 443), ("2001:4860:4860::8888", 53), ("fe80::1%lo", 80))
METADATA = (("169.254.169.254", 80), ("169.254.170.2", 80), ("100.100.100.200", 80))
METADATA_V6 = (("fd00:ec2::254", 80),)
USUAL_HOSTS = (
    ("172.17.0.1", 22), ("172.17.0.1", 2375), ("172.17.0.2", 80), ("172.18.0.1", 80),
    ("192.168.0.1", 80), ("192.168.1.1", 80), ("192.168.65.2", 80), ("10.0.0.1", 80),
    ("10.0.2.2", 80), ("10.88.0.1", 80),
)  # fmt: skip
NAMES = ("example.com", "host.docker.internal", "host.containers.internal", "gateway", "agent")
RESOLVERS = (("127.0.0.11", 53), ("1.1.1.1", 53), ("8.8.8.8", 53))
QUESTION = (  # the A record of example.com: RFC 1035, section 4
    struct.pack(">HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0)
    + b"\x07example\x03com\x00"
    + struct.pack(">HH", 1, 1)
)


def reached(targets: tuple[tuple[str, int], ...], family: int = socket.AF_INET) -> str:
    """Those of the targets that answer a connection, all tried at once.

    A reset counts too: somebody sent it.

    Raises:
        OSError: the kernel refused every one of them at once; the last refusal.
    """
    opened: dict[int, tuple[socket.socket, str]] = {}
    answered: list[str] = []
    refused: OSError | None = None
    for host, port in targets:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        code = connection.connect_ex((host, port))
        if code in (0, errno.ECONNREFUSED):
            answered.append(f"{host}:{port}")
        if code == errno.EINPROGRESS:
            opened[connection.fileno()] = connection, f"{host}:{port}"
            continue
        refused = OSError(code, os.strerror(code))
        connection.close()
    answered += _answers(opened)
    if not answered and not opened and refused is not None:
        raise refused
    return f"answered: {', '.join(answered)}" if answered else ""


def _answers(opened: dict[int, tuple[socket.socket, str]]) -> list[str]:
    """The names of the connections that were answered in time; all are closed."""
    poll = select.poll()
    for number in opened:
        poll.register(number, select.POLLOUT)
    answered: list[str] = []
    until = time.monotonic() + PATIENCE_SECONDS
    while opened and (left := until - time.monotonic()) > 0:
        for number, _ in poll.poll(left * 1000):
            poll.unregister(number)
            connection, name = opened.pop(number)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code in (0, errno.ECONNREFUSED, errno.ECONNRESET):
                answered.append(name)
            connection.close()
    for connection, _ in opened.values():
        connection.close()
    return answered


@attack("network", "interfaces", twin=twins.netlink_read, applies=without_network)
def interfaces(_box: Box) -> str:
    names = {name for _, name in socket.if_nameindex()}
    with contextlib.suppress(FileNotFoundError):
        names |= set(os.listdir("/sys/class/net"))
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    names |= {line.partition(":")[0].strip() for line in lines}
    # Tunnels that the kernel makes in every network namespace are down and lead nowhere.
    idle = {"tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0",
            "ip6gre0", "bonding_masters"}  # fmt: skip
    return ", ".join(sorted(names - {"lo"} - idle))


@attack("network", "routes", twin=twins.netlink_read, applies=without_network)
def routes(_box: Box) -> str:
    lines = Path("/proc/net/route").read_text().splitlines()[1:]
    return "; ".join(" ".join(line.split()) for line in lines if not line.startswith("lo"))


@attack("network", "TCP to the world", twin=twins.loopback_tcp, applies=without_network)
def world(_box: Box) -> str:
    return reached(WORLD)


@attack("network", "TCP to the world over IPv6", twin=twins.loopback_tcp, applies=without_network,
        also=(errno.EADDRNOTAVAIL, errno.EINVAL))  # fmt: skip
def world_v6(_box: Box) -> str:
    return reached(WORLD_V6[:2], socket.AF_INET6)


@attack("network", "metadata addresses", twin=twins.loopback_tcp, applies=without_network)
def metadata(_box: Box) -> str:
    return reached(METADATA)


@attack("network", "metadata over IPv6", twin=twins.loopback_tcp, applies=without_network,
        also=(errno.EADDRNOTAVAIL,))  # fmt: skip
def metadata_v6(_box: Box) -> str:
    return reached(METADATA_V6, socket.AF_INET6)


@attack("network", "the engine's machine, bridges and containers", twin=twins.loopback_tcp,
        applies=without_network)  # fmt: skip
def machine(box: Box) -> str:
    return reached(tuple(dict.fromkeys((*box.targets, *USUAL_HOSTS))))


@attack("network", "DNS over UDP", twin=twins.loopback_udp, applies=without_network,
        also=(errno.ECONNREFUSED,))  # fmt: skip
def dns_udp(_box: Box) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_SECONDS)
        sent, refused = 0, None
        for resolver in (*RESOLVERS, *_configured_resolvers()):
            try:
                client.sendto(QUESTION, resolver)
                sent += not resolver[0].startswith("127.")
            except OSError as error:
                refused = error
        with contextlib.suppress(TimeoutError, OSError):
            return f"answered: {client.recvfrom(512)[1][0]}" if sent else ""
    if sent:
        return f"{sent} questions left the container"
    if refused is not None:
        raise refused
    return ""


def _configured_resolvers() -> list[tuple[str, int]]:
    """Those of /etc/resolv.conf, which the engine writes."""
    with contextlib.suppress(OSError):
        lines = Path("/etc/resolv.conf").read_text().splitlines()
        words = [line.split() for line in lines]
        return [(w[1], 53) for w in words if len(w) > 1 and w[0] == "nameserver" and "." in w[1]]
    return []


@attack("network", "DNS over TCP", twin=twins.loopback_tcp, applies=without_network)
def dns_tcp(_box: Box) -> str:
    return reached(RESOLVERS[1:])


@attack("network", "names", twin=twins.localhost_name, applies=without_network)
def names(box: Box) -> str:
    found = []
    for name in NAMES:
        if name != box.role:  # a container's own name leads to itself
            with contextlib.suppress(socket.gaierror):
                found.append(f"{name} is {socket.getaddrinfo(name, 443)[0][4][0]}")
    return ", ".join(found)
