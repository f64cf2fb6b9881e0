"""Socket families and types beyond what a contestant needs: TCP and UDP on loopback, and Unix.

The attack that this stops: packets made by hand, the kernel's configuration over netlink, and a
virtual machine's host over vsock, which an empty network namespace does not keep out.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

import twins
from framework import Attack, Box, attack

# Numbers of include/linux/socket.h: not every host that lists the probes has them.
FAMILIES = {
    "AF_AX25": 3, "AF_IPX": 4, "AF_APPLETALK": 5, "AF_X25": 9, "AF_KEY": 15, "AF_RDS": 21,
    "AF_PPPOX": 24, "AF_CAN": 29, "AF_TIPC": 30, "AF_BLUETOOTH": 31, "AF_RXRPC": 33, "AF_ALG": 38,
    "AF_NFC": 39, "AF_VSOCK": 40, "AF_KCM": 41, "AF_QIPCRTR": 42, "AF_SMC": 43, "AF_XDP": 44,
}  # fmt: skip
STREAM, DATAGRAM, RAW, SEQPACKET = 1, 2, 3, 5
TYPES_OF = {"AF_ALG": SEQPACKET, "AF_KEY": RAW, "AF_CAN": RAW, "AF_XDP": RAW, "AF_PPPOX": STREAM}
AF_NETLINK, AF_PACKET = 16, 17
NETLINK_ROUTE = 0
RTM_NEWLINK, NLM_F_REQUEST, NLM_F_ACK = 16, 1, 4
ETH_P_ALL = 0x0300  # 3, in the order of the network
WRONG_KIND = (errno.EINVAL,)


def _family(name: str) -> Attack:
    def run(_box: Box) -> str:
        kinds = [TYPES_OF[name]] if name in TYPES_OF else [STREAM, DATAGRAM, SEQPACKET]
        refused: OSError | None = None
        for kind in kinds:
            try:
                socket.socket(FAMILIES[name], kind, 0).close()
            except OSError as error:
                refused = error
            else:
                return f"a socket of {name} was made"
        raise refused or OSError(errno.EAFNOSUPPORT, name)

    return run


for family in FAMILIES:
    attack("sockets", family, twin=twins.unix_sockets)(_family(family))


@attack("sockets", "raw IPv4", twin=twins.loopback_tcp)
def raw_v4(_box: Box) -> str:
    socket.socket(socket.AF_INET, RAW, 1).close()
    return "a raw socket was made"


@attack("sockets", "raw IPv6", twin=twins.loopback_tcp)
def raw_v6(_box: Box) -> str:
    socket.socket(socket.AF_INET6, RAW, 58).close()
    return "a raw socket was made"


@attack("sockets", "AF_PACKET", twin=twins.loopback_tcp)
def packet(_box: Box) -> str:
    socket.socket(AF_PACKET, RAW, ETH_P_ALL).close()
    return "a packet socket was made"


@attack("sockets", "netlink write", twin=twins.netlink_read)
def netlink_write(_box: Box) -> str:
    """Ask the kernel for a new interface of the kind `dummy`."""
    kind = struct.pack("=HH", 4 + 6, 1) + b"dummy\0" + b"\0\0"  # IFLA_INFO_KIND
    info = struct.pack("=HH", 4 + len(kind), 18) + kind  # IFLA_LINKINFO
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + info
    flags = NLM_F_REQUEST | NLM_F_ACK | 0x600  # create, exclusively
    header = struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0)
    with socket.socket(AF_NETLINK, RAW, NETLINK_ROUTE) as kernel:
        kernel.settimeout(1.0)
        kernel.send(header + body)
        code = -struct.unpack_from("=i", kernel.recv(4096), 16)[0]
    if code:
        raise OSError(code, os.strerror(code))
    return "an interface was made"


@attack("sockets", "vsock to the host", twin=twins.unix_sockets, also=WRONG_KIND)
def vsock_connect(_box: Box) -> str:
    """The host of a virtual machine is number 2; a refusal of its own would be an answer."""
    with socket.socket(FAMILIES["AF_VSOCK"], STREAM) as host:
        host.settimeout(0.3)
        code = host.connect_ex((2, 1024))
    return f"a vsock could be connected ({errno.errorcode.get(code, code)})"


@attack("sockets", "IPPROTO_RAW", twin=twins.loopback_tcp)
def raw_protocol(_box: Box) -> str:
    socket.socket(socket.AF_INET, RAW, 255).close()
    return "a socket of IPPROTO_RAW was made"
