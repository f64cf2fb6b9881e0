"""The providers' own SDKs through the gateway: streams, whole answers, counts and refusals.

Each test imports its SDK itself: an import takes one to three seconds, in every worker of pytest.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .conftest import Make
from .rig import TOKEN, RunningGateway
from .standin import TEXT

PLAN = {"input": 100, "output": 50, "chunks": 3}
PROMPT = f"PLAN {json.dumps(PLAN)}"
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}


@contextmanager
def relayed(gateway: RunningGateway) -> Iterator[str]:
    """The base URL of a relay from loopback to the gateway's socket, as the sandbox has one."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(str(gateway.socket))
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def start() -> asyncio.Server:
        return await asyncio.start_server(connected, "127.0.0.1", 0)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    server = gateway.background.run(start())
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gateway.background.run(stop())


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies one direction of a connection to its end."""
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


def used(gateway: RunningGateway, requests: int) -> list[tuple[int, int]]:
    return [(one["input_tokens"], one["output_tokens"]) for one in gateway.usage_records(requests)]


def test_the_anthropic_sdk(make: Make) -> None:
    """Stream, whole answer and token count work; a web tool raises BadRequestError."""
    import anthropic

    gateway = make("anthropic")
    ask: Any = {
        "model": "claude-opus-4-6",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": PROMPT}],
    }
    with relayed(gateway) as url, anthropic.Anthropic(base_url=url, api_key=TOKEN) as client:
        with client.messages.stream(**ask) as stream:
            streamed = stream.get_final_message()
        whole = client.messages.create(**ask)
        counted = client.messages.count_tokens(model=ask["model"], messages=ask["messages"])
        with pytest.raises(anthropic.BadRequestError, match="web_search_20250305"):
            client.messages.create(**ask, tools=[SEARCH])
    for message in (streamed, whole):
        assert message.content[0].model_dump()["text"] == TEXT * 3
        assert (message.usage.input_tokens, message.usage.output_tokens) == (100, 50)
    assert counted.input_tokens == 100
    assert used(gateway, 3) == [(100, 50), (100, 50), (0, 0)]


def test_the_openai_sdk(make: Make) -> None:
    """Responses and chat work, streamed and whole; a web tool raises BadRequestError."""
    import openai

    gateway = make("responses")
    chat: Any = {"model": "gpt-5.4", "messages": [{"role": "user", "content": PROMPT}]}
    ask: Any = {"model": "gpt-5.4", "input": PROMPT}
    with relayed(gateway) as url, openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN) as client:
        with client.responses.stream(**ask) as stream:
            streamed = stream.until_done().get_final_response()
        whole = client.responses.create(**ask)
        with client.chat.completions.create(**chat, stream=True) as pieces:
            texts = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
        talk = client.chat.completions.create(**chat)
        with pytest.raises(openai.BadRequestError, match="web_search"):
            client.responses.create(**ask, tools=[{"type": "web_search"}])
    assert streamed.output_text == whole.output_text == TEXT * 3
    assert "".join(texts) == talk.choices[0].message.content == TEXT * 3
    assert used(gateway, 4) == [(100, 50)] * 4


def test_the_google_sdk(make: Make) -> None:
    """Stream, whole answer and count work; a search tool raises ClientError."""
    from google import genai
    from google.genai import types
    from google.genai.errors import ClientError

    gateway = make("google")
    model = "gemini-3-flash-preview"
    search = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    with relayed(gateway) as url:
        options = types.HttpOptions(base_url=url)
        with genai.Client(api_key=TOKEN, http_options=options) as client:
            models = client.models
            pieces = [*models.generate_content_stream(model=model, contents=PROMPT)]
            whole = models.generate_content(model=model, contents=PROMPT)
            counted = models.count_tokens(model=model, contents=PROMPT)
            with pytest.raises(ClientError, match="googleSearch"):
                models.generate_content(model=model, contents=PROMPT, config=search)
    assert "".join(piece.text or "" for piece in pieces) == whole.text == TEXT * 3
    assert counted.total_tokens == 100
    assert used(gateway, 3) == [(100, 50), (100, 50), (0, 0)]


def test_an_sdk_does_not_notice_an_outage(make: Make) -> None:
    """The SDK retries nothing; three provider failures stay inside the gateway."""
    import anthropic

    gateway = make("anthropic")
    plan = PLAN | {"id": "a", "faults": [{"status": 529}, {"status": 500}, {"refuse": True}]}
    prompt: Any = [{"role": "user", "content": f"PLAN {json.dumps(plan)}"}]
    with (
        relayed(gateway) as url,
        anthropic.Anthropic(base_url=url, api_key=TOKEN, max_retries=0) as client,
    ):
        message = client.messages.create(model="claude-opus-4-6", max_tokens=9, messages=prompt)
    assert message.stop_reason == "end_turn"
    assert len(gateway.served) == 4
