"""A whole gateway before a stand-in provider, over real Unix sockets, in this very process."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from images.gateway.gatewayd.accounting.prices import Prices
from images.gateway.gatewayd.reporter import EventSink
from images.gateway.gatewayd.server.context import GatewayContext, open_context
from images.gateway.gatewayd.server.handler import RequestHandler
from images.gateway.gatewayd.server.service import Service
from images.gateway.gatewayd.settings import read_settings

from .standin import Served, StandIn, serve

KEY = "sk-the-only-copy"
TOKEN = "token-of-this-run"
T = TypeVar("T")


@dataclass(frozen=True)
class Api:
    """One provider API as its clients use it."""

    provider: str
    model: str
    streamed: str
    whole: str
    auth: dict[str, str]
    limit: str

    def body(self, plan: dict[str, Any], stream: bool = True, **more: Any) -> dict[str, Any]:
        """A request whose prompt tells the stand-in what to do."""
        prompt = f"PLAN {json.dumps(plan)}"
        if self.provider == "google":
            return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]} | more
        text = {"model": self.model, "stream": stream}
        if self is APIS["responses"]:
            return text | {"input": prompt} | more
        talk = {"messages": [{"role": "user", "content": prompt}]}
        return text | talk | ({"max_tokens": 100} if self is APIS["anthropic"] else {}) | more

    def limited(self, tokens: int) -> dict[str, Any]:
        """The field that limits the output."""
        if self.provider == "google":
            return {"generationConfig": {"maxOutputTokens": tokens}}
        return {self.limit: tokens}


GEMINI = "/v1beta/models/gemini-3-flash-preview:"
APIS = {
    "anthropic": Api(
        "anthropic", "claude-opus-4-6", "/v1/messages?beta=true", "/v1/messages",
        {"x-api-key": TOKEN}, "max_tokens",
    ),
    "responses": Api(
        "openai", "gpt-5.4", "/v1/responses", "/v1/responses",
        {"Authorization": f"Bearer {TOKEN}"}, "max_output_tokens",
    ),
    "chat": Api(
        "openai", "gpt-5.4", "/v1/chat/completions", "/v1/chat/completions",
        {"Authorization": f"Bearer {TOKEN}"}, "max_completion_tokens",
    ),
    "google": Api(
        "google", "gemini-3-flash-preview", f"{GEMINI}streamGenerateContent?alt=sse",
        f"{GEMINI}generateContent", {"x-goog-api-key": TOKEN}, "maxOutputTokens",
    ),
}  # fmt: skip


class RecordedEvents(EventSink):
    """Keeps every event of a gateway."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.records: list[dict[str, Any]] = []
        self.refusals: list[tuple[str, str]] = []
        self.caps: list[tuple[str, str]] = []
        self.outages: list[tuple[float, float, str]] = []
        self.problems: list[tuple[str, str]] = []

    def usage(self, record: dict[str, Any]) -> None:
        self._add(self.records, record)

    def denied(self, reason: str, detail: str) -> None:
        self._add(self.refusals, (str(reason), detail))

    def cap_reached(self, budget: str, detail: str) -> None:
        self._add(self.caps, (budget, detail))

    def outage(self, began: float, ended: float, reason: str, whole_seconds: float) -> None:
        assert whole_seconds == ended - began, "no test has an outage that lasts longer"
        self._add(self.outages, (began, ended, reason))

    def problem(self, during: str, message: str) -> None:
        self._add(self.problems, (during, message))

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Waits for a condition on the events."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), vars(self)

    def _add(self, events: list[Any], item: Any) -> None:
        with self.changed:
            events.append(item)
            self.changed.notify_all()


@dataclass
class Reply:
    """What a client received; `whole` is False when the connection was cut."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("gateway", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


class Background:
    """An event loop in a thread of its own, for the servers that a test talks to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float = 30) -> T:
        """Runs a coroutine on the loop and waits for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def close(self) -> None:
        self.run(self._cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _cancel_all(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@dataclass
class RunningGateway:
    """A gateway before a stand-in provider. Its state folder outlives it, as a volume would."""

    background: Background
    folder: Path
    api: Api
    config: dict[str, Any]
    events: RecordedEvents = field(default_factory=RecordedEvents)
    standin: StandIn = field(default_factory=StandIn)
    _ends: list[Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.folder / "llm.sock"

    @property
    def served(self) -> list[Served]:
        return self.standin.served

    def start(self) -> RunningGateway:
        """Starts the stand-in and the gateway."""
        self.background.run(self._start())
        return self

    async def _start(self) -> None:
        model = self.folder / "model.sock"
        settings = read_settings(
            {
                "provider": self.api.provider,
                "base_url": f"unix://{model}",
                "api_key": KEY,
                "token": TOKEN,
                "models": [self.api.model],
                "deadline_seconds": 600,
                "limits": {"backoff_seconds": 0.02} | self.config.get("limits", {}),
            }
            | {name: value for name, value in self.config.items() if name != "limits"}
        )
        prices = Prices(settings)
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        manager = open_context(settings, prices, self.events, state)
        self.context: GatewayContext = await manager.__aenter__()
        model.unlink(missing_ok=True)
        server = await serve(self.standin, model)
        service = Service(RequestHandler(self.context), self.socket)
        await service.start()

        async def end() -> None:
            await service.stop(0.2)
            await manager.__aexit__(None, None, None)
            server.close()
            for writer in list(self.standin.connections):
                writer.close()
            await server.wait_closed()

        self._ends.append(end)

    def stop(self) -> None:
        """Stops both."""
        while self._ends:
            self.background.run(self._ends.pop()())

    def send(
        self,
        plan: dict[str, Any] | None = None,
        stream: bool = True,
        body: dict[str, Any] | bytes | None = None,
        target: str = "",
        headers: dict[str, str] | None = None,
        method: str = "POST",
        **more: Any,
    ) -> Reply:
        """Sends one request and reads the whole answer."""
        if not isinstance(body, bytes):
            body = json.dumps(body or self.api.body(plan or {}, stream, **more)).encode()
        to = target or (self.api.streamed if stream else self.api.whole)
        sent = {"Content-Type": "application/json"}
        sent |= self.api.auth if headers is None else headers
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, to, body=body, headers=sent)
            response = connection.getresponse()
            got = {name.lower(): text for name, text in response.getheaders()}
            try:
                return Reply(response.status, got, response.read())
            except http.client.IncompleteRead as error:
                return Reply(response.status, got, error.partial, whole=False)
        finally:
            connection.close()

    def usage_records(self, requests: int) -> list[dict[str, Any]]:
        """The usage records, as soon as there are so many."""
        self.events.wait_until(lambda: len(self.events.records) >= requests)
        return self.events.records

    def wait_for_requests(self, requests: int) -> None:
        """Waits until so many requests have reached the provider."""
        end = time.monotonic() + 10
        while len(self.served) < requests:
            assert time.monotonic() < end, "the request did not reach the provider"
            time.sleep(0.005)

    def release(self) -> None:
        """Lets the attempts go on that the stand-in holds."""
        self.background.loop.call_soon_threadsafe(self.standin.released.set)

    def send_raw(
        self, data: bytes, silence_seconds: float = 20.0, enough: bytes | None = None
    ) -> bytes:
        """Sends bytes as they are, and reads the answers.

        It reads until the gateway closes, is silent for so long, or has sent what is enough.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(silence_seconds)
            connection.connect(str(self.socket))
            connection.sendall(data)
            got = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while (enough is None or enough not in got) and (piece := connection.recv(65536)):
                    got += piece
            return got
