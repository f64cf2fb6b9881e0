"""A TCP address for the engine under test, which keeps what it was sent."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading

from docker.utils import parse_host

CHUNK_BYTES = 1 << 16


def engine_socket() -> str:
    """The path of the Unix socket of the engine under test."""
    return str(parse_host(os.environ.get("DOCKER_HOST"))).removeprefix("http+unix://")


class EngineRelay:
    """Passes connections on to the engine's Unix socket; `sent` is what clients sent.

    Args:
        tls: how it speaks TLS; None for plain TCP.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._engine = engine_socket()
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", 0))
        self.sent = bytearray()
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), engine:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            with client:
                engine.connect(self._engine)
                back = threading.Thread(target=self._copy, args=(engine, client), daemon=True)
                back.start()
                self._copy(client, engine)
                back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if not isinstance(target, ssl.SSLSocket) and target.family == socket.AF_UNIX:
                    self.sent += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
