"""Where the study of a baseline is, if it is in a database that several runs share: `STORAGE`.

The address is in `spec.json`; the password is in the environment or in .env, and in no file, no
command line and no record of a run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from runner.errors import UserError
from runner.wire.start_config import SslMode

SCHEMES = ("postgresql", "postgres")
PORT = 5432
PASSWORD = "STORAGE_PASSWORD"
EXAMPLE = "STORAGE=postgresql://user@192.0.2.1:5432/database"
STUDY_NAME = re.compile(r"[A-Za-z0-9][\w.:-]{0,99}")


@dataclass(frozen=True)
class Storage:
    """The address of a PostgreSQL database.

    Attributes:
        host: its host, as the engine's machine knows it.
        port: its TCP port.
        user: who logs in.
        database: the database's name.
        sslmode: whether and how TLS is spoken, in libpq's words.
    """

    host: str
    port: int
    user: str
    database: str
    sslmode: SslMode = "prefer"


def read_storage(url: str) -> Storage:
    """The address that STORAGE gives.

    Raises:
        UserError: it is none of a PostgreSQL database, or it holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
    except ValueError:
        raise _unusable("it is not the address of a database") from None
    if parts.password is not None or "password" in parts.query.lower():
        raise UserError(  # not repeated: it is a secret
            "setting STORAGE: it holds a password, which the list of processes and the records "
            "would show",
            hint=f"leave it out, and put {PASSWORD}=… into the environment or into the file .env "
            "in this folder",
        )
    if parts.scheme not in SCHEMES:
        raise _unusable(f"{url!r} is not the address of a PostgreSQL database")
    user, database = unquote(parts.username or ""), unquote(parts.path.removeprefix("/"))
    if not parts.hostname or not user or not database or "/" in database or parts.fragment:
        raise _unusable(f"{url!r} lacks a user, a host or a database")
    return Storage(unquote(parts.hostname), port, user, database, _sslmode(parts))


def _sslmode(parts: SplitResult) -> SslMode:
    """The sslmode of the address's query, which may hold nothing else."""
    mode = "prefer"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name != "sslmode":
            raise _unusable(f"{name!r} cannot be set in its query, only sslmode can")
        mode = value
    if mode not in get_args(SslMode):
        raise UserError(
            f"setting STORAGE: sslmode={mode} is not offered",
            hint=f"sslmode is {', '.join(get_args(SslMode))}; prefer is the default, and "
            "verify-full alone makes sure who answers",
        )
    return cast(SslMode, mode)


def check_study(name: str) -> str:
    """The name, if a study can have it.

    Raises:
        UserError: it cannot.
    """
    if not STUDY_NAME.fullmatch(name):
        raise UserError(
            f"setting STUDY: {name!r} is no name of a study",
            hint="a name is made of letters, digits and . : _ -, such as STUDY=night-3",
        )
    return name


def _unusable(problem: str) -> UserError:
    return UserError(f"setting STORAGE: {problem}", hint=f"write it as {EXAMPLE}")
