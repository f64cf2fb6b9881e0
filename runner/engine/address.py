"""Where the Docker engine is, and what its machine is called from a container."""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Mapping
from typing import Any

import docker.errors
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.utils import kwargs_from_env

from runner.errors import EngineError

# Engines in a virtual machine. Their bridge does not lead to the user's machine; this name does.
VIRTUAL_MACHINE_ENGINES = ("Docker Desktop", "OrbStack", "Rancher Desktop", "colima")
NAME_OF_HOST = "host.docker.internal"


def engine_address() -> tuple[str, dict[str, Any]]:
    """The address of the engine as text for a person, and as options for docker-py.

    Raises:
        EngineError: DOCKER_HOST, its TLS variables or the context of the Docker CLI are invalid.
    """
    context = ""
    try:
        options: dict[str, Any] = {**kwargs_from_env()}
        if "base_url" not in options:
            context = os.environ.get("DOCKER_CONTEXT") or get_current_context_name() or "default"
            found = ContextAPI.kwargs_from_context(context)
            if not found:
                raise docker.errors.ContextNotFound(context)
            options = {**found, **options}
        where = str(options["base_url"])
    except Exception as error:  # docker-py has nothing narrower for a context's broken file
        source = f"context {context} of the Docker CLI" if context else "the variables DOCKER_…"
        raise EngineError(
            f"connecting to the Docker engine: {source} is not valid: "
            f"{type(error).__name__}: {error}",
            hint="choose another context with `docker context use`, or set DOCKER_HOST, which "
            "takes precedence"
            if context
            else "for an engine behind TLS, set DOCKER_CERT_PATH to the folder of cert.pem, "
            "key.pem and ca.pem; for any other, unset it and DOCKER_TLS_VERIFY",
        ) from error
    return (f"{where} (context {context})" if context else where), options


def unreachable(where: str, error: Exception) -> EngineError:
    """The error for an engine that does not answer, with the operating system's reason."""
    root: BaseException = error
    while inner := root.__cause__ or root.__context__:  # requests wraps it, then docker-py
        root = inner
    hint = (
        "start it (`make setup` installs and starts one on Debian and Ubuntu, as root), or point "
        "DOCKER_HOST, or `docker context use`, at one"
    )
    if isinstance(root, PermissionError):
        hint = (
            "add yourself to the group of the socket (`sudo usermod -aG docker $USER`), then log "
            "in again"
        )
    reason = (isinstance(root, OSError) and root.strerror) or error
    return EngineError(
        f"connecting to the Docker engine: none answers at {where}: {reason}", hint=hint
    )


def machine_address(info: Mapping[str, Any], bridge: Mapping[str, Any]) -> str:
    """How a container on the engine's bridge calls the engine's machine; "" when it cannot.

    The bridge of a rootless engine ends in a network namespace that the machine is not part of.
    An engine that has just been installed names the bridge's subnet and no gateway until it is
    started again; the gateway is then the subnet's first address.

    Args:
        info: the engine's answer to `GET /info`.
        bridge: its answer to `GET /networks/bridge`.
    """
    names = f"{info.get('OperatingSystem')} {info.get('Name')}"
    if any(name in names for name in VIRTUAL_MACHINE_ENGINES):
        return NAME_OF_HOST
    if "name=rootless" in (info.get("SecurityOptions") or ()):
        return ""
    gateways = map(_gateway, bridge["IPAM"]["Config"] or ())
    return next((address for address in gateways if "." in address), "")


def _gateway(config: Mapping[str, str]) -> str:
    """The gateway of an address range of a network; "" if it is not known."""
    if gateway := config.get("Gateway", ""):
        return gateway
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_network(config.get("Subnet", ""))[1])
    return ""
