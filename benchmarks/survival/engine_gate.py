"""A socket through which a run reaches its engine, and which can be shut for a while."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

CHUNK_BYTES = 1 << 16


class EngineGate:
    """Passes connections on to an engine's Unix socket, until it is shut.

    Args:
        path: of the new socket.
        engine: of the engine's own.
    """

    def __init__(self, path: Path, engine: str) -> None:
        self.address = f"unix://{path}"
        self._engine = engine
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(128)
        self._shut = threading.Event()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def shut_for(self, seconds: float) -> None:
        """Cut all connections and take no new one for so long, as an engine that restarts does."""
        self._shut.set()
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        time.sleep(seconds)
        self._shut.clear()

    def __enter__(self) -> EngineGate:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._shut.is_set():
                client.close()
            else:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        engine = socket.socket(socket.AF_UNIX)
        with client, engine, contextlib.suppress(OSError):
            engine.connect(self._engine)
            self._open |= {client, engine}
            back = threading.Thread(target=_copy, args=(engine, client), daemon=True)
            back.start()
            _copy(client, engine)
            back.join()
        self._open -= {client, engine}


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
