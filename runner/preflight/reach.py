"""Checks before a run whether its provider can be reached at all.

The check runs where the calls will come from: in a container of the gateway's image, with a
network of its own, and it leaves the same addresses uncalled (`runner/wire/addresses.py`). It opens
a connection (with TLS for https) and closes it: it sends no request and has no key.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from urllib.parse import urlsplit

from runner.engine import lockdown, one_off
from runner.engine.client import Engine
from runner.engine.containers import ContainerSpec
from runner.errors import HostError, SandboxError, UserError
from runner.records.layout import container_name
from runner.spec import RunSpec

ROLE = "reach"
TIMEOUT_SECONDS = 50.0  # three tries of a host that does not answer, and the container's start
MEMORY_BYTES = 128 << 20
PORTS = {"http": 80, "https": 443}
DIAL = "/opt/bakeoff/dial.py"  # runner/wire/dial.py, which is in every image
NOT_CALLED = "not called: "  # how it begins when no address may be called


def check_not_itself(spec: RunSpec, engine: Engine) -> None:
    """Refuse a BASE_URL whose host is the gateway's own container (localhost and its like).

    Raises:
        UserError: it is; the hint has the address of the engine's machine instead.
    """
    if spec.base_url is None:
        return
    host = urlsplit(spec.base_url).hostname or ""
    if means_itself(host):
        raise UserError(
            f"checking BASE_URL={spec.base_url}: it is called from the gateway, where {host} means "
            "the gateway's own container and not this machine",
            hint=_other_address(spec.base_url, engine.host_address()),
        )


def check(engine: Engine, image: str, spec: RunSpec, url: str) -> None:
    """Refuse to start a run whose provider cannot be reached.

    Args:
        engine: where the run will be.
        image: the gateway's image.
        spec: the run.
        url: the address that the gateway will call.

    Raises:
        UserError: a BASE_URL cannot be reached.
        HostError: the provider itself cannot be reached.
    """
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]
    options = ["tls"] if parts.scheme == "https" else []
    options.append("public" if spec.base_url is None else "private")
    reason = failure(engine, image, spec.run_id, parts.hostname or "", port, *options)
    if not reason:
        return
    if spec.base_url is None:
        if reason.startswith(NOT_CALLED):
            raise HostError(
                f"calling {url} from the gateway's container: {reason}",
                hint="somebody answers in the provider's place: check the name server of the "
                "engine's machine and its /etc/hosts",
            )
        raise HostError(
            f"calling {url} from the gateway's container: {reason}",
            hint="check that the engine's machine is online (the gateway uses no proxy), or set "
            "REHEARSAL=1, which needs no network",
        )
    raise UserError(
        f"calling BASE_URL={url} from the gateway's container: {reason}",
        hint=_remedy(reason, engine.host_address()),
    )


def means_itself(host: str) -> bool:
    """Whether a host means the caller itself: localhost, a loopback or the unspecified address."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith((".localhost", ".localdomain")):
        return True
    if name in ("ip6-localhost", "ip6-loopback"):
        return True
    try:  # the C library also accepts 127.1 and 0x7f000001
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.IPv4Address(
            socket.inet_aton(name)
        )
    except OSError:
        try:
            address = ipaddress.ip_address(name.partition("%")[0])
        except ValueError:
            return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _other_address(url: str, host: str) -> str:
    """The hint for an address that means the gateway itself."""
    if not host:
        return "use this machine's address in its network; the server must listen on that address"
    parts = urlsplit(url)
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return (
        f"use BASE_URL={parts._replace(netloc=netloc).geturl()}, the engine's machine as seen by "
        "the gateway; the server must listen on that address, not on localhost alone"
    )


def _remedy(reason: str, host: str) -> str:
    """The hint for a BASE_URL that cannot be reached."""
    if "certificate" in reason:
        return "to trust a certificate of your own, run `SSL_CERT_FILE=FILE make images`"
    if reason.startswith("no TLS"):
        return "check whether the server uses http:// instead of https://"
    if reason.startswith(NOT_CALLED):
        return (
            "the gateway calls addresses of the internet and of private networks; any other has to "
            "stand in BASE_URL itself, in the place of the name"
        )
    machine = f"; the gateway reaches the engine's machine at {host}" if host else ""
    return f"check that the server runs and listens on more than localhost{machine}"


def failure(engine: Engine, image: str, run_id: str, host: str, port: int, *options: str) -> str:
    """Why no connection can be opened from a container with a network; "" when one can.

    Args:
        engine: where the container runs.
        image: the image from which the calls will come.
        run_id: the run that will make them.
        host: who is called.
        port: at which TCP port.
        options: those of `runner/wire/dial.py`: speak TLS, and which addresses may be called.

    Raises:
        SandboxError: the check itself failed.
    """
    spec = ContainerSpec(
        # The name is unique: the same run may be started a second time meanwhile.
        name=container_name(run_id, f"{ROLE}-{secrets.token_hex(4)}"),
        image=image,
        run_id=run_id,
        role=ROLE,
        entrypoint=["python3", DIAL, host, str(port), *options],
        network=lockdown.OWN_NETWORK,
        memory_bytes=MEMORY_BYTES,
    )
    tried = one_off.run(engine, spec, one_off.Bounds(TIMEOUT_SECONDS))
    if tried.exit_code is None:
        return f"no connection within {TIMEOUT_SECONDS:.0f} s"
    if tried.exit_code not in (0, 1):
        raise SandboxError(
            f"checking whether {host}:{port} can be reached: the check ended with exit code "
            f"{tried.exit_code}: {tried.output[-300:]}",
            hint="`make images` builds the image in which the check runs",
        )
    return tried.output if tried.exit_code else ""
