"""The allow-list: what the clients of each provider need is forwarded, all else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS, TOKEN, RunningGateway

PIXEL = "iVBORw0KGgo="
CLAUDE_USES: dict[str, dict[str, Any]] = {
    "own tools": {"tools": [{"name": "Bash", "input_schema": {"type": "object"}}]},
    "client tools": {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    "thinking": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
    "context edits": {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}},
    "system blocks": {"system": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}]},
}
CODEX_USES: dict[str, dict[str, Any]] = {
    "functions": {"tools": [{"type": "function", "name": "exec_command", "parameters": {}}]},
    "freeform tools": {"tools": [{"type": "custom", "name": "apply_patch"}]},
    "tools as input": {
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "custom"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            {"type": "function_call", "name": "exec_command", "arguments": "{}", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ]
    },
    "its options": {
        "store": False, "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
        "reasoning": {"effort": "high", "summary": "auto"}, "parallel_tool_calls": True,
    },
}  # fmt: skip
CHAT_USES: dict[str, dict[str, Any]] = {
    "functions": {"tools": [{"type": "function", "function": {"name": "f"}}], "n": 1},
    "schemas": {"response_format": {"type": "json_object"}, "max_completion_tokens": 50},
}
GEMINI_USES: dict[str, dict[str, Any]] = {
    "functions": {"tools": [{"functionDeclarations": [{"name": "run_shell_command"}]}]},
    "its options": {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}, "topP": 1}},
    "snake case": {"system_instruction": {"parts": [{"text": "a"}]}, "safety_settings": []},
    "calls": {
        "contents": [
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
        ]
    },
}
PICTURES: dict[str, dict[str, Any]] = {
    "anthropic": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
                    }
                ],
            }
        ]
    },
    "responses": {
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}],
            }
        ]
    },
    "chat": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{PIXEL}"},
                    }
                ],
            }
        ]
    },
    "google": {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}]},
}
ALLOWED = [
    (api, name, fields)
    for api, table in (
        ("anthropic", CLAUDE_USES),
        ("responses", CODEX_USES),
        ("chat", CHAT_USES),
        ("google", GEMINI_USES),
    )
    for name, fields in table.items()
] + [(api, "an inline picture", fields) for api, fields in PICTURES.items()]


def message(*blocks: dict[str, Any]) -> dict[str, Any]:
    """An Anthropic or chat request with these blocks of content."""
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def parts(*blocks: dict[str, Any]) -> dict[str, Any]:
    """A Gemini request with these parts."""
    return {"contents": [{"role": "user", "parts": list(blocks)}]}


REMOTE = {"type": "url", "url": "http://example.invalid/a.png"}
ARCHIVE = {"type": "base64", "media_type": "application/zip", "data": ""}
CLAUDE_BLOCKED: list[dict[str, Any]] = [
    {"tools": [{"type": kind, "name": "t"}]}
    for kind in (
        "web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset",
        "computer_20250124", "tool_search_tool_regex_20251119", "advisor_20260301", "new_tool_2030",
    )
] + [
    {"tools": [{"name": "t", "allowed_callers": ["code_execution_20250825"]}]},
    {"mcp_servers": [{"type": "url", "url": "http://example.invalid"}]},
    {"container": "c_1"},
    {"speed": "fast"},
    {"inference_geo": "us"},
    {"service_tier": "priority"},
    {"unknown_field": True},
    {"context_management": {"edits": [{"type": "compact_20260112"}]}},
    message({"type": "image", "source": REMOTE}),
    message({"type": "image", "source": {"type": "file", "file_id": "f"}}),
    message({"type": "document", "source": REMOTE}),
    message({"type": "document", "source": ARCHIVE}),
    message({"type": "server_tool_use", "name": "web_search"}),
    message({"type": "web_search_tool_result", "content": []}),
    message({"type": "mcp_tool_use", "name": "x"}),
    message({"type": "container_upload", "file_id": "f"}),
    message({"type": "tool_result", "content": [{"type": "image", "source": REMOTE}]}),
    message(
        {
            "type": "document",
            "source": {"type": "content", "content": [{"type": "image", "source": REMOTE}]},
        }
    ),
]  # fmt: skip
RESPONSES_BLOCKED: list[dict[str, Any]] = [
    {"tools": [{"type": kind}]}
    for kind in (
        "web_search", "web_search_preview", "file_search", "code_interpreter", "mcp", "shell",
        "image_generation", "computer_use_preview", "tool_search", "new_tool",
    )
] + [
    {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]},
    {"input": [{"type": "additional_tools", "tools": [{"type": "web_search"}]}]},
    {"input": [{"type": "web_search_call", "id": "w"}]},
    {"input": [{"type": "mcp_call", "id": "w"}]},
    {"input": [{"type": "item_reference", "id": "i"}]},
    {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://a"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://a"}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
    {"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]},
    {"previous_response_id": "resp_1"},
    {"conversation": "conv_1"},
    {"prompt": {"id": "p"}},
    {"background": True},
    {"include": ["web_search_call.action.sources"]},
    {"service_tier": "priority"},
    {"unknown_field": 1},
]  # fmt: skip
CHAT_BLOCKED: list[dict[str, Any]] = [
    {"web_search_options": {}},
    {"tools": [{"type": "web_search"}]},
    {"modalities": ["text", "audio"], "audio": {"voice": "x"}},
    {"n": 5},
    {"prediction": {"type": "content", "content": "x"}},
    message({"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}),
    message({"type": "file", "file": {"file_id": "f"}}),
    message({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
]
GEMINI_BLOCKED: list[dict[str, Any]] = [
    {"tools": [{name: {}}]}
    for name in (
        "googleSearch", "google_search", "googleSearchRetrieval", "urlContext", "url_context",
        "codeExecution", "code_execution", "fileSearch", "googleMaps", "computerUse", "mcpServers",
        "_google_search", "newTool",
    )
] + [
    {"toolConfig": {"retrievalConfig": {}}},
    {"cachedContent": "cachedContents/c"},
    {"cached_content": "cachedContents/c"},
    {"model": "models/gemini-3-pro"},
    {"serviceTier": "priority"},
    {"generationConfig": {"candidateCount": 8}},
    {"generation_config": {"candidate_count": 8}},
    {"generationConfig": {"responseModalities": ["IMAGE"]}},
    {"generationConfig": {"speechConfig": {}}},
    {"unknownField": 1},
    parts({"fileData": {"fileUri": "https://example.invalid"}}),
    parts({"file_data": {"file_uri": "https://example.invalid"}}),
    parts({"inlineData": {"mimeType": "application/zip", "data": ""}}),
    parts({"inline_data": {"mime_type": "video/mp4", "data": ""}}),
    parts({"executableCode": {"code": "1"}}),
    parts({"functionResponse": {"name": "f", "parts": [{"fileData": {"fileUri": "a"}}]}}),
]  # fmt: skip
BLOCKED = [
    (api, fields)
    for api, table in (
        ("anthropic", CLAUDE_BLOCKED),
        ("responses", RESPONSES_BLOCKED),
        ("chat", CHAT_BLOCKED),
        ("google", GEMINI_BLOCKED),
    )
    for fields in table
]


@pytest.fixture(scope="module")
def shared(background: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One gateway a dialect for the whole table; a refusal leaves nothing behind."""
    made = {}
    for name, api in APIS.items():
        gateway = RunningGateway(background, tmp_path_factory.mktemp(name), api, {})
        gateway.config["limits"] = {"requests_per_minute": 100_000}
        made[name] = gateway.start()
    yield made
    for gateway in made.values():
        gateway.stop()


