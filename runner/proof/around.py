"""What lies around the containers of an engine: the addresses that must be out of reach."""

from __future__ import annotations

import contextlib
import socket

from runner.engine.client import Engine

PORT = 80  # any: a machine that is reached answers at a closed port too, with a refusal
SOMEWHERE = ("192.0.2.1", 9)  # RFC 5737: nobody has it


def targets(engine: Engine) -> list[tuple[str, int]]:
    """Addresses of the engine's machine, of its bridges and of its containers, and of this machine.

    Raises:
        EngineError: the engine failed.
    """
    found = [*engine.network_addresses(), *own_addresses()]
    return [(address, PORT) for address in dict.fromkeys(found)]


def own_addresses() -> list[str]:
    """The address with which this machine faces the world; none where it has no network."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chooser:
        chooser.connect(SOMEWHERE)  # sends nothing: it only chooses the way out
        return [str(chooser.getsockname()[0])]
    return []
