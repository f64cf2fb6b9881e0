"""Opens connections to one PostgreSQL server, with TLS where the address asks for it.

The client speaks over a Unix socket, where libpq knows no TLS. So the request for TLS, which comes
before the first message of a connection, is made here. The attack that this stops: somebody on the
way to the server who reads or changes what passes; with `verify-full` also somebody who answers in
the server's place. One byte is read before TLS begins and no more, so that nothing that was sent in
the clear can pass for the server's word.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol", SSLRequest.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct

CONNECT_SECONDS = 10.0
SSL_REQUEST = struct.pack("!II", 8, 80877103)
YES, NO = b"S", b"N"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class DatabaseError(OSError):
    """The server cannot be reached in the way that is asked for; the text says why."""


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
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
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
