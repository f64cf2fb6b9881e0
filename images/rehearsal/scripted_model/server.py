"""A small HTTP/1.1 server for one provider's API, on a Unix socket or on loopback.

It is the standard library's, because the image then needs no package at all. Every request must
carry the key that the gateway holds. Another key gets 401, so that a rehearsal also shows that the
gateway puts the key in.
"""

from __future__ import annotations

import hmac
import itertools
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from .conversation import Answer, Bill, Conversation
from .dialects import anthropic, google, openai, openai_chat
from .hardships import HARDSHIPS
from .plan import UNCOUNTED, quality
from .script import work
from .session import Proposer, Session
from .tools import CliTools
from .weight import media

MAX_BODY_BYTES = 64 * 1024 * 1024
SLOW = 504  # this one comes late
SLOW_SECONDS = 25.0  # longer than the gateway waits for a count
COUNT_FAILURES = (500, SLOW, 404, 500, 500)
Frame = dict[str, Any]


class Dialect(Protocol):
    """What a provider's module offers; see `dialects/anthropic.py` for the meaning of each."""

    def key(self, headers: dict[str, str]) -> str: ...
    def purpose(self, path: str) -> str: ...
    def read(self, _path: str, body: Frame) -> Conversation: ...
    def count(self, conversation: Conversation) -> Frame: ...
    def whole(self, answer: Answer) -> Frame: ...
    def frames(self, answer: Answer) -> Iterator[tuple[str, Frame]]: ...
    def broken(self, answer: Answer) -> Iterator[tuple[str, Frame]]: ...
    def bill(self, answer: Answer) -> Bill: ...
    def error(self, status: int, message: str) -> Frame: ...


DIALECTS: dict[str, Dialect] = {"anthropic": anthropic, "openai": openai, "google": google}
# What another path of a provider's API speaks: agents use the Responses API, optimisers this one.
OTHER_DIALECTS: dict[tuple[str, str], Dialect] = {("openai", openai_chat.PATH): openai_chat}


@dataclass(frozen=True)
class Hardness:
    """What makes a rehearsal harder than an ordinary one.

    Args:
        uncounted: the token count fails.
        account: takes a line for everything that is charged.
        slow_seconds: how long a count that is slow to fail takes.
    """

    uncounted: bool = False
    account: Callable[[str], None] | None = None
    slow_seconds: float = SLOW_SECONDS


EASY = Hardness()


def hardness(plan: tuple[str, ...], account: Callable[[str], None]) -> Hardness:
    """How hard a rehearsal of this plan is: `EASY` for a plan without hardships."""
    if not set(plan) & {*HARDSHIPS, UNCOUNTED}:
        return EASY
    return Hardness(UNCOUNTED in plan, account)


class BadRequestError(Exception):
    """A request that cannot be read; the text says why."""


class Api:
    """One provider's API with one scripted model behind it."""

    def __init__(
        self, provider: str, api_key: str, session: Session, hardness: Hardness = EASY
    ) -> None:
        """Raises: ValueError for a provider that is none of `DIALECTS`, or an empty key."""
        if provider not in DIALECTS:
            raise ValueError(f"no dialect for provider {provider!r}; known: {', '.join(DIALECTS)}")
        if not api_key:
            raise ValueError("a rehearsal needs an api_key to check")
        self._provider = provider
        self.session = session
        self._api_key = api_key
        self.hardness = hardness
        self._count_failures = itertools.cycle(COUNT_FAILURES)

    def dialect(self, path: str) -> Dialect:
        """What is spoken on a path of the API."""
        return OTHER_DIALECTS.get((self._provider, path), DIALECTS[self._provider])

    def answer(self, conversation: Conversation, seen: tuple[str, ...], dialect: Dialect) -> Answer:
        """The session's answer, written into the account where one is kept."""
        answer = self.session.answer(conversation)
        if self.hardness.account is not None:
            entry = {"model": conversation.model, "media": Counter(seen), "cut": answer.cut}
            entry |= asdict(dialect.bill(answer))
            self.hardness.account(f"account: {json.dumps(entry)}")
        return answer

    def count_failure(self) -> int:
        """The HTTP status with which a request for a count fails; 0 when it succeeds."""
        return next(self._count_failures) if self.hardness.uncounted else 0

    def admits(self, headers: dict[str, str]) -> bool:
        """Whether a request presents the key that this rehearsal was started with."""
        presented = DIALECTS[self._provider].key(headers)
        return hmac.compare_digest(presented.encode(), self._api_key.encode())


