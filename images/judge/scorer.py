"""The child that scores one session: torch lives here, and ends with the session.

Its parent (`sessions.py`) hands it the connections of the trial, one after the other, and is told
what was found before the trial is. It reads the held-out data itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator

MAX_MESSAGE_BYTES = 128 * 1024


def main(control: socket.socket) -> None:
    """Serves the trial's connections until the parent closes its end."""
    said = control.recv(MAX_MESSAGE_BYTES)
    if not said:
        return
    setup = json.loads(said)
    cores = stay_on(setup["cores"])
    import torch
    from scoring_session import Session

    torch.set_num_threads(min(setup["threads"], cores))
    session = Session(setup, lambda found: control.send(json.dumps(found).encode()))
    while True:
        content, descriptors, _flags, _address = socket.recv_fds(control, MAX_MESSAGE_BYTES, 1)
        if not content:
            return
        with _connections(descriptors) as connections:
            session.serve(connections[0], json.loads(content))
        control.send(json.dumps({"free": True}).encode())


def stay_on(cores: str) -> int:
    """Keep this process to the cores of the trial that it scores, so that it slows no other trial.

    Returns:
        How many cores it has; all of the container's where `cores` names none of those.
    """
    first, _, last = cores.partition("-")
    wanted = set(range(int(first), int(last) + 1)) if first.isdecimal() and last.isdecimal() else {}
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, own.intersection(wanted) or own)
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def _connections(descriptors: list[int]) -> Iterator[list[socket.socket]]:
    connections = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    try:
        yield connections
    finally:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
