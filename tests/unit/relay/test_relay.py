"""The relay to a database: bytes as they are, TLS before the first of them, and failures said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from start_config import RelayConfig

from images.relay.passing import (
    NO,
    SSL_REQUEST,
    YES,
    DatabaseError,
    Relay,
    connect,
    first_message,
    tls_context,
)

SECONDS = 30.0


@contextlib.asynccontextmanager
async def server(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that answers a request for TLS and then echoes; yields its port."""
    handlers: set[asyncio.Task[None]] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer:
            assert await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
            writer.write(answer)
            await writer.drain()
        if context is not None:
            await writer.start_tls(context)
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with contextlib.suppress(OSError):  # a client that hangs up, or TLS that fails
                await echo(reader, writer)
        finally:
            writer.transport.abort()

    running = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with running:
        yield running.sockets[0].getsockname()[1]
        if handlers:
            await asyncio.wait(handlers, timeout=SECONDS)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "server.crt", folder / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
         "-subj", "/CN=database.test", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def echoed(port: int, sslmode: str) -> bytes:
    """What comes back of four bytes."""
    reader, writer = await connect("127.0.0.1", port, sslmode)
    writer.write(b"ping")
    async with asyncio.timeout(SECONDS):
        back = await reader.readexactly(4)
    writer.close()
    return back


async def test_a_silent_server_is_noticed_within_a_minute() -> None:
    """The kernel probes an idle connection, and gives up data that nobody acknowledges."""
    async with server(b"") as port:
        _, writer = await connect("127.0.0.1", port, "disable")
        raw = writer.get_extra_info("socket")
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        found = [raw.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in options]
        writer.close()
    assert found == [30, 10, 3, 30_000]


@pytest.mark.parametrize("sslmode", ["prefer", "require"])
async def test_tls_is_spoken_where_the_server_can(sslmode: str, certified: ssl.SSLContext) -> None:
    """Its certificate is not asked about in these modes, as libpq has them."""
    async with server(YES, certified) as port:
        assert await echoed(port, sslmode) == b"ping"


async def test_a_server_without_tls_is_taken_only_where_that_will_do() -> None:
    """`disable` asks for nothing; `prefer` takes no for an answer; `require` does not."""
    async with server(b"") as port:
        assert await echoed(port, "disable") == b"ping"
    async with server(NO) as port:
        assert await echoed(port, "prefer") == b"ping"
        for sslmode in ("require", "verify-full"):
            with pytest.raises(DatabaseError, match=f"sslmode={sslmode}, and the server has no"):
                await echoed(port, sslmode)
    async with server(b"E") as port:
        with pytest.raises(DatabaseError, match="does not speak PostgreSQL"):
            await echoed(port, "prefer")


async def test_a_certificate_that_nobody_vouches_for_is_refused(certified: ssl.SSLContext) -> None:
    """verify-full alone makes sure who answers."""
    async with server(YES, certified) as port:
        with pytest.raises(DatabaseError, match=r"no TLS: .*CERTIFICATE_VERIFY_FAILED"):
            await echoed(port, "verify-full")


async def test_nothing_in_the_clear_passes_for_the_servers_word() -> None:
    """Bytes sent along with the agreement to TLS break it, and are never read."""
    async with server(YES + b"injected") as port:
        with pytest.raises(DatabaseError, match="no TLS"):
            await echoed(port, "require")


def test_the_modes_are_those_of_libpq() -> None:
    """Only verify-full verifies, and then the name as well."""
    assert tls_context("disable") is None
    assert tls_context("require").verify_mode == ssl.CERT_NONE  # type: ignore[union-attr]
    strict = tls_context("verify-full")
    assert strict is not None
    assert strict.check_hostname
    assert strict.verify_mode == ssl.CERT_REQUIRED


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


SASL = b"\0\0\0\x0a"


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        (
            message(b"R", SASL + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
            message(b"R", SASL + b"SCRAM-SHA-256\0\0"),
        ),
        (message(b"R", SASL + b"SCRAM-SHA-256\0\0"),) * 2,
        (message(b"R", b"\0\0\0\0"),) * 2,
        (message(b"E", b"SFATAL\0\0")[:5],) * 2,
        (b"R\0\0",) * 2,
        (b"",) * 2,
    ],
)
async def test_only_the_offer_to_bind_to_the_channel_is_left_out(
    said: bytes, passed: bytes
) -> None:
    """The client does not see the TLS channel; whatever else comes first passes as it is."""
    reader = asyncio.StreamReader()
    reader.feed_data(said)
    reader.feed_eof()
    assert await first_message(reader) == passed


@contextlib.asynccontextmanager
async def relay(folder: Path, port: int) -> AsyncIterator[Path]:
    """A relay to a port of this machine; yields its socket."""
    path = folder / "s"
    serving = asyncio.create_task(
        Relay(RelayConfig("127.0.0.1", port, "disable", 60), path).serve()
    )
    async with asyncio.timeout(SECONDS):
        while not path.exists():
            await asyncio.sleep(0.01)
    try:
        yield path
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def test_bytes_pass_as_they_are(tmp_path: Path) -> None:
    """Many at a time, both ways, on several connections; the end of one side ends the other."""
    sent = bytes(range(256)) * 4000
    async with server(b"") as port, relay(tmp_path, port) as path, asyncio.timeout(SECONDS):

        async def through() -> bytes:
            reader, writer = await asyncio.open_unix_connection(path)
            writing = asyncio.create_task(_write(writer, sent))
            back = await reader.readexactly(len(sent))
            await writing
            writer.close()
            return back

        assert list(await asyncio.gather(through(), through(), through())) == [sent] * 3


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def test_without_a_database_a_client_is_hung_up_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The reason is said once, however often it is tried."""
    async with server(b"") as port:
        pass
    async with relay(tmp_path, port) as path, asyncio.timeout(SECONDS):
        for _ in range(3):
            reader, writer = await asyncio.open_unix_connection(path)
            assert await reader.read() == b""
            writer.close()
    said = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [message["event"] for message in said] == ["started", "problem"]
    assert f"127.0.0.1:{port}" in said[1]["message"]
