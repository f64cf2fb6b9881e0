"""Prompts through each provider's SDK and a gateway: answers, and what becomes of failures."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from models import replies
from models.answers import Found, read_json
from models.client import MAX_ANSWER_CHARS, Patience, open_model
from models.kept import KeptModel
from models.terms import Answer, NoAnswer, OutOfBudgetError, Prompt, UselessModelError

from images.gateway.gatewayd import refusal
from runner.wire.model_config import Provider
from tests.unit.gateway.rig import TOKEN, RunningGateway
from tests.unit.rehearsal.rig import KEY, serving

from .providers import CUT, PROVIDERS, REFUSED, Said, Script, bodies, config_of, gateway_of, text_of

SCHEMA = {
    "type": "object",
    "properties": {"LR": {"type": "number", "minimum": 0.01, "maximum": 1}},
    "required": ["LR"],
    "additionalProperties": False,
}
PROMPT = Prompt("knobs", "Propose.", 500, temperature=0.7, schema=SCHEMA)
SHORT = Patience(away_seconds=0.2, busy_seconds=0.2)
every_provider = pytest.mark.parametrize("provider", PROVIDERS)

# httpcore leaves a socket that could not connect to the garbage collector, which warns of it.
unconnected = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def collected() -> Iterator[None]:
    """Has the garbage of a test collected before the next one."""
    yield
    gc.collect()


@contextmanager
def asking(
    provider: Provider,
    folder: Path,
    script: Script = lambda _: Said(),
    patience: Patience | None = None,
    model: str = "",
    **config: Any,
) -> Iterator[tuple[Any, RunningGateway]]:
    """A client of a gateway before a scripted provider, and that gateway."""
    with gateway_of(provider, folder, script, **config) as gateway:
        client = open_model(config_of(provider, model), gateway.socket, patience)
        yield client, gateway


@every_provider
def test_an_answer_names_the_usage_record_of_its_request(
    provider: Provider, tmp_path: Path
) -> None:
    """Text and request of the answer are those of the provider and of the gateway's record."""
    with asking(provider, tmp_path) as (client, gateway):
        [answer] = client.ask([PROMPT])
        [record] = gateway.usage_records(1)
    assert answer == Answer('{"LR": 0.1}', record["request"])
    assert record["cost_usd"] > 0


@every_provider
def test_a_request_is_the_prompt_and_its_bounds(provider: Provider, tmp_path: Path) -> None:
    """It has one user message, the limit, the temperature and the schema; no system, no tools."""
    with asking(provider, tmp_path) as (client, gateway):
        client.ask([PROMPT])
        [body] = bodies(gateway)
    settings = body.get("generationConfig", body)
    limits = ("max_tokens", "max_completion_tokens", "maxOutputTokens")
    assert text_of(body) == "Propose."
    assert [settings[name] for name in limits if name in settings] == [500]
    assert settings["temperature"] == 0.7
    assert "'LR': {'type': 'number'" in str(settings)
    assert not {"system", "systemInstruction", "tools", "stream"} & set(body)


@every_provider
def test_what_a_prompt_leaves_open_is_left_to_the_provider(
    provider: Provider, tmp_path: Path
) -> None:
    """Without a temperature and a schema the request has neither."""
    with asking(provider, tmp_path) as (client, gateway):
        client.ask([Prompt("code", "Rewrite.", 100)])
        [body] = bodies(gateway)
    settings = body.get("generationConfig", body)
    absent = {"temperature", "output_config", "response_format", "responseJsonSchema"}
    assert not absent & set(settings)


@every_provider
def test_the_model_of_a_rehearsal_answers(provider: Provider, tmp_path: Path) -> None:
    """The scripted model obeys the schema that each SDK sends, and the answer can be read."""
    with (
        serving(provider) as url,
        asking(provider, tmp_path, base_url=url, api_key=KEY) as (client, gateway),
    ):
        [answer] = client.ask([PROMPT])
        [record] = gateway.usage_records(1)
    assert isinstance(answer, Answer)
    assert read_json(answer.text) == Found({"LR": 0})
    assert answer.request == record["request"]


