"""Opens a connection and closes it: `dial.py HOST PORT [tls] [public|private]`.

With `public` or `private` it looks at the addresses first, as the gateway does (`addresses.py`),
and connects to none that the gateway would not call. Without either, any address will do.

It lies in every image, and `runner/preflight/reach.py` runs it in a container.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable
from functools import partial

import addresses

TRIES = 3
PAUSE_SECONDS = 1.0
CONNECT_SECONDS = 10.0
# The beginning of a reason that no other try cures.
NOT_CALLED = "not called: "

Fault = Callable[[str], str]


def failure(host: str, port: int, *, tls: bool, fault: Fault = lambda _: "") -> str:
    """Why no connection could be opened, in words; "" when one was.

    Args:
        host: a name or an address.
        port: the TCP port.
        tls: speak TLS, and verify who answers.
        fault: what is wrong with calling an address; "" for nothing.
    """
    try:
        found = [one[4][0] for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        faults = {str(address): fault(str(address)) for address in found}
        allowed = [address for address, what in faults.items() if not what]
        if not allowed:
            return NOT_CALLED + addresses.refusal(host, faults)
        with _connected(allowed, port) as connection:
            if tls:
                context = ssl.create_default_context()
                context.wrap_socket(connection, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return f"no TLS: its certificate is not trusted ({error.verify_message})"
    except ssl.SSLError as error:
        return f"no TLS: {(error.reason or 'failed').replace('_', ' ').lower()}"
    except socket.gaierror as error:
        return f"no connection: the name is not known ({error.strerror})"
    except UnicodeError:
        return "no connection: the name is not valid"
    except OSError as error:
        return f"no connection: {error.strerror or error}"
    return ""


def _connected(allowed: list[str], port: int) -> socket.socket:
    """A connection to the first of the addresses that answers.

    Raises:
        OSError: none of them did.
    """
    failed: OSError | None = None
    for address in allowed:
        try:
            return socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError as error:
            failed = failed or error
    raise failed or OSError("no address")


def main(host: str, port: str, *options: str) -> int:
    """Try up to `TRIES` times. Prints the last failure; the exit code is 1 when all failed."""
    fault: Fault = lambda _: ""  # noqa: E731 # the default of `failure`
    if "public" in options or "private" in options:
        own = addresses.own_networks()
        fault = partial(addresses.fault, named=host, private_ok="private" in options, own=own)
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        reason = failure(host, int(port), tls="tls" in options, fault=fault)
        if not reason:
            return 0
        if reason.startswith(NOT_CALLED):
            break
    print(reason, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
