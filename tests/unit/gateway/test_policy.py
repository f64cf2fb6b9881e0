"""The allow-list: what each provider's clients need passes, everything else stops here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Make
from .rig import APIS, TOKEN, Live

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


def said(*blocks: dict[str, Any]) -> dict[str, Any]:
    """An Anthropic or chat request with these blocks of content."""
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def parts(*blocks: dict[str, Any]) -> dict[str, Any]:
    """A Gemini request with these parts."""
    return {"contents": [{"role": "user", "parts": list(blocks)}]}


REMOTE = {"type": "url", "url": "http://example.invalid/a.png"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": ""}
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
    {"never_heard_of": True},
    {"context_management": {"edits": [{"type": "compact_20260112"}]}},
    said({"type": "image", "source": REMOTE}),
    said({"type": "image", "source": {"type": "file", "file_id": "f"}}),
    said({"type": "document", "source": REMOTE}),
    said({"type": "document", "source": PDF}),
    said({"type": "server_tool_use", "name": "web_search"}),
    said({"type": "web_search_tool_result", "content": []}),
    said({"type": "mcp_tool_use", "name": "x"}),
    said({"type": "container_upload", "file_id": "f"}),
    said({"type": "tool_result", "content": [{"type": "image", "source": REMOTE}]}),
    said(
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
    {"never_heard_of": 1},
]  # fmt: skip
CHAT_BLOCKED: list[dict[str, Any]] = [
    {"web_search_options": {}},
    {"tools": [{"type": "web_search"}]},
    {"modalities": ["text", "audio"], "audio": {"voice": "x"}},
    {"n": 5},
    {"prediction": {"type": "content", "content": "x"}},
    said({"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}),
    said({"type": "file", "file": {"file_id": "f"}}),
    said({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
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
    {"neverHeardOf": 1},
    parts({"fileData": {"fileUri": "https://example.invalid"}}),
    parts({"file_data": {"file_uri": "https://example.invalid"}}),
    parts({"inlineData": {"mimeType": "application/pdf", "data": ""}}),
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
        live = Live(background, tmp_path_factory.mktemp(name), api, {})
        live.config["limits"] = {"requests_per_minute": 100_000}
        made[name] = live.up()
    yield made
    for live in made.values():
        live.down()


@pytest.mark.parametrize(
    ("api", "fields"), [(api, fields) for api, _, fields in ALLOWED], ids=[a[1] for a in ALLOWED]
)
def test_what_a_client_needs_passes(shared: Any, api: str, fields: dict[str, Any]) -> None:
    """Each feature that the CLIs use reaches the provider unchanged."""
    live = shared[api]
    reply = live.ask(**fields)
    assert reply.status == 200, reply.body
    assert {name: live.served[-1].body[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("api", "fields"), BLOCKED, ids=[f"{api} {json.dumps(fields)[:70]}" for api, fields in BLOCKED]
)
def test_what_acts_outside_the_sandbox_is_refused(
    shared: Any, api: str, fields: dict[str, Any]
) -> None:
    """Declared or called, in either spelling: refused in the provider's format, with the reason."""
    live = shared[api]
    before = len(live.served), live.desk.budget.requests
    reply = live.ask(**fields)
    assert reply.status == (403 if live.api.provider in ("anthropic", "google") else 400)
    assert "gateway: " in reply.json["error"]["message"]
    assert (len(live.served), live.desk.budget.requests) == before


@pytest.mark.parametrize(
    "presented",
    [
        {},
        {"x-api-key": "wrong", "Authorization": "Bearer wrong", "x-goog-api-key": "wrong"},
        {"x-api-key": TOKEN + "x", "Authorization": f"Basic {TOKEN}", "x-goog-api-key": "é"},
    ],
)
def test_only_the_token_of_the_run_opens_the_door(live: Live, presented: dict[str, str]) -> None:
    """Without it there is 401 in the provider's own format, for every path."""
    for target in (live.api.whole, "/v1/anything"):
        reply = live.ask(target=target, headers=presented)
        assert reply.status == 401
        assert "token" in reply.json["error"]["message"]
    assert live.served == []
    assert {reason for reason, _ in live.news.refusals} == {"token"}


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
def test_other_paths_and_methods_are_not_there(shared: Any, method: str, target: str) -> None:
    """Files, batches, admin, stored objects: 404 from here, nothing goes upstream."""
    for live in shared.values():
        before = len(live.served)
        assert live.ask(method=method, target=target).status == 404
        assert len(live.served) == before


def test_other_models_are_refused(live: Live) -> None:
    """The run's own models and no other, however it is named."""
    if live.api.provider == "google":
        reply = live.ask(target="/v1beta/models/gemini-3-pro:generateContent")
    else:
        reply = live.ask(model="a-dearer-model")
    assert reply.status == (400 if live.api.provider == "openai" else 403)
    assert live.api.model in reply.json["error"]["message"]
    assert live.served == []


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
def test_a_body_that_could_be_read_in_two_ways_is_refused(shared: Any, body: bytes) -> None:
    """No JSON, a key given twice, other encodings, bottomless nesting: 400."""
    for live in shared.values():
        before = len(live.served)
        assert live.ask(body=body or b" ").status == 400
        assert len(live.served) == before


def test_a_field_in_two_spellings_is_refused(shared: Any) -> None:
    """Gemini takes tools as one list or the other; both at once could hide one of them."""
    doubled = {"generationConfig": {}, "generation_config": {"candidateCount": 8}}
    assert shared["google"].ask(**doubled).status == 400


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
def test_wrong_kinds_are_refused_not_guessed_at(shared: Any, fields: dict[str, Any]) -> None:
    """What the table cannot read as it must be does not go upstream."""
    before = len(shared["anthropic"].served)
    assert shared["anthropic"].ask(**fields).status == 400
    assert len(shared["anthropic"].served) == before


def test_betas_of_server_side_features_are_left_out(shared: Any) -> None:
    """The other betas of a CLI's header go through."""
    betas = "claude-code-20250219,web-fetch-2025-09-10,mcp-client-2025-04-04,effort-2025-11-24"
    headers = {"x-api-key": TOKEN, "anthropic-beta": betas}
    assert shared["anthropic"].ask(headers=headers).status == 200
    seen = shared["anthropic"].served[-1].headers["anthropic-beta"]
    assert seen == "claude-code-20250219,effort-2025-11-24"


def test_counting_tokens_is_free(make: Make) -> None:
    """The count endpoints of the three providers pass and cost nothing."""
    for name in ("anthropic", "responses", "google"):
        live = make(name)
        target = {
            "anthropic": "/v1/messages/count_tokens",
            "responses": "/v1/responses/input_tokens",
            "google": "/v1beta/models/gemini-3-flash-preview:countTokens",
        }[name]
        body = live.api.body({"input": 77})
        body.pop("stream", None)
        body.pop("max_tokens", None)
        reply = live.ask(body=body, target=target)
        assert reply.status == 200
        assert 77 in reply.json.values()
        assert live.settled(1)[0]["cost_usd"] == 0
