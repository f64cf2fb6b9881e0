"""The engine is where DOCKER_HOST, its TLS variables or a context of the Docker CLI say."""

from __future__ import annotations

import hashlib
import json
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.build.images import image_tag
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import EngineError
from tests.unit.gateway.test_tls import write_certificate

from .engine_relay import EngineRelay, engine_socket

ECHO = "print('heard', input(), flush=True)"


def write_context(folder: Path, name: str, host: str) -> None:
    """A context as `docker context create` writes it, and the current one from now on."""
    at = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    at.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": False}
    meta = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (at / "meta.json").write_text(json.dumps(meta))
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))


@pytest.fixture
def tls_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineRelay]:
    """A TLS address of the engine, and DOCKER_CERT_PATH for it."""
    certificate, key = write_certificate(tmp_path)
    certificate.rename(tmp_path / "cert.pem")
    key.rename(tmp_path / "key.pem")
    (tmp_path / "ca.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    made = EngineRelay(context)
    monkeypatch.setenv("DOCKER_HOST", made.address.replace("127.0.0.1", "localhost"))
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    yield made
    made.close()


def test_an_engine_in_the_current_context_is_found(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DOCKER_HOST it is the engine that the Docker CLI would take."""
    write_context(tmp_path, "mine", f"unix://{engine_socket()}")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    connected = Engine.connect()
    assert connected.info().id == engine.info().id
    connected.close()


def test_a_dead_engine_of_a_context_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the context and its address, the hint how to take another."""
    write_context(tmp_path, "colima", "tcp://127.0.0.1:1")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineError, match="colima") as caught:
        Engine.connect()
    assert "tcp://127.0.0.1:1" in caught.value.message
    assert "docker context use" in caught.value.hint


@pytest.mark.parametrize("broken", ["missing", "{", "[]", "{}", '{"Name": 1, "Endpoints": []}'])
def test_a_broken_context_is_an_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """A context that is not there, or whose file is none, is named; nothing else is taken."""
    write_context(tmp_path, "colima", "unix:///none.sock")
    (meta,) = tmp_path.rglob("meta.json")
    if broken == "missing":
        meta.unlink()
    else:
        meta.write_text(broken)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineError, match="colima") as caught:
        Engine.connect()
    assert "docker context use" in caught.value.hint


def test_tls_without_certificates_is_an_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names the variables that ask for TLS."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    with pytest.raises(EngineError, match="certificate") as caught:
        Engine.connect()
    assert "DOCKER_CERT_PATH" in caught.value.hint


@pytest.mark.parametrize("host", ["nonsense://x", "tcp://127.0.0.1:port", "tcp://", "ssh://"])
def test_an_address_that_is_none_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """What DOCKER_HOST says is in the message, DOCKER_HOST in the hint."""
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineError, match="connecting to the Docker engine") as caught:
        Engine.connect()
    assert host in caught.value.message
    assert "DOCKER_HOST" in caught.value.hint


def test_an_engine_behind_tls_serves_a_run(engine: Engine, tls_relay: EngineRelay) -> None:
    """Containers are made, talked with both ways and read from through DOCKER_HOST over TLS."""
    name = f"bakeoff-test-{uuid.uuid4().hex[:8]}"
    connected = Engine.connect()
    spec = ContainerSpec(name, image_tag("base"), name, "trial", command=["python3", "-uc", ECHO])
    try:
        container = connected.create(spec)
        channel = connected.attach(container)
        connected.start(container)
        channel.send(b"a word\n")
        assert next(channel.lines()) == (True, "heard a word")
        channel.close()
        assert connected.wait_exit(container, 30)
        assert b"".join(connected.logs(container)) == b"heard a word\n"
    finally:
        engine.remove(name)
        connected.close()
