"""PID 1 of the relay: passes bytes between a Unix socket and the database of a shared study.

The optimizer has no network. What it can reach through this socket is one host and one port, which
`start` names and nobody in a container can change. The relay reads nothing of what passes, and has
no password: the optimizer logs in by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from typing import NoReturn

import pid1
from config_reader import read_config
from database import DatabaseError, Streams, connect
from messages import Problem, Ready, Start, Started, Stop, Stopped
from pid1 import say, send
from start_config import RelayConfig

SOCKET = Path("/run/storage/.s.PGSQL.5432")  # where libpq looks for port 5432 in a folder
CHUNK_BYTES = 64 * 1024
MAX_CONNECTIONS = 64
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


class Relay:
    """Gives each connection to the socket a connection to the database of its own.

    Args:
        config: where the database is.
        path: the socket.
    """

    def __init__(self, config: RelayConfig, path: Path = SOCKET) -> None:
        self._config = config
        self._path = path
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)
        self._answers = True

    async def serve(self) -> None:
        """Listen, say `started`, and pass bytes until this is cancelled.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.unlink(missing_ok=True)  # of a relay that was killed
        server = await asyncio.start_unix_server(self._handle, self._path)
        self._path.chmod(0o666)
        where = f"{self._config.host}:{self._config.port}"
        send(Started({"database": where, "sslmode": self._config.sslmode}))
        say(f"passing bytes to {where}")
        async with server:
            await server.serve_forever()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join a client and the database; a client without a database is hung up on."""
        async with self._slots:
            try:
                other = await self._connect()
                if other is not None:
                    await _join((reader, writer), other)
            finally:
                await _close(writer)

    async def _connect(self) -> Streams | None:
        """A connection to the database; None where there is none, which is said once."""
        config = self._config
        try:
            streams = await connect(config.host, config.port, config.sslmode)
        except DatabaseError as error:
            if self._answers:
                send(Problem("connecting to the database", str(error)))
                say(f"no database: {error}")
            self._answers = False
            return None
        if not self._answers:
            say("the database answers again")
        self._answers = True
        return streams


async def _join(client: Streams, database: Streams) -> None:
    """Pass bytes both ways until either side has closed both."""
    try:
        await asyncio.gather(_pump(client[0], database[1]), _pump(database[0], client[1]))
    finally:
        await _close(database[1])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of `reader`, then close the other side: PostgreSQL knows no half."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


def end(reason: str, exit_code: int = EXIT_DONE) -> NoReturn:
    """Say why and exit at once, whatever other threads do."""
    send(Stopped(reason))
    say(f"ended: {reason}")
    os._exit(exit_code)


if __name__ == "__main__":
    main()
