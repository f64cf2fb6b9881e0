"""Opens a connection and closes it: `dial.py HOST PORT [tls]`. `reach` runs it in a container.

It imports the standard library alone, because only its text gets into the container.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time

TRIES = 3
PAUSE_SECONDS = 1.0
CONNECT_SECONDS = 10.0


def failure(host: str, port: int, *, tls: bool) -> str:
    """Why no connection could be opened, in words; "" when one was."""
    try:
        with socket.create_connection((host, port), CONNECT_SECONDS) as connection:
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


def main(host: str, port: str, *tls: str) -> int:
    """Try up to `TRIES` times. Prints the last failure; the exit code is 1 when all failed."""
    reason = ""
    for _ in range(TRIES):
        reason = failure(host, int(port), tls=bool(tls))
        if not reason:
            return 0
        time.sleep(PAUSE_SECONDS)
    print(reason, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
