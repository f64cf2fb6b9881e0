"""The three dialects, spoken to by the providers' own SDKs over a real socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AuthenticationError as AnthropicRefused
from google import genai
from google.genai import types
from google.genai.errors import ClientError as GoogleError
from openai import AuthenticationError as OpenAIRefused

from images.rehearsal.scripted_model.server import Api, UnixServer

from .play import FIRST, NUDGE, new_session
from .rig import KEY, post, running, serving

READ_PROGRAM = "cat program.md"
CALL_FIELDS = ("type", "call_id", "name", "arguments", "id")
PATHS = {
    "anthropic": "/v1/messages",
    "openai": "/v1/responses",
    "google": "/v1beta/models/gemini-x:generateContent",
}


BASH: Any = {"name": "Bash", "description": "shell", "input_schema": {"type": "object"}}
EXEC: Any = {"type": "function", "name": "exec_command", "parameters": {"type": "object"}}


def claude(base_url: str, key: str = KEY) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)


def gpt(base_url: str, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0)


def gemini(base_url: str, key: str = KEY) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=base_url))


def test_anthropic_stream_and_tool_result() -> None:
    """The SDK puts the stream together, and the tool's result leads to the next step."""
    with serving("anthropic") as url, claude(url) as client:
        messages: list[Any] = [{"role": "user", "content": FIRST}]
        seen = []
        for _ in range(2):
            with client.messages.stream(
                model="claude-opus-4-6", max_tokens=1000, tools=[BASH], messages=messages
            ) as stream:
                message = stream.get_final_message()
            call = message.content[1]
            assert call.type == "tool_use"
            seen.append(str(call.input["command"]))
            result = {"type": "tool_result", "tool_use_id": call.id, "content": "text"}
            messages += [
                {"role": "assistant", "content": [block.model_dump() for block in message.content]},
                {"role": "user", "content": [result]},
            ]
        assert seen[0].startswith(READ_PROGRAM)
        assert "train.py" in seen[1]
        assert message.stop_reason == "tool_use"
        assert message.usage.input_tokens > 0
        assert message.usage.output_tokens > 1


def test_anthropic_counts_what_was_cached() -> None:
    """With cache marks, what was sent before is read from the cache and the rest is written."""
    mark = {"type": "ephemeral"}
    history: list[Any] = [
        {"role": "user", "content": FIRST * 50},
        {"role": "assistant", "content": "well"},
        {"role": "user", "content": [{"type": "text", "text": NUDGE, "cache_control": mark}]},
    ]
    with serving("anthropic") as url, claude(url) as client:
        usage = client.messages.create(
            model="claude-opus-4-6", max_tokens=9, tools=[BASH], messages=history
        ).usage
    assert usage.cache_read_input_tokens is not None
    assert usage.cache_read_input_tokens > 300
    assert usage.cache_creation_input_tokens is not None
    assert usage.cache_creation_input_tokens > 0
    assert usage.input_tokens == 0


def test_anthropic_side_requests() -> None:
    """Without a shell on offer the model says something short; tokens are counted."""
    hello: list[Any] = [{"role": "user", "content": "x" * 4000}]
    with serving("anthropic") as url, claude(url) as client:
        message = client.messages.create(model="claude-haiku", max_tokens=9, messages=hello)
        count = client.messages.count_tokens(model="claude-haiku", messages=hello)
    assert [block.type for block in message.content] == ["text"]
    assert 1000 <= count.input_tokens < 1100


def test_openai_stream_and_tool_output() -> None:
    """The SDK puts the stream together, and the tool's output leads to the next step."""
    with serving("openai") as url, gpt(url) as client:
        history: list[Any] = [{"role": "user", "content": FIRST}]
        seen = []
        for _ in range(2):
            with client.responses.stream(model="gpt-5.4", input=history, tools=[EXEC]) as stream:
                response = stream.get_final_response()
            message, call = response.output
            assert message.type == "message"
            assert call.type == "function_call"
            seen.append(json.loads(call.arguments)["cmd"])
            history += [
                message.model_dump(exclude_none=True),
                {k: v for k, v in call.model_dump().items() if k in CALL_FIELDS},
                {"type": "function_call_output", "call_id": call.call_id, "output": "text"},
            ]
        assert seen[0].startswith(READ_PROGRAM)
        assert "train.py" in seen[1]
        assert response.usage is not None
        assert response.usage.output_tokens > response.usage.output_tokens_details.reasoning_tokens
        assert response.usage.input_tokens_details.cached_tokens > 0


