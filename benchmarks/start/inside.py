"""Runs in a bare container: starts an agent's CLI, and says when it first asks its model.

The text of this module is the program of a container: `python3 -c TEXT ENVIRONMENT COMMAND…`. It
listens where the CLI expects its provider, prints a line with the moment of the first POST in
seconds since 1970, and ends. Lines of the CLI may stand around that line.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time

PORT = 8080
SILENCE_SECONDS = 60.0
MOMENT = "first POST at "
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def main(env: str, command: list[str]) -> float:
    """The moment of the first POST.

    Raises:
        TimeoutError: the CLI asked for nothing.
    """
    with socket.create_server(("127.0.0.1", PORT)) as server:
        server.settimeout(SILENCE_SECONDS)
        if os.fork() == 0:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(2, 1)  # what it prints is nothing that is measured
            os.execvpe(command[0], command, {**os.environ, **json.loads(env)})
        while True:
            connection, _ = server.accept()
            with connection:
                if connection.recv(4).startswith(b"POST"):
                    return time.time()
                connection.sendall(NOT_FOUND)


if __name__ == "__main__":
    print(f"\n{MOMENT}{main(sys.argv[1], sys.argv[2:])}", flush=True)
