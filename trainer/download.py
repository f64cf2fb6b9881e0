"""Files over HTTP(S): resumed where they stopped, retried within bounds, taken only when whole.

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
from corpus import BadInputError
from tqdm import tqdm  # type: ignore[import-untyped]

TIMEOUT_SECONDS = 60
ATTEMPTS = 8
MAX_WAIT_SECONDS = 30
CHUNK_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
BUSY = (408, 425, 429, 500, 502, 503, 504)


class InterruptedDownloadError(OSError):
    """The connection ended early, or the server is busy: what came so far is kept."""


def download(url: str, folder: Path, sha256: str, say: Callable[[str], None]) -> Path:
    """The file at `url`, in `folder` under its own name.

    Args:
        url: of the file.
        folder: where it goes; what came of it before an interruption is there too.
        sha256: what it must be; empty: what the server says of it, as Hugging Face does.
        say: gets a line of progress now and then.

    Raises:
        BadInputError: the server will not have it, or it is not what it must be.
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
            f"downloading {name}: {error}", "is there a network? try again"
        ) from None
    _check(part, sha256 or said, name)
    part.replace(target)
    return target


def _attempts(say: Callable[[str], None]) -> tenacity.Retrying:
    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=MAX_WAIT_SECONDS),
        retry=tenacity.retry_if_exception_type(InterruptedDownloadError),
        before_sleep=lambda state: say(f"{state.outcome and state.outcome.exception()}; again"),
        reraise=True,
    )


def _fetch(url: str, part: Path, say: Callable[[str], None]) -> str:
    """Brings `part` to its full length; returns the SHA-256 that the server says of it, or ""."""
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
            part.unlink()  # more than the whole: not this file's beginning
            raise InterruptedDownloadError("the part that was there does not fit") from None
        if error.code in BUSY:
            raise InterruptedDownloadError(f"the server answered {error.code}") from None
        raise BadInputError(
            f"downloading {part.stem}: the server answered {error.code}", f"is {url} right?"
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
    """Reads to the end, with a bar on a terminal and a line every tenth elsewhere."""
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
            f"downloading {name}: neither the task nor the server says its SHA-256",
            "write it into the task's table, so that a changed file is noticed",
        )
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        part.unlink()
        raise BadInputError(
            f"downloading {name}: its SHA-256 is {found}, not {expected}",
            "the file has changed or was damaged on its way; nothing of it is kept",
        )


def _stated(headers: Message) -> str:
    """The SHA-256 in a server's own words; Hugging Face's entity tags are one for large files."""
    for name in ("X-Linked-ETag", "ETag"):
        value = (headers.get(name) or "").removeprefix("W/").strip('"').lower()
        if SHA256.fullmatch(value):
            return value
    return ""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and remembers a SHA-256 that was stated on the way."""

    def __init__(self) -> None:
        self.sha256 = ""

    def redirect_request(self, *args: Any, **kwargs: Any) -> urllib.request.Request | None:
        """As its parent does."""
        self.sha256 = self.sha256 or _stated(args[4])
        return super().redirect_request(*args, **kwargs)
