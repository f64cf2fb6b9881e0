"""Servers of this machine that a container with a network of its own can reach.

Two containers of ours reach each other by no network, so what stands in for a provider or leads to
a database listens on the address of the engine's machine, as a user's own server would.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

from runner.engine.client import Engine

CHUNK_BYTES = 1 << 16


@contextlib.contextmanager
def program(engine: Engine, text: str) -> Iterator[tuple[str, int]]:
    """Run a Python program that listens on `sys.argv[1]` and prints its port; address and port."""
    host = engine.host_address()
    with subprocess.Popen(
        [sys.executable, "-uc", text, host], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield host, int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def forwarded(engine: Engine, host: str, port: int) -> Iterator[tuple[str, int]]:
    """Pass each connection on to an address that this machine reaches; its own address and port."""
    listener = socket.create_server((engine.host_address(), 0))
    threading.Thread(target=_accept, args=(listener, (host, port)), daemon=True).start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, target: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client = listener.accept()[0]
            threading.Thread(target=_pass, args=(client, target), daemon=True).start()


def _pass(client: socket.socket, target: tuple[str, int]) -> None:
    """Copy both ways until either side closes."""
    with (
        contextlib.suppress(OSError),
        client,
        socket.create_connection(target) as server,
        selectors.DefaultSelector() as ready,
    ):
        ready.register(client, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(CHUNK_BYTES)
                if not data:
                    return
                key.data.sendall(data)