@pytest.mark.parametrize(
    ("api", "fields"), [(api, fields) for api, _, fields in ALLOWED], ids=[a[1] for a in ALLOWED]
)
def test_what_the_clis_use_is_forwarded(shared: Any, api: str, fields: dict[str, Any]) -> None:
    """Each feature that the CLIs use reaches the provider unchanged."""
    gateway = shared[api]
    reply = gateway.send(**fields)
    assert reply.status == 200, reply.body
    assert {name: gateway.served[-1].body[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("api", "fields"), BLOCKED, ids=[f"{api} {json.dumps(fields)[:70]}" for api, fields in BLOCKED]
)
def test_what_acts_outside_the_sandbox_is_refused(
    shared: Any, api: str, fields: dict[str, Any]
) -> None:
    """Declared or called, in either spelling: a 400 in the provider's format, with the reason."""
    gateway = shared[api]
    before = len(gateway.served), gateway.context.budget.requests
    reply = gateway.send(**fields)
    assert reply.status == (404 if "model" in fields else 400)
    assert "gateway: " in reply.json["error"]["message"]
    assert (len(gateway.served), gateway.context.budget.requests) == before


@pytest.mark.parametrize(
    "presented",
    [
        {},
        {"x-api-key": "wrong", "Authorization": "Bearer wrong", "x-goog-api-key": "wrong"},
        {"x-api-key": TOKEN + "x", "Authorization": f"Basic {TOKEN}", "x-goog-api-key": "é"},
    ],
)
def test_only_the_token_of_the_run_is_accepted(
    gateway: RunningGateway, presented: dict[str, str]
) -> None:
    """Any other credential leads to a 401 in the provider's format, for every path."""
    for target in (gateway.api.whole, "/v1/anything"):
        reply = gateway.send(target=target, headers=presented)
        assert reply.status == 401
        assert "token" in reply.json["error"]["message"]
    assert gateway.served == []
    assert {reason for reason, _ in gateway.events.refusals} == {"token"}


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/models"),
        ("GET", "/v1/messages"),
        ("DELETE", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/batches"),
        ("POST", "/v1/files"),
        ("POST", "/v1/complete"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/organizations/api_keys"),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1beta/files"),
        ("POST", "/v1beta/cachedContents"),
        ("POST", "/v1beta/models/gemini-3-flash-preview:batchGenerateContent"),
        ("POST", "/v1beta/models/gemini-3-flash-preview:streamGenerateContent"),
        ("POST", "/v1beta/models/gemini-3-flash-preview:generateContent?key=abc"),
        ("POST", "/v1beta/tunedModels/x:generateContent"),
        ("OPTIONS", "*"),
    ],
)
def test_other_paths_and_methods_are_refused(shared: Any, method: str, target: str) -> None:
    """Files, batches, admin, stored objects: the gateway answers 404 and forwards nothing."""
    for gateway in shared.values():
        before = len(gateway.served)
        assert gateway.send(method=method, target=target).status == 404
        assert len(gateway.served) == before


