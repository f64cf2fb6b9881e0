"""Parts of a request that a model refuses: it is asked again without them, and they stay out."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from models.client import open_model
from models.openai_api import _is_strict
from models.terms import Answer, Prompt

from runner.wire.model_config import Provider

from .providers import PROVIDERS, Said, bodies, config_of, gateway_of

SCHEMA = {
    "type": "object",
    "properties": {"LR": {"type": "number"}},
    "required": ["LR"],
    "additionalProperties": False,
}
PROMPT = Prompt("knobs", "Propose.", 500, temperature=0.7, schema=SCHEMA)
Body = dict[str, Any]


def sent(
    provider: Provider,
    folder: Path,
    refusal: Callable[[Body], str],
    prompts: int = 1,
    notes: list[str] | None = None,
) -> tuple[list[Any], list[Body]]:
    """The answers to prompts asked in turn, and the requests that it took.

    Args:
        provider: the provider.
        folder: of the gateway.
        refusal: what is wrong with a request; "" if nothing is.
        prompts: how many.
        notes: takes what the client notes.
    """
    note = (notes if notes is not None else []).append

    def script(body: Body) -> Said:
        why = refusal(body.get("generationConfig", body))
        return Said(why, status=400) if why else Said()

    with gateway_of(provider, folder, script) as gateway:
        client = open_model(config_of(provider), gateway.socket, note=note)
        answers = [answer for _ in range(prompts) for answer in client.ask([PROMPT])]
        settings = [body.get("generationConfig", body) for body in bodies(gateway)]
    return answers, settings


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refused_temperature_is_left_out_and_remembered(
    provider: Provider, tmp_path: Path
) -> None:
    """The first prompt takes two requests, the next ones take one, and it is noted once."""
    notes: list[str] = []
    answers, settings = sent(
        provider,
        tmp_path,
        lambda body: "`temperature` is deprecated for this model" if "temperature" in body else "",
        prompts=3,
        notes=notes,
    )
    why = "`temperature` is deprecated for this model"
    assert notes == [f"from now on the model is asked without temperature: {why}"]
    assert [type(answer) for answer in answers] == [Answer] * 3
    assert ["temperature" in body for body in settings] == [True, False, False, False]


def test_what_a_batch_does_without_is_noted_once(tmp_path: Path) -> None:
    """Requests that are refused side by side make one note of each part."""
    notes: list[str] = []

    def script(body: Body) -> Said:
        refused = "temperature" in body or "thinking" in body
        return Said("temperature and thinking", status=400, after=4) if refused else Said()

    with gateway_of("anthropic", tmp_path, script) as gateway:
        client = open_model(config_of("anthropic"), gateway.socket, note=notes.append)
        answers = client.ask([PROMPT] * 4)
    assert [type(answer) for answer in answers] == [Answer] * 4
    said = [note.partition("without ")[2].partition(":")[0] for note in notes]
    assert said == ["temperature", "thinking"]


@pytest.mark.parametrize(
    ("provider", "field", "values"),
    [
        ("anthropic", "thinking", [{"type": "disabled"}, None]),
        ("openai", "reasoning_effort", ["none", "minimal", "low", None]),
        (
            "google",
            "thinkingConfig",
            [
                {"thinking_budget": 0},
                {"thinking_level": "MINIMAL"},
                {"thinking_level": "LOW"},
                None,
            ],
        ),
    ],
)
def test_thinking_is_as_little_as_the_model_allows(
    provider: Provider, field: str, values: list[Any], tmp_path: Path
) -> None:
    """It is off, or else the least that is not refused, or else left to the model."""
    named = {"anthropic": "thinking.type", "openai": "reasoning_effort", "google": "thinking mode"}
    answers, settings = sent(
        provider, tmp_path, lambda body: f"{named[provider]}: invalid" if field in body else ""
    )
    assert isinstance(answers[0], Answer)
    assert [body.get(field) for body in settings] == values


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_without_structured_output_is_asked_without(
    provider: Provider, tmp_path: Path
) -> None:
    """A server that refuses the schema is asked for text, and the answer is an answer."""
    fields = {"output_config", "response_format", "responseJsonSchema"}
    answers, settings = sent(
        provider,
        tmp_path,
        lambda body: "response_format: json schema is unknown" if fields & set(body) else "",
    )
    assert isinstance(answers[0], Answer)
    assert not fields & set(settings[-1])


def test_an_old_server_is_given_the_old_name_of_the_limit(tmp_path: Path) -> None:
    """A compatible server that does not know max_completion_tokens gets max_tokens instead."""
    answers, settings = sent(
        "openai",
        tmp_path,
        lambda body: (
            "extra input: max_completion_tokens" if "max_completion_tokens" in body else ""
        ),
    )
    assert isinstance(answers[0], Answer)
    assert settings[-1]["max_tokens"] == 500


def test_openai_is_held_to_a_schema_that_names_all_keys(tmp_path: Path) -> None:
    """Such a schema is sent as strict; where that is refused, it is sent as a hint."""
    _, settings = sent(
        "openai",
        tmp_path,
        lambda body: "bad schema" if body["response_format"]["json_schema"]["strict"] else "",
    )
    assert [body["response_format"]["json_schema"]["strict"] for body in settings] == [True, False]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({"type": "array", "items": SCHEMA}, True),
        (SCHEMA | {"required": []}, False),
        ({"type": "object"}, False),
        (SCHEMA | {"properties": {"LR": {"anyOf": [{"type": "object"}]}}}, False),
    ],
)
def test_a_schema_is_strict_if_each_object_names_its_keys(
    schema: dict[str, Any], strict: bool
) -> None:
    """An object anywhere in it that may have other keys makes it a hint."""
    assert _is_strict(schema) is strict
