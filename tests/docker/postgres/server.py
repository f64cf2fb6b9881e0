"""A PostgreSQL server with a user `bakeoff`; the password is in /data/password.

SIGUSR1 ends it in the middle of what it does, and it answers again after `AWAY_SECONDS`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

AWAY_SECONDS = 15.0
DATA, PASSWORD = Path("/data/cluster"), Path("/data/password")
(PROGRAMS,) = Path("/usr/lib/postgresql").glob("*/bin")
CERTIFICATE, KEY = Path("/data/server.crt"), Path("/data/server.key")
OPTIONS = {
    "listen_addresses": "*",
    "unix_socket_directories": "/tmp",
    "ssl": "on",
    "ssl_cert_file": str(CERTIFICATE),
    "ssl_key_file": str(KEY),
    "log_connections": "on",
    "shared_buffers": "16MB",
    "lc_messages": "C",
}


def make() -> None:
    """Make the cluster, which asks every user for a password, and a certificate nobody trusts."""
    subprocess.run(
        [PROGRAMS / "initdb", "-D", DATA, "-U", "bakeoff", "--auth=scram-sha-256",
         f"--pwfile={PASSWORD}", "--encoding=UTF8", "--no-sync"],
        check=True,
    )  # fmt: skip
    with (DATA / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
         "-subj", "/CN=database.test", "-keyout", KEY, "-out", CERTIFICATE],
        check=True,
    )  # fmt: skip
    KEY.chmod(0o600)


def main() -> None:
    """Serve until SIGTERM."""
    wanted = {signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    if not DATA.exists():
        make()
    options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
    while True:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)
        server = subprocess.Popen([PROGRAMS / "postgres", "-D", DATA, *options])
        signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
        while True:
            came = signal.sigwait(wanted)
            if came == signal.SIGUSR1:
                server.send_signal(signal.SIGQUIT)  # at once, and without a word to its clients
                server.wait()
                signal.sigtimedwait({signal.SIGTERM}, AWAY_SECONDS)
                break
            if came == signal.SIGTERM:
                server.send_signal(signal.SIGINT)
                sys.exit(server.wait())
            if server.poll() is not None:
                sys.exit(server.returncode)


if __name__ == "__main__":
    main()
