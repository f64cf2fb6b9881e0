"""Passes bytes between a Unix socket and one PostgreSQL server, with TLS where it is asked for.

The client speaks over a Unix socket, where libpq knows no TLS. So the request for TLS, which comes
before the first message of a connection, is made here. The attack that this stops: somebody on the
way to the server who reads or changes what passes; with `verify-full` also somebody who answers in
the server's place. One byte is read before TLS begins and no more, so that nothing that was sent in
the clear can pass for the server's word.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol", SSLRequest.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from pathlib import Path

from messages import Problem, Started
from pid1 import say, send
from start_config import RelayConfig

SOCKET = Path("/run/storage/.s.PGSQL.5432")  # where libpq looks for port 5432 in a folder
CHUNK_BYTES = 64 * 1024
MAX_CONNECTIONS = 64
CONNECT_SECONDS = 10.0
# A server or a firewall that goes silent is noticed within a minute; Linux would take up to hours.
TCP_OPTIONS = {
    socket.TCP_NODELAY: 1,
    socket.TCP_KEEPIDLE: 30,  # seconds, as the next one
    socket.TCP_KEEPINTVL: 10,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 30_000,  # milliseconds; of data that nobody acknowledges
}
SSL_REQUEST = struct.pack("!II", 8, 80877103)
YES, NO = b"S", b"N"
HEADER = struct.Struct("!cI")  # a message's kind and its length, which counts itself
AUTHENTICATION, SASL, BINDING = b"R", struct.pack("!I", 10), b"SCRAM-SHA-256-PLUS"
MAX_SASL_BYTES = 1000

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class DatabaseError(OSError):
    """The server cannot be reached in the way that is asked for; the text says why."""


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
        await asyncio.gather(_pump(client[0], database[1]), _answer(database, client[1]))
    finally:
        await _close(database[1])


async def _answer(database: Streams, client: asyncio.StreamWriter) -> None:
    """Copy what the server says; over TLS, its first message without what the client cannot do."""
    reader, writer = database
    if writer.get_extra_info("ssl_object") is not None:
        with contextlib.suppress(OSError):
            client.write(await first_message(reader))
    await _pump(reader, client)


async def first_message(reader: asyncio.StreamReader) -> bytes:
    """A server's first message, without an offer to bind the login to the TLS channel.

    The client does not see that channel. libpq takes such an offer over a socket for an attack and
    hangs up; SCRAM without the binding stays.

    Source: PostgreSQL's documentation, "Message Formats", AuthenticationSASL.
    """
    try:
        header = await reader.readexactly(HEADER.size)
        kind, length = HEADER.unpack(header)
        if kind != AUTHENTICATION or not 8 <= length <= MAX_SASL_BYTES:
            return header
        body = await reader.readexactly(length - 4)
    except asyncio.IncompleteReadError as cut:  # the end of a connection is no message
        return bytes(cut.partial)
    if body[:4] != SASL:
        return header + body
    kept = b"".join(name + b"\0" for name in body[4:].split(b"\0") if name not in (b"", BINDING))
    body = SASL + kept + b"\0"
    return HEADER.pack(kind, len(body) + 4) + body


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


async def connect(host: str, port: int, sslmode: str) -> Streams:
    """A new connection to the server.

    Args:
        host: its name or address.
        port: its TCP port.
        sslmode: disable, prefer, require or verify-full, as libpq has them.

    Raises:
        DatabaseError: it cannot be reached, or not in this way.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            raw = await _dial(host, port)
            try:
                context = await _agreed(raw, sslmode)
                name = None if context is None else host
                return await asyncio.open_connection(sock=raw, ssl=context, server_hostname=name)
            except BaseException:
                raw.close()
                raise
    except TimeoutError:
        raise DatabaseError(f"{host}:{port}: no answer within {CONNECT_SECONDS:g} s") from None
    except ssl.SSLError as error:
        raise DatabaseError(f"{host}:{port}: no TLS: {error.reason or error}") from error
    except OSError as error:
        raise DatabaseError(f"{host}:{port}: {error.strerror or error}") from error


def tls_context(sslmode: str) -> ssl.SSLContext | None:
    """How TLS is spoken under an sslmode; None for not at all."""
    if sslmode == "disable":
        return None
    context = ssl.create_default_context()
    if sslmode != "verify-full":  # encrypted, and not verified: what libpq's `require` means
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _dial(host: str, port: int) -> socket.socket:
    """A TCP connection to the first address of the host that answers."""
    loop = asyncio.get_running_loop()
    failure: OSError = DatabaseError("the name has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        raw = socket.socket(family, kind, protocol)
        raw.setblocking(False)
        try:
            await loop.sock_connect(raw, address)
        except OSError as error:
            raw.close()
            failure = error
        except BaseException:
            raw.close()
            raise
        else:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in TCP_OPTIONS.items():
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
            return raw
    raise failure


async def _agreed(raw: socket.socket, sslmode: str) -> ssl.SSLContext | None:
    """What the server agrees to: TLS, or the clear where that will do.

    Raises:
        DatabaseError: it does not speak TLS, and has to.
    """
    context = tls_context(sslmode)
    if context is None:
        return None
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(raw, SSL_REQUEST)
    answer = await loop.sock_recv(raw, 1)
    if answer == YES:
        return context
    if answer == NO and sslmode == "prefer":
        return None
    raise DatabaseError(
        f"sslmode={sslmode}, and the server "
        + ("has no TLS" if answer == NO else "does not speak PostgreSQL's protocol")
    )
