"""What must work in every container: each is allowed, and done by the means of an attack.

Each returns something true if it worked.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
from pathlib import Path

from framework import Box
from kernel_calls import call

TMP = Path("/tmp")  # writable in every container


def system_call(_box: Box) -> bool:
    """Calls by number reach the kernel: the number of this process is the right one."""
    return call("getpid") == os.getpid()


def pipe_by_number(_box: Box) -> bool:
    """A call by number that makes descriptors makes them."""
    ends = (ctypes.c_int * 2)()
    call("pipe2", ctypes.byref(ends), 0)
    os.write(ends[1], b"x")
    got = os.read(ends[0], 1)
    os.close(ends[0])
    os.close(ends[1])
    return got == b"x"


def write_tmp(_box: Box) -> bool:
    """A file can be written to /tmp and read back."""
    path = TMP / f"probe-{os.getpid()}"
    path.write_bytes(b"x")
    got = path.read_bytes()
    path.unlink()
    return got == b"x"


def signal_child(_box: Box) -> bool:
    """A process can signal its own child, and the child ends of it."""
    child = os.fork()
    if not child:
        signal.pause()
        os._exit(1)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) == signal.SIGKILL


def read_own_process(_box: Box) -> bool:
    """The /proc files of this process itself can be read."""
    with open("/proc/self/mem", "rb") as memory:
        return bool(os.listdir("/proc/self/fd")) and memory.readable()


def own_limits(_box: Box) -> bool:
    """A process may read its own limits, and lower one of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return True


def own_priority(_box: Box) -> bool:
    """A process may read its own priority and its own cores."""
    return os.getpriority(os.PRIO_PROCESS, 0) < 20 and bool(os.sched_getaffinity(0))


def unix_sockets(_box: Box) -> bool:
    """A pair of Unix sockets carries bytes."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        one.sendall(b"x")
        return other.recv(1) == b"x"


def loopback_tcp(_box: Box) -> bool:
    """A TCP connection to a server of one's own on loopback carries bytes."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), 1.0) as client,
    ):
        served, _ = server.accept()
        with served:
            client.sendall(b"x")
            return served.recv(1) == b"x"


def loopback_udp(_box: Box) -> bool:
    """A datagram to a socket of one's own on loopback arrives."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        server.settimeout(1.0)
        client.sendto(b"x", server.getsockname())
        return server.recv(1) == b"x"


def localhost_name(_box: Box) -> bool:
    """`localhost` is resolved."""
    return bool(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))


def netlink_read(_box: Box) -> bool:
    """The interfaces can be listed, which the C library does over netlink."""
    return "lo" in {name for _, name in socket.if_nameindex()}