def test_openai_whole_response() -> None:
    """Without `stream` the same answer comes as one object; a JSON schema is obeyed."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    form: Any = {"format": {"type": "json_schema", "name": "t", "schema": schema}}
    with serving("openai") as url, gpt(url) as client:
        response = client.responses.create(model="gpt-5.4", input="hello", text=form)
        working = client.responses.create(model="gpt-5.4", input="hello", tools=[EXEC])
    assert json.loads(response.output_text) == {"title": "rehearsal"}
    assert [item.type for item in working.output] == ["message", "function_call"]


def test_openai_newer_tool_protocol() -> None:
    """Where only `exec` is offered, the command goes out as a script for that custom tool."""
    functions = {"type": "namespace", "name": "functions", "tools": [{"name": "exec"}]}
    history: Any = [
        {"type": "additional_tools", "role": "developer", "tools": [functions]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": FIRST}]},
    ]
    with serving("openai") as url, gpt(url) as client:
        with client.responses.stream(model="gpt-6-sol", input=history) as stream:
            call = stream.get_final_response().output[1]
        assert call.type == "custom_tool_call"
        assert f'tools.exec_command({{"cmd": "{READ_PROGRAM}' in call.input
        output: Any = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "text"}
        history += [call.model_dump(exclude_none=True), output]
        back = client.responses.create(model="gpt-6-sol", input=history)
    assert "train.py" in str(back.output[1])


def google_config() -> types.GenerateContentConfig:
    declaration = types.FunctionDeclaration(name="run_shell_command", description="shell")
    return types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declaration])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )


def test_google_stream_and_function_response() -> None:
    """The SDK reads the stream, and the function's response leads to the next step."""
    with serving("google") as url, gemini(url) as client:
        contents: list[Any] = [types.UserContent(FIRST)]
        seen = []
        for _ in range(2):
            chunks = list(
                client.models.generate_content_stream(
                    model="gemini-3-flash-preview", contents=contents, config=google_config()
                )
            )
            calls = chunks[-1].function_calls
            assert calls is not None
            call = calls[0]
            assert call.args is not None
            seen.append(call.args["command"])
            answer = types.FunctionResponse(id=call.id, name=call.name, response={"output": "text"})
            contents += [
                types.ModelContent([types.Part(function_call=call)]),
                types.UserContent([types.Part(function_response=answer)]),
            ]
    assert seen[0].startswith(READ_PROGRAM)
    assert "train.py" in seen[1]
    usage = chunks[-1].usage_metadata
    assert usage is not None
    assert usage.thoughts_token_count
    assert usage.candidates_token_count
    assert usage.cached_content_token_count


def test_google_side_requests() -> None:
    """A request with a schema gets JSON that obeys it; tokens are counted."""
    schema = {"type": "OBJECT", "properties": {"next": {"type": "STRING", "enum": ["user"]}}}
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=schema
    )
    with serving("google") as url, gemini(url) as client:
        answer = client.models.generate_content(model="m", contents="who?", config=config)
        count = client.models.count_tokens(model="m", contents="x" * 4000)
    assert json.loads(answer.text or "") == {"next": "user"}
    assert count.total_tokens is not None
    assert 1000 <= count.total_tokens < 1100


def test_wrong_key_is_refused_in_each_dialect() -> None:
    """A key that is not the rehearsal's gets 401, which each SDK knows for what it is."""
    hello: list[Any] = [{"role": "user", "content": "hello"}]
    with serving("anthropic") as url, claude(url, "other") as a, pytest.raises(AnthropicRefused):
        a.messages.create(model="m", max_tokens=9, messages=hello)
    with serving("openai") as url, gpt(url, "other") as o, pytest.raises(OpenAIRefused):
        o.responses.create(model="m", input="hello")
    with (
        serving("google") as url,
        gemini(url, "other") as g,
        pytest.raises(GoogleError, match="401"),
    ):
        g.models.generate_content(model="m", contents="hello")


@pytest.mark.parametrize("provider", PATHS)
@pytest.mark.parametrize("body", [b"[]", b"{", b'{"messages": [1], "input": [1], "contents": [1]}'])
def test_unreadable_request(provider: str, body: bytes) -> None:
    """A body that is no request gets 400 in the provider's form, and the server goes on."""
    with serving(provider) as url:
        status, answer = post(url, PATHS[provider], body)
        assert post(url, PATHS[provider], b"{}")[0] == 200
    assert status == 400
    assert "cannot be read" in json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("provider", PATHS)
def test_unknown_path(provider: str) -> None:
    """What a rehearsal does not serve is 404 in the provider's form."""
    with serving(provider) as url:
        status, answer = post(url, "/v1/files", b"{}")
    assert status == 404
    assert "/v1/files" in json.loads(answer)["error"]["message"]


def test_chunked_body() -> None:
    """A body without a length, as a streaming gateway sends it, is read to its end."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "é" * 999}]}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    with serving("anthropic") as url:
        status, answer = post(
            url, "/v1/messages", chunks + b"0\r\n\r\n", **{"Transfer-Encoding": "chunked"}
        )
    assert status == 200
    assert json.loads(answer)["content"][0]["type"] == "text"


def test_unix_socket_replaces_a_stale_one(tmp_path: Path) -> None:
    """The socket of an earlier start is no obstacle, and everybody may open the new one."""
    path = tmp_path / "model.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with (
        UnixServer(str(path), Api("openai", KEY, new_session())) as server,
        running(server),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(path))
        client.sendall(b"GET /v1/models HTTP/1.0\r\n\r\n")
        assert client.makefile().readline().startswith("HTTP/1.1 404")
    assert path.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize(("provider", "key"), [("mistral", KEY), ("openai", "")])
def test_impossible_start(provider: str, key: str) -> None:
    """An unknown provider and an empty key are refused at the start."""
    with pytest.raises(ValueError, match=r"provider|api_key"):
        Api(provider, key, new_session())