def rehearsed(
    provider: str,
    api_key: str,
    seed: int,
    plan: tuple[str, ...],
    tools: Sequence[Mapping[str, Any]],
    note: Callable[[str], None],
) -> Api:
    """The API of a provider whose model plays an agent, or answers an optimiser.

    Args:
        provider: whose API.
        api_key: the key that must be presented.
        seed: the replicate.
        plan: words of `plan.WORDS`, as `checked_plan` returns them.
        tools: how the agent's CLI is used (tools.py); empty for an optimiser, which has none.
        note: takes a line for a person.

    Raises:
        ValueError: no such provider, an empty key, or tools that cannot be used.
    """
    cli = CliTools(tools) if tools else None
    session = Session(lambda: work(seed, plan), note, cli, Proposer(seed, quality(plan)))
    return Api(provider, api_key, session, hardness(plan, note))


class Server(ThreadingHTTPServer):
    """Serves an `Api` on loopback TCP, one thread a connection."""

    daemon_threads = True

    def __init__(self, address: Any, api: Api) -> None:
        super().__init__(address, Handler)
        self.api = api


class UnixServer(Server):
    """Serves an `Api` on a Unix socket that every container of the volume may open."""

    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        """Bind, taking the place of a socket that an earlier start left behind."""
        path = Path(str(self.server_address))
        path.unlink(missing_ok=True)
        TCPServer.server_bind(self)
        path.chmod(0o666)


class Handler(BaseHTTPRequestHandler):
    """One connection: checks the key, asks the session, answers in the provider's form."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answer a model request, a token count, or say in the provider's form why not."""
        path = urlsplit(self.path).path
        dialect = self.server.api.dialect(path)
        try:
            body = self._body()
            if not self.server.api.admits({k.lower(): v for k, v in self.headers.items()}):
                return self._refuse(401, "this is not the key of the rehearsal")
            purpose = dialect.purpose(path)
            if not purpose:
                return self._refuse(404, f"a rehearsal does not serve {path}")
            conversation = dialect.read(path, body)
        except (BadRequestError, KeyError, TypeError, AttributeError, ValueError) as error:
            return self._refuse(400, f"the request cannot be read: {error!r}")
        if purpose == "count":
            return self._count(conversation, dialect)
        answer = self.server.api.answer(conversation, media(body), dialect)
        if conversation.streamed:
            return self._send_events(
                dialect.broken(answer) if answer.cut else dialect.frames(answer)
            )
        return self._send_json(200, dialect.whole(answer))

    def _count(self, conversation: Conversation, dialect: Dialect) -> None:
        api = self.server.api
        status = api.count_failure()
        if status == SLOW:
            time.sleep(api.hardness.slow_seconds)
        if status:
            api.session.note(f"no count: {status}")
            return self._refuse(status, "this rehearsal does not count")
        return self._send_json(200, dialect.count(conversation))

    def do_GET(self) -> None:
        """Refuse: nothing that an agent needs is read with GET."""
        self._refuse(404, f"a rehearsal does not serve GET {urlsplit(self.path).path}")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the session's notes tell the story."""

    def _body(self) -> Frame:
        raw = (
            self._chunked()
            if "chunked" in self.headers.get("Transfer-Encoding", "")
            else self._sized()
        )
        body = json.loads(raw)
        if not isinstance(body, dict):
            raise BadRequestError("the body is no JSON object")
        return body

    def _sized(self) -> bytes:
        size = int(self.headers.get("Content-Length", 0))
        if not 0 < size <= MAX_BODY_BYTES:
            self.close_connection = True
            raise BadRequestError(f"a body of {size} bytes; at most {MAX_BODY_BYTES}")
        return self.rfile.read(size)

    def _chunked(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            if len(body) + size > MAX_BODY_BYTES:
                self.close_connection = True
                raise BadRequestError(f"a body of more than {MAX_BODY_BYTES} bytes")
            body += self.rfile.read(size)
            self.rfile.readline(64)
        self.rfile.readline(64)
        return body

    def _refuse(self, status: int, message: str) -> None:
        dialect = self.server.api.dialect(urlsplit(self.path).path)
        self._send_json(status, dialect.error(status, message))

    def _send_json(self, status: int, body: Frame) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _send_events(self, frames: Iterator[tuple[str, Frame]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for name, data in frames:
            event = _event(name, data)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def _event(name: str, data: Frame) -> bytes:
    """A server-sent event, or bare JSON where the name is `google.RAW`."""
    if name == google.RAW:
        return json.dumps(data).encode()
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(data)}\n\n".encode()