@every_provider
def test_a_batch_is_asked_side_by_side(provider: Provider, tmp_path: Path) -> None:
    """Twenty requests are under way at a time, and the answers have the order of the prompts."""
    script: Script = lambda body: Said(text_of(body), after=20)  # noqa: E731
    prompts = [Prompt("prediction", f"number {n}", 100) for n in range(20)]
    with asking(provider, tmp_path, script) as (client, gateway):
        answers = client.ask(prompts)
        requests = {record["request"] for record in gateway.usage_records(20)}
    assert [answer.text for answer in answers] == [prompt.text for prompt in prompts]
    assert {answer.request for answer in answers} == requests


@every_provider
def test_a_cut_answer_says_so(provider: Provider, tmp_path: Path) -> None:
    """An answer that reached the limit is one, with `cut`; without a text it is none."""
    script: Script = lambda body: Said(text_of(body), CUT[provider])  # noqa: E731
    with asking(provider, tmp_path, script) as (client, _):
        cut, empty = client.ask([Prompt("code", "half", 100), Prompt("code", " ", 100)])
    assert (cut.text, cut.cut) == ("half", True)
    assert empty.reason == "the model gave no answer: its thoughts took all of max_tokens"


@every_provider
def test_a_model_that_refuses_gives_no_answer(provider: Provider, tmp_path: Path) -> None:
    """The provider's word for it is in the reason, and the request is named."""
    script: Script = lambda _: Said("I can not", REFUSED[provider])  # noqa: E731
    with asking(provider, tmp_path, script) as (client, gateway):
        [none] = client.ask([PROMPT])
        [record] = gateway.usage_records(1)
    assert none == NoAnswer(f"the model did not answer: {REFUSED[provider]}", record["request"])


@every_provider
def test_an_empty_or_endless_answer_is_none(provider: Provider, tmp_path: Path) -> None:
    """Blanks alone are no answer, and neither is more text than can be read."""
    texts = [" \n", "x" * (MAX_ANSWER_CHARS + 1)]
    script: Script = lambda body: Said(texts[int(text_of(body))])  # noqa: E731
    with asking(provider, tmp_path, script) as (client, _):
        empty, endless = client.ask([Prompt("code", str(n), 100) for n in range(2)])
    assert empty.reason == "the model gave no answer: it is empty"
    assert endless.reason.startswith(f"the answer has {MAX_ANSWER_CHARS + 1} characters")


@every_provider
def test_a_reply_that_is_none_is_no_answer(provider: Provider, tmp_path: Path) -> None:
    """Whatever JSON a server sends, there is a reason and no error."""
    sent: list[Any] = [{}, [], {"choices": 1, "content": 1, "candidates": 1}]
    script: Script = lambda body: Said(body=sent[int(text_of(body))])  # noqa: E731
    with asking(provider, tmp_path, script) as (client, _):
        found = client.ask([Prompt("knobs", str(n), 100) for n in range(len(sent))])
    assert all(isinstance(none, NoAnswer) and none.reason for none in found)


@every_provider
def test_a_refusal_by_the_gateway_is_no_answer(provider: Provider, tmp_path: Path) -> None:
    """A model that the run may not use is refused by name, and no request leaves the gateway."""
    with asking(provider, tmp_path, model="another") as (client, gateway):
        [none] = client.ask([PROMPT])
        assert not bodies(gateway)
    assert none.reason.startswith("the gateway refused the request: this run may not use model")


@every_provider
def test_a_spent_cap_ends_the_search(provider: Provider, tmp_path: Path) -> None:
    """The gateway's refusal for a budget is an error, not an answer."""
    with (
        asking(provider, tmp_path, caps={"usd": 1e-7}) as (client, _),
        pytest.raises(OutOfBudgetError, match="usd budget is spent"),
    ):
        client.ask([PROMPT])


