"""Downloads files over HTTP(S), with resumption and a bounded number of retries.

Invariant: a file has its final name exactly when its SHA-256 is the expected one.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import tenacity
from account import BadInputError
from tqdm import tqdm  # type: ignore[import-untyped]

TIMEOUT_SECONDS = 60
ATTEMPTS = 8
MAX_WAIT_SECONDS = 30
CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
BUSY = (408, 425, 429, 500, 502, 503, 504)


class InterruptedDownloadError(OSError):
    """The connection ended early, or the server is busy; the bytes received so far are kept."""


def download(url: str, folder: Path, sha256: str, say: Callable[[str], None]) -> Path:
    """Downloads the file at `url` into `folder` under its own name.

    Args:
        url: the address of the file.
        folder: where the file goes; the part of an interrupted download is there too.
        sha256: the SHA-256 that it must have; if empty, the one that the server states, as
            Hugging Face does.
        say: receives a line of progress now and then.

    Raises:
        BadInputError: the server does not give the file, or its SHA-256 is wrong or unknown.
    """
    name = PurePosixPath(urlsplit(url).path).name
    target, part = folder / name, folder / f"{name}.part"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for attempt in _attempts(say):
            with attempt:
                said = _fetch(url, part, say)
    except InterruptedDownloadError as error:
        raise BadInputError(
            f"downloading {name}: {error}", "check the network connection and try again"
        ) from None
    _check(part, sha256 or said, name)
    part.replace(target)
    return target


def _attempts(say: Callable[[str], None]) -> tenacity.Retrying:
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=MAX_WAIT_SECONDS),
        retry=tenacity.retry_if_exception_type(InterruptedDownloadError),
        before_sleep=lambda state: say(
            f"{state.outcome and state.outcome.exception()}; trying again"
        ),
        reraise=True,
    )


def _fetch(url: str, part: Path, say: Callable[[str], None]) -> str:
    """Brings `part` to its full length; returns the SHA-256 that the server states, or ""."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    redirects = _Redirects()
    try:
        with urllib.request.build_opener(redirects).open(request, timeout=TIMEOUT_SECONDS) as reply:
            have = have if reply.status == http.HTTPStatus.PARTIAL_CONTENT else 0
            total = have + int(reply.headers.get("Content-Length") or 0)
            with part.open("ab" if have else "wb") as file:
                _copy(reply, file, have, total, say)
            return redirects.sha256 or _stated(reply.headers)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            part.unlink()  # it is longer than the file, so it is not the beginning of it
            raise InterruptedDownloadError("the partial file belongs to another file") from None
        if error.code in BUSY:
            raise InterruptedDownloadError(f"the server answered {error.code}") from None
        raise BadInputError(
            f"downloading {part.stem}: the server answered {error.code}",
            f"check that the address is right: {url}",
        ) from None
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise InterruptedDownloadError(reason or type(error).__name__) from None


def _copy(reply: Any, file: IO[bytes], have: int, total: int, say: Callable[[str], None]) -> None:
    """Reads to the end; shows a bar on a terminal, and elsewhere a line for every tenth."""
    name, tenth = Path(file.name).stem, 10 * have // max(total, 1)
    with tqdm(desc=name, total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar:
        while chunk := reply.read(CHUNK_BYTES):
            file.write(chunk)
            have += len(chunk)
            bar.update(len(chunk))
            if not sys.stderr.isatty() and 10 * have // max(total, have) > tenth:
                tenth = 10 * have // max(total, have)
                say(f"{name}: {have / 1e6:.1f} of {max(total, have) / 1e6:.1f} MB")
    if have < total:
        raise InterruptedDownloadError(f"the connection ended after {have} of {total} bytes")


def _check(part: Path, expected: str, name: str) -> None:
    if not expected:
        raise BadInputError(
            f"downloading {name}: neither the task nor the server states its SHA-256",
            "write the SHA-256 into the task's table, so that a changed file is noticed",
        )
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        part.unlink()
        raise BadInputError(
            f"downloading {name}: its SHA-256 is {found}, not {expected}",
            "the file was changed, or damaged on its way; it has been deleted",
        )


def _stated(headers: Message) -> str:
    """The SHA-256 that a server states; for large files it is Hugging Face's entity tag."""
    for name in ("X-Linked-ETag", "ETag"):
        value = (headers.get(name) or "").removeprefix("W/").strip('"').lower()
        if SHA256.fullmatch(value):
            return value
    return ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects and remembers a SHA-256 that one of them states."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(self, *args: Any, **kwargs: Any) -> urllib.request.Request | None:
        """Looks for a SHA-256 before it follows the redirect."""
        self.sha256 = self.sha256 or _stated(args[4])
        return super().redirect_request(*args, **kwargs)
