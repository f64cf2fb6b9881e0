"""A run's gateway before a scripted provider: whole answers in the dialects of the three APIs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.wire.model_config import ModelConfig, Provider
from tests.unit.gateway.rig import APIS, TOKEN, Background, RunningGateway
from tests.unit.gateway.standin import Plan, Served, StandIn

API_OF: dict[Provider, str] = {"anthropic": "anthropic", "openai": "chat", "google": "google"}
PROVIDERS = tuple(API_OF)
CUT = {"anthropic": "max_tokens", "openai": "length", "google": "MAX_TOKENS"}
REFUSED = {"anthropic": "refusal", "openai": "content_filter", "google": "SAFETY"}
FINE = {"anthropic": "end_turn", "openai": "stop", "google": "STOP"}


@dataclass(frozen=True)
class Said:
    """What the scripted model says to one request.

    Attributes:
        text: the answer.
        ended: why it ended; "" for the usual end.
        status: of HTTP; another than 200 makes `text` the message of an error.
        body: sent in place of a whole answer.
        after: it is sent when so many requests have arrived.
        torn: half of the answer is sent, and then the connection is closed ("cut") or silent
            ("silent"); "" for a whole answer.
    """

    text: str = '{"LR": 0.1}'
    ended: str = ""
    status: int = 200
    body: Any = None
    after: int = 0
    torn: str = ""


Script = Callable[[dict[str, Any]], Said]


@dataclass
class ScriptedProvider(StandIn):
    """Answers each request's body by a script.

    Attributes:
        provider: whose dialect it speaks.
        script: what it says.
        bodies: of the requests, oldest first.
    """

    provider: Provider = "anthropic"
    script: Script = field(default=lambda _: Said())
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def _give(self, wire: Any, _plan: Plan, _fault: dict[str, Any], seen: Served) -> bool:
        self.bodies.append(seen.body)
        said = self.script(seen.body)
        async with asyncio.timeout(20):
            while len(self.bodies) < said.after:
                await asyncio.sleep(0.005)
        if said.status != 200:
            await wire.whole(said.status, {"error": {"message": said.text, "type": "invalid"}})
            return True
        body = whole(self.provider, seen.model, said) if said.body is None else said.body
        if said.torn:
            await wire.begin("application/json")
            await wire.piece(json.dumps(body).encode()[:40])
            if said.torn == "silent":
                await self.released.wait()
            return False
        await wire.whole(200, body)
        return True


def whole(provider: Provider, model: str, said: Said) -> dict[str, Any]:
    """A whole answer as the provider's API sends it."""
    ended = said.ended or FINE[provider]
    if provider == "anthropic":
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": model,
            "content": [{"type": "text", "text": said.text}], "stop_reason": ended,
            "usage": {"input_tokens": 10, "output_tokens": 5},
        }  # fmt: skip
    if provider == "openai":
        message = {"role": "assistant", "content": said.text}
        return {
            "id": "chat_1", "object": "chat.completion", "created": 1, "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": ended}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        }  # fmt: skip
    content = {"role": "model", "parts": [{"text": said.text}]}
    return {
        "candidates": [{"content": content, "index": 0, "finishReason": ended}],
        "modelVersion": model,
        "usageMetadata": {
            "promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15,
        },
    }  # fmt: skip


@contextmanager
def gateway_of(
    provider: Provider, folder: Path, script: Script = lambda _: Said(), **config: Any
) -> Iterator[RunningGateway]:
    """A gateway in this process, on a Unix socket, before the scripted provider."""
    background = Background()
    standin = ScriptedProvider(provider=provider, script=script)
    gateway = RunningGateway(background, folder, APIS[API_OF[provider]], config, standin=standin)
    try:
        yield gateway.start()
    finally:
        gateway.stop()
        background.close()


def bodies(gateway: RunningGateway) -> list[dict[str, Any]]:
    """The requests that reached the scripted provider."""
    assert isinstance(gateway.standin, ScriptedProvider)
    return gateway.standin.bodies


def text_of(body: dict[str, Any]) -> str:
    """The prompt in a request, whatever its dialect; it has one message and nothing else."""
    if "contents" in body:
        [content] = body["contents"]
        [part] = content["parts"]
        return str(part["text"])
    [message] = body["messages"]
    assert message["role"] == "user"
    return str(message["content"])


def config_of(provider: Provider, model: str = "", token: str = TOKEN) -> ModelConfig:
    """What the optimizer is told of a model."""
    return ModelConfig(
        method="llm-knobs",
        provider=provider,
        model=model or APIS[API_OF[provider]].model,
        token=token,
        metric="val_bpb",
        task="pystdlib",
        trial_seconds=5,
    )