@pytest.mark.parametrize(
    ("provider", "status", "message", "reason"),
    [
        ("anthropic", 401, "invalid x-api-key", "the provider answered 401: invalid x-api-key"),
        ("anthropic", 402, "pay", "the provider's account has no money left"),
        ("openai", 403, "no access", "the provider answered 403: no access"),
        ("openai", 404, "no such model", "the provider answered 404: no such model"),
        ("google", 400, "API key not valid.", "the provider answered 400: API key not valid"),
        ("google", 404, "no such model", "the provider answered 404: no such model"),
    ],
)
def test_a_provider_without_a_model_for_the_run_ends_the_search(
    provider: Provider, status: int, message: str, reason: str, tmp_path: Path
) -> None:
    """What was answered beside the request that it refused is kept, and the refusal is not."""
    script: Script = lambda body: Said(  # noqa: E731
        message, status=status if text_of(body) == "1" else 200, after=3
    )
    prompts = [Prompt("label", str(n), 100) for n in range(3)]
    with asking(provider, tmp_path, script) as (client, _):
        model = KeptModel(client, tmp_path / "answers.jsonl")
        with pytest.raises(UselessModelError, match=f"serves this run no model: {reason}"):
            model.ask(prompts)
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 2


@every_provider
def test_a_bad_request_says_what_the_provider_said(provider: Provider, tmp_path: Path) -> None:
    """An error that names no part of the request is not repeated; its words are in the reason."""
    with asking(provider, tmp_path, lambda _: Said("prompt  too\nlong", status=400)) as (
        client,
        gw,
    ):
        [none] = client.ask([PROMPT])
        [record] = gw.usage_records(1)
    assert none == NoAnswer("the provider answered 400: prompt too long", record["request"])


def test_a_gateway_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    """Two requests of which the gateway takes one at a time are both answered."""
    limits = {"concurrency": 1, "queue_seconds": 0.01}
    with asking("anthropic", tmp_path, limits=limits) as (client, _):
        answers = client.ask([PROMPT] * 2)
    assert [type(answer) for answer in answers] == [Answer, Answer]


def test_the_patience_with_a_busy_gateway_ends(tmp_path: Path) -> None:
    """A request that is refused again and again has no answer, and the reason is the gateway's."""
    limits = {"requests_per_minute": 1, "queue_seconds": 0}
    with asking("anthropic", tmp_path, patience=SHORT, limits=limits) as (client, _):
        client.ask([PROMPT])
        [none] = client.ask([PROMPT])
    assert none.reason == "the gateway refused the request: too many requests per minute"


@unconnected
@pytest.mark.usefixtures("collected")
@every_provider
def test_a_gateway_that_is_started_again_is_waited_for(provider: Provider, tmp_path: Path) -> None:
    """A request whose gateway ends under it is answered by the next one on the same socket."""
    script: Script = lambda _: Said(after=2)  # noqa: E731
    found: list[Answer | NoAnswer] = []
    with asking(provider, tmp_path, script) as (client, gateway):
        thread = threading.Thread(target=lambda: found.extend(client.ask([PROMPT])))
        thread.start()
        gateway.wait_for_requests(1)
        gateway.stop()
        gateway.start()
        thread.join(30)
        lost, answered = gateway.usage_records(2)
    assert found == [Answer('{"LR": 0.1}', answered["request"])]
    assert lost["charged_by"] == "reservation"


@unconnected
@pytest.mark.usefixtures("collected")
def test_a_gateway_that_stays_away_is_no_answer(tmp_path: Path) -> None:
    """After the wait for it there is a reason, and no error."""
    client = open_model(config_of("anthropic"), tmp_path / "none.sock", SHORT)
    [none] = client.ask([PROMPT])
    assert none == NoAnswer("the gateway could not be reached (ConnectError)")


@every_provider
def test_a_wrong_token_is_told_and_never_shown(provider: Provider, tmp_path: Path) -> None:
    """The gateway refuses it, and no reason holds it."""
    with gateway_of(provider, tmp_path) as gateway:
        client = open_model(config_of(provider, token="wrong-token"), gateway.socket, SHORT)
        [none] = client.ask([PROMPT])
    assert none.reason.startswith("the gateway refused the request: the request does not present")
    assert "wrong-token" not in none.reason
    assert TOKEN not in none.reason


def test_the_headers_are_the_gateways() -> None:
    """Client and gateway name their two headers alike."""
    assert replies.REQUEST_HEADER == refusal.REQUEST_HEADER
    assert replies.REFUSAL_HEADER == refusal.REFUSAL_HEADER