def test_other_models_are_refused(gateway: RunningGateway) -> None:
    """Only the run's own models are allowed, however another one is named."""
    if gateway.api.provider == "google":
        reply = gateway.send(target="/v1beta/models/gemini-3-pro:generateContent")
    else:
        reply = gateway.send(model="a-dearer-model")
    assert reply.status == (400 if gateway.api.provider == "openai" else 404)
    assert gateway.api.model in reply.json["error"]["message"]
    assert gateway.served == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b'"text"', b"\xff\xfe{}", b"\xef\xbb\xbf{}",
        b'{"model": "claude-opus-4-6", "model": "dear"}',
        '{"model": "claude-opus-4-6"}'.encode("utf-16"),
        b'{"max_tokens": NaN}',
        b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda body: repr(body[:40]),
)  # fmt: skip
def test_an_ambiguous_body_is_refused(shared: Any, body: bytes) -> None:
    """No JSON, a key given twice, another encoding, bottomless nesting: 400."""
    for gateway in shared.values():
        before = len(gateway.served)
        assert gateway.send(body=body or b" ").status == 400
        assert len(gateway.served) == before


def test_a_field_in_two_spellings_is_refused(shared: Any) -> None:
    """Gemini reads one of the two spellings, and the other one could hide a value."""
    doubled = {"generationConfig": {}, "generation_config": {"candidateCount": 8}}
    assert shared["google"].send(**doubled).status == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"max_tokens": "100"},
        {"max_tokens": True},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"messages": "hello"},
        {"messages": [{"role": "user", "content": 5}]},
        {"messages": ["hello"]},
        {"stream": "yes"},
        {"tools": {"type": "web_search_20250305"}},
        {"model": ["claude-opus-4-6"]},
    ],
)
def test_values_of_a_wrong_type_are_refused(shared: Any, fields: dict[str, Any]) -> None:
    """A value that the policy cannot read is not forwarded."""
    before = len(shared["anthropic"].served)
    assert shared["anthropic"].send(**fields).status == 400
    assert len(shared["anthropic"].served) == before


def test_betas_of_server_side_features_are_removed(shared: Any) -> None:
    """The other betas in a CLI's header are forwarded."""
    betas = "claude-code-20250219,web-fetch-2025-09-10,mcp-client-2025-04-04,effort-2025-11-24"
    headers = {"x-api-key": TOKEN, "anthropic-beta": betas}
    assert shared["anthropic"].send(headers=headers).status == 200
    seen = shared["anthropic"].served[-1].headers["anthropic-beta"]
    assert seen == "claude-code-20250219,effort-2025-11-24"


def test_counting_tokens_is_free(make: Make) -> None:
    """Requests to the three count endpoints are forwarded and cost nothing."""
    for name in ("anthropic", "responses", "google"):
        gateway = make(name)
        target = {
            "anthropic": "/v1/messages/count_tokens",
            "responses": "/v1/responses/input_tokens",
            "google": "/v1beta/models/gemini-3-flash-preview:countTokens",
        }[name]
        body = gateway.api.body({"input": 77})
        body.pop("stream", None)
        body.pop("max_tokens", None)
        reply = gateway.send(body=body, target=target)
        assert reply.status == 200
        assert 77 in reply.json.values()
        assert gateway.usage_records(1)[0]["cost_usd"] == 0
