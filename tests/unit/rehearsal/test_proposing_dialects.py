"""An optimiser's requests to each API: the SDKs send them without tools, whole or streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from images.rehearsal.scripted_model.dialects import openai_chat
from images.rehearsal.scripted_model.proposing.answers import GOOD, answer, place_of
from images.rehearsal.scripted_model.script import work
from images.rehearsal.scripted_model.server import Server, rehearsed
from images.rehearsal.scripted_model.session import Proposer, Session

from .play import new_session
from .rig import KEY, post_json, running, serving
from .test_dialects import claude, gemini, gpt
from .test_proposing import prompt

ASKED = prompt("knobs")
SCHEMA: dict[str, Any] = {
    "type": "object", "properties": {"DEPTH": {"type": "integer"}}, "required": ["DEPTH"],
    "additionalProperties": False,
}  # fmt: skip
MESSAGES: Any = [{"role": "user", "content": ASKED}]
FORM: Any = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}


def optimizers() -> Session:
    """A session without a CLI's tools, all of whose answers are good."""
    return Session(lambda: work(7), lambda _: None, None, Proposer(7, GOOD))


def expected(before: int = 0) -> str:
    """The answer to the prompt that was asked so often before."""
    return answer(ASKED, 7, place_of(ASKED, before), GOOD)


def test_chat_completions() -> None:
    """The SDK gets the whole answer, with a schema and without, and what it costs."""
    with serving("openai", optimizers()) as url, gpt(url) as client:
        whole = client.chat.completions.create(
            model="gpt-5.4", messages=MESSAGES, response_format=FORM, max_completion_tokens=2048
        )
        again = client.chat.completions.create(model="gpt-5.4", messages=MESSAGES, temperature=0.7)
    assert whole.choices[0].message.content == expected()
    assert again.choices[0].message.content == expected(1) != expected()
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.prompt_tokens > 100
    assert whole.usage.completion_tokens > 10
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


def test_chat_completions_streamed() -> None:
    """The parts make up the whole answer, and the last one has the usage."""
    with serving("openai", optimizers()) as url, gpt(url) as client:
        chunks = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    parts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(parts) == expected()
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 10


def test_a_chat_stream_that_fails() -> None:
    """It has some words, and then an error in the provider's form."""
    session = optimizers()
    conversation = openai_chat.read(openai_chat.PATH, {"model": "m", "messages": MESSAGES})
    first, (_, failure) = openai_chat.broken(session.answer(conversation))
    assert expected().startswith(first[1]["choices"][0]["delta"]["content"])
    assert failure["error"]["type"] == "server_error"


def test_chat_completions_of_a_self_hosted_server() -> None:
    """Content in parts, `max_tokens`, a system message and a null format are read as well."""
    body = {
        "model": "qwen", "max_tokens": 64, "response_format": None, "tools": None,
        "messages": [
            {"role": "system", "content": "text"},
            {"role": "user", "content": [{"type": "text", "text": ASKED}]},
        ],
    }  # fmt: skip
    with serving("openai", optimizers()) as url:
        status, said = post_json(url, openai_chat.PATH, body)
        refused, why = post_json(url, openai_chat.PATH, {"messages": [1]})
    assert status == 200
    assert json.loads(said)["choices"][0]["message"]["content"] == expected()
    assert refused == 400
    assert "cannot be read" in json.loads(why)["error"]["message"]


def test_messages_of_anthropic() -> None:
    """Without a stream, with and without a schema of the answer."""
    form: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}
    with serving("anthropic", optimizers()) as url, claude(url) as client:
        plain = client.messages.create(model="claude-opus-4-6", max_tokens=99, messages=MESSAGES)
        held = client.messages.create(
            model="claude-opus-4-6", max_tokens=99, messages=MESSAGES, output_config=form
        )
    for before, message in enumerate((plain, held)):
        [block] = message.content
        assert block.type == "text"
        assert block.text == expected(before)


def test_content_of_google() -> None:
    """Without a stream, with and without a schema of the answer."""
    config: Any = {"response_mime_type": "application/json", "response_json_schema": SCHEMA}
    with serving("google", optimizers()) as url, gemini(url) as client:
        plain = client.models.generate_content(model="m", contents=ASKED)
        held = client.models.generate_content(model="m", contents=ASKED, config=config)
    assert [plain.text, held.text] == [expected(), expected(1)]


def test_an_agents_conversation_moves_its_script() -> None:
    """Where tools are offered, the heading of a prompt is of no account."""
    exec_tool: Any = {"type": "function", "name": "exec_command", "parameters": {"type": "object"}}
    with serving("openai", new_session(cli="codex")) as url, gpt(url) as client:
        response = client.responses.create(model="gpt-5.4", input=ASKED, tools=[exec_tool])
        plain = client.responses.create(model="gpt-5.4", input=ASKED)
    assert [item.type for item in response.output] == ["message", "function_call"]
    assert plain.output_text == answer(ASKED, 1, place_of(ASKED))


@pytest.mark.parametrize("plan", [(), ("good-answers",), ("bad-answers",), ("useless-answers",)])
def test_a_rehearsal_without_a_cli(plan: tuple[str, ...]) -> None:
    """Its seed and the word in its plan decide the answers; other requests get a side text."""
    api = rehearsed("openai", KEY, 7, plan, (), lambda _: None)
    with Server(("127.0.0.1", 0), api) as server, running(server):
        url = f"http://127.0.0.1:{server.server_address[1]}"
        bodies = [{"messages": [{"role": "user", "content": text}]} for text in (ASKED, "hello")]
        said = [json.loads(post_json(url, openai_chat.PATH, body)[1]) for body in bodies]
    texts = [one["choices"][0]["message"]["content"] for one in said]
    assert texts == [answer(ASKED, 7, place_of(ASKED), *plan), "Rehearsal"]
