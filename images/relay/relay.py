"""PID 1 of the relay: passes bytes between a Unix socket and the database of a shared study.

The optimizer has no network. What it can reach through this socket is one host and one port, which
`start` names and nobody in a container can change. The relay has no password: the
optimizer logs in by itself.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import NoReturn

import pid1
from config_reader import read_config
from messages import Problem, Ready, Start, Stop, Stopped
from passing import SOCKET, Relay
from pid1 import say, send
from start_config import RelayConfig

EXIT_DONE, EXIT_BAD_CONFIG, EXIT_DEADLINE = 0, 2, 3


def main() -> None:
    """Wait for `start`, serve, and end on `stop`, SIGTERM or the deadline."""
    pid1.close_to_others()
    pid1.let_kernel_reap()
    pid1.on_sigterm(lambda: end("terminated"))
    send(Ready("relay"))
    pid1.end_in(pid1.WAIT_FOR_START_SECONDS, lambda: end("no start came", EXIT_DEADLINE))
    arriving = pid1.messages()
    start = next(message for message in arriving if isinstance(message, Start))
    try:
        config = read_config(RelayConfig, start.config)
    except ValueError as error:
        send(Problem("reading start.config", str(error)))
        end(f"could not start: {error}", EXIT_BAD_CONFIG)
    pid1.end_in(config.deadline_seconds, lambda: end("deadline", EXIT_DEADLINE))
    threading.Thread(target=serve, args=(config,), daemon=True).start()
    stop = next(message for message in arriving if isinstance(message, Stop))
    end(stop.reason)


def serve(config: RelayConfig) -> None:
    """Serve on the socket for as long as the process lives."""
    try:
        asyncio.run(Relay(config).serve())
    except OSError as error:
        send(Problem("serving the socket", str(error)))
        end(f"serving {SOCKET}: {error}", EXIT_BAD_CONFIG)


def end(reason: str, exit_code: int = EXIT_DONE) -> NoReturn:
    """Say why and exit at once, whatever other threads do."""
    send(Stopped(reason))
    say(f"ended: {reason}")
    os._exit(exit_code)


if __name__ == "__main__":
    main()
