"""TLS to a real provider, with the certificates that the machine trusts and no others."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runner.wire.messages import Outage, Stop, Usage

from .conftest import Spawn
from .rig import APIS, KEY, TOKEN, Background, RunningGateway
from .standin import StandIn


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private = folder / "key.pem"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    public = folder / "certificate.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return public, private


@dataclass
class Provider:
    """A stand-in behind TLS."""

    standin: StandIn
    certificate: Path
    port: int

    def config(self, **more: Any) -> dict[str, Any]:
        """A start config that leads to it."""
        return {
            "provider": "anthropic",
            "base_url": f"https://localhost:{self.port}",
            "api_key": KEY,
            "token": TOKEN,
            "models": ["claude-opus-4-6"],
            "deadline_seconds": 60,
        } | more


@pytest.fixture
def provider(background: Background, tmp_path: Path) -> Iterator[Provider]:
    public, private = write_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    standin = StandIn()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(standin.connected, "127.0.0.1", 0, ssl=context)

    async def stop() -> None:
        server.close()
        for writer in list(standin.connections):
            writer.close()
        await server.wait_closed()

    server = background.run(start())
    yield Provider(standin, public, server.sockets[0].getsockname()[1])
    background.run(stop())


def test_a_provider_with_a_trusted_certificate_gets_requests(
    provider: Provider, spawn: Spawn, background: Background, tmp_path: Path
) -> None:
    """The key goes through TLS to a host whose certificate the machine trusts."""
    process = spawn(SSL_CERT_FILE=str(provider.certificate))
    process.begin(**provider.config())
    assert (
        RunningGateway(background, tmp_path / "volume", APIS["anthropic"], {}).send().status == 200
    )
    assert provider.standin.served[0].headers["x-api-key"] == KEY
    assert process.next(Usage).record["status"] == 200
    process.say(Stop("done", 1))
    assert process.end() == 0


def test_a_host_with_an_untrusted_certificate_gets_nothing(
    provider: Provider, spawn: Spawn, background: Background, tmp_path: Path
) -> None:
    """It gets no request and no key; the outage gives the reason."""
    process = spawn()
    process.begin(**provider.config(limits={"retry_seconds": 0.3}))
    assert (
        RunningGateway(background, tmp_path / "volume", APIS["anthropic"], {}).send().status == 529
    )
    assert provider.standin.served == []
    process.say(Stop("done", 1))
    assert process.end() == 0
    assert "CERTIFICATE_VERIFY_FAILED" in process.next(Outage).reason.upper().replace(" ", "_")
