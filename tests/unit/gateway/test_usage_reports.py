"""Usage reports: every kind that is billed, sums that add up, and failures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from images.gateway.gatewayd.dialects import DIALECTS
from images.gateway.gatewayd.dialects.base import Dialect, UsageReport
from images.gateway.gatewayd.dialects.tokens import Tokens
from images.gateway.gatewayd.provider.meter import JsonMeter, StreamMeter

from .conftest import Make
from .rig import APIS

ANTHROPIC, RESPONSES, CHAT, GOOGLE = (
    DIALECTS["anthropic"][0], DIALECTS["openai"][0], DIALECTS["openai"][1], DIALECTS["google"][0],
)  # fmt: skip


def metered(dialect: Dialect, *events: Any, whole: bool = True) -> UsageReport:
    """The report of a stream of these events; "[DONE]" is sent as it is."""
    meter = StreamMeter(dialect)
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event)
        meter.feed(f"data: {data}\n\n".encode())
    if whole:
        meter.close()
    return meter.report


# --- what is billed -------------------------------------------------------------------------------


def response(usage: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    """The last event of a Responses stream."""
    return {"type": f"response.{status}", "response": {"status": status, "usage": usage}}


def chat(
    usage: dict[str, Any] | None, finish: str | None = None, choices: bool = True
) -> dict[str, Any]:
    """A chunk of a chat stream."""
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": finish}
    return {
        "object": "chat.completion.chunk", "choices": [choice] if choices else [], "usage": usage,
    }  # fmt: skip


def gemini(usage: dict[str, Any], finish: str = "") -> dict[str, Any]:
    """A chunk of a Gemini stream."""
    candidate = {"content": {"parts": [{"text": "a"}]}} | (
        {"finishReason": finish} if finish else {}
    )
    return {"candidates": [candidate], "usageMetadata": usage}


def test_cache_writes_of_openai_are_read() -> None:
    """They are part of the input, as cached tokens are, and have a rate of their own."""
    details = {"cached_tokens": 300, "cache_write_tokens": 500}
    usage = {"input_tokens": 1000, "output_tokens": 10, "input_tokens_details": details}
    assert metered(RESPONSES, response(usage)).tokens == Tokens(
        input=200, cached_read=300, cache_write_5m=500, output=10
    )
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": details}
    assert metered(CHAT, chat(usage, choices=False)).tokens == Tokens(
        input=200, cached_read=300, cache_write_5m=500, output=10
    )


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_cache_writes_of_openai_cost_a_quarter_more(make: Make, api: str) -> None:
    """This holds by the rate of genai-prices, by an override, and by the default."""
    plan = {"input": 100_000, "write_5m": 600_000, "output": 1000}
    override = {"input": 4, "output": 20}
    for model, prices, rate in (
        ("gpt-5.6-sol", {}, 8.0),  # beyond 272,000 tokens the input is $8
        ("mystery-1", {"mystery-1": override}, 4.0),
        ("mystery-1", {"mystery-1": override | {"cache_write_5m": 7}}, 4.0),
    ):
        gateway = make(api, models=[model], prices=prices)
        gateway.send(plan, model=model)
        [record] = gateway.usage_records(1)
        written = prices.get(model, {}).get("cache_write_5m", rate * 1.25)
        output = 20 if prices else 30
        cost = (100_000 * rate + 600_000 * written + 1000 * output) / 1e6
        assert record["cache_write_5m_tokens"] == 600_000
        assert record["cost_usd"] == pytest.approx(cost, abs=0.001)


def test_a_reservation_covers_cache_writes(make: Make) -> None:
    """OpenAI writes its cache without being asked; a prompt that is all written fits the cap."""
    override = {"mystery-1": {"input": 4, "output": 20}}
    gateway = make("responses", models=["mystery-1"], prices=override, caps={"usd": 0.9})
    for _ in range(3):
        gateway.send({"input": 0, "write_5m": 150_000, "output": 10}, model="mystery-1",
                 instructions="x" * 300_000, max_output_tokens=1000)  # fmt: skip
    assert gateway.context.budget.spent_usd <= 0.9
    assert gateway.events.problems == []


# --- usage only grows, and is final or not --------------------------------------------------------

SMALL, LARGE = {"prompt_tokens": 90, "completion_tokens": 5}, {
    "prompt_tokens": 90, "completion_tokens": 50,
}  # fmt: skip


def test_usage_can_only_grow_within_an_answer() -> None:
    """A later chunk with smaller figures, or without some, lowers nothing."""
    report = metered(CHAT, chat(LARGE), chat(SMALL), chat(SMALL, "stop"), "[DONE]")
    assert report.tokens == Tokens(input=90, output=50)
    first = {"promptTokenCount": 90, "candidatesTokenCount": 40, "thoughtsTokenCount": 30}
    last = {"promptTokenCount": 90, "candidatesTokenCount": 45, "cachedContentTokenCount": 20}
    report = metered(GOOGLE, gemini(first), gemini(last, "STOP"))
    assert report.tokens == Tokens(input=70, cached_read=20, output=75, reasoning=30)
    report = metered(
        ANTHROPIC,
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 80}}},
        {"type": "message_delta", "usage": {"output_tokens": 60}},
        {"type": "message_delta", "usage": {"input_tokens": 5, "output_tokens": 70}},
    )
    assert report.tokens == Tokens(input=9, output=80)


def test_usage_in_a_chunk_with_choices_is_read() -> None:
    """Some servers put it beside the last text and send no chunk of its own."""
    report = metered(CHAT, chat(None), chat(LARGE, "stop"), "[DONE]")
    assert report.complete(whole=True)
    assert report.tokens == Tokens(input=90, output=50)
    growing = metered(CHAT, chat(SMALL), chat(LARGE), chat(LARGE, "length"), "[DONE]")
    assert growing.complete(whole=True)


def test_usage_may_follow_the_finish_reason() -> None:
    """The finish reason and the usage may come in separate chunks, in either order."""
    usage = {"promptTokenCount": 90, "candidatesTokenCount": 40}
    assert metered(GOOGLE, gemini({}, "STOP"), {"usageMetadata": usage}).complete(whole=True)
    assert metered(GOOGLE, gemini(usage), {"candidates": [{"finishReason": "STOP"}]}).complete(
        whole=True
    )
    assert metered(CHAT, chat(LARGE), chat(None, "stop"), "[DONE]").complete(whole=True)


@pytest.mark.parametrize(
    ("dialect", "events"),
    [
        (GOOGLE, [gemini({"promptTokenCount": 90, "candidatesTokenCount": 4})]),
        (CHAT, [chat(SMALL), chat(SMALL)]),
        (RESPONSES, [response({"input_tokens": 9, "output_tokens": 1}, "in_progress")]),
        (ANTHROPIC, [{"type": "message_start", "message": {"usage": {"input_tokens": 9}}}]),
    ],
    ids=["google", "chat", "responses", "anthropic"],
)
def test_an_answer_without_final_usage_is_not_complete(dialect: Dialect, events: list[Any]) -> None:
    """Earlier figures are not the bill, even if the stream ended properly."""
    report = metered(dialect, *events)
    assert report.seen
    assert not report.complete(whole=True)


def test_a_cut_answer_is_complete_only_with_final_usage() -> None:
    """Growing figures may have grown further; a last chunk of its own is final."""
    assert not metered(CHAT, chat(LARGE, "stop"), whole=False).complete(whole=False)
    assert metered(CHAT, chat(LARGE, choices=False), whole=False).complete(whole=False)
    done = {"input_tokens": 9, "output_tokens": 1}
    assert metered(RESPONSES, response(done), whole=False).complete(whole=False)


# --- cross-checks ---------------------------------------------------------------------------------

INCONSISTENT: dict[str, tuple[str, dict[str, Any], dict[str, int]]] = {
    "a total above its kinds": (
        "responses", {"total_tokens": 5000}, {"input_tokens": 1000, "output_tokens": 4000},
    ),
    "a total below its kinds": (
        "chat", {"total_tokens": 7}, {"input_tokens": 1000, "output_tokens": 20},
    ),
    "more cached than there is": (
        "responses", {"input_tokens_details": {"cached_tokens": 3000}},
        {"input_tokens": 1000, "cached_read_tokens": 3000},
    ),
    "more reasoning than output": (
        "chat", {"completion_tokens_details": {"reasoning_tokens": 500}}, {"output_tokens": 520},
    ),
    "a kind that is not known": (
        "responses", {"input_tokens_details": {"hologram_tokens": 40}}, {"output_tokens": 20},
    ),
    "cache writes that are not their parts": (
        "anthropic",
        {
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 900},
        },
        {"cache_write_1h_tokens": 900},
    ),
    "a total of Gemini's above its kinds": (
        "google", {"totalTokenCount": 9000}, {"input_tokens": 1000, "output_tokens": 8000},
    ),
    "more cached than Gemini's prompt": (
        "google", {"cachedContentTokenCount": 4000},
        {"input_tokens": 1000, "cached_read_tokens": 4000},
    ),
    "sound that has its own price": (
        "google", {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 300}]}, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(INCONSISTENT))
def test_an_inconsistent_report_is_reported(make: Make, kind: str) -> None:
    """The journal is told, and the larger reading of the report is charged."""
    api, more, charged = INCONSISTENT[kind]
    gateway = make(api)
    gateway.send({"input": 1000, "output": 20, "more_usage": more}, stream=False)
    [record] = gateway.usage_records(1)
    assert {name: record[name] for name in charged} == charged
    gateway.events.wait_until(lambda: bool(gateway.events.problems))
    assert {during for during, _ in gateway.events.problems} == {"metering"}
    assert "does not add up" in gateway.events.problems[0][1]
    assert record["request"] in gateway.events.problems[0][1]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", sorted(APIS))
def test_a_consistent_report_is_no_problem(make: Make, api: str, stream: bool) -> None:
    """Cached, written and reasoning tokens are part of their sums."""
    gateway = make(api)
    writes = 0 if api == "google" else 200
    plan = {"input": 1000, "cached": 300, "write_5m": writes, "output": 90, "reasoning": 50}
    gateway.send(plan, stream=stream)
    assert gateway.usage_records(1)[0]["charged_by"] == "usage"
    assert gateway.events.problems == []


# --- failures after the headers -------------------------------------------------------------------

FAILS = {
    "anthropic": "overloaded_error", "responses": "server_error", "chat": "overloaded",
    "google": "UNAVAILABLE",
}  # fmt: skip


@pytest.mark.parametrize("api", sorted(FAILS))
def test_a_failed_stream_is_not_charged_its_worst_case(make: Make, api: str) -> None:
    """It is charged the reported usage or the input alone; three of them keep a $5 cap."""
    gateway = make(api, caps={"usd": 5}, prices={APIS[api].model: {"input": 10, "output": 50}})
    for _ in range(3):
        reply = gateway.send({"input": 5000, "output": 60_000, "chunks": 5, "fails": FAILS[api]})
        assert reply.status == 200
    records = gateway.usage_records(3)
    reported = api in ("anthropic", "google")
    assert {record["charged_by"] for record in records} == {"usage" if reported else "input"}
    assert [record["input_tokens"] for record in records] == [5000] * 3 if api != "chat" else True
    assert all(0 < record["cost_usd"] < 0.06 for record in records)
    assert all(record["failure"] == FAILS[api] for record in records)
    assert gateway.events.caps == []


def test_a_failure_with_usage_is_charged_by_usage(make: Make) -> None:
    """OpenAI may report what a failed response used."""
    gateway = make("responses")
    plan = {"input": 800, "output": 70, "fails": "server_error", "fails_with_usage": True}
    gateway.send(plan)
    [record] = gateway.usage_records(1)
    assert (record["charged_by"], record["input_tokens"], record["output_tokens"]) == (
        "usage", 800, 70,
    )  # fmt: skip


def test_a_failed_stream_without_a_count_is_charged_by_an_estimate(make: Make) -> None:
    """The input is estimated from its length, and the record says so."""
    gateway = make("responses")
    gateway.send({"input": 400, "fails": "server_error", "counts": [{"status": 404}]},
             instructions="word " * 4000)  # fmt: skip
    [record] = gateway.usage_records(1)
    assert record["charged_by"] == "input"
    assert 4000 < record["input_tokens"] < 20_000


def test_a_cut_stream_is_charged_its_worst_case(make: Make) -> None:
    """A cut is not a failure that the provider reported, so its bill is unknown."""
    gateway = make("responses")
    gateway.send({"id": "a", "chunks": 20, "faults": [{"cut": 700}]})
    assert gateway.usage_records(1)[0]["charged_by"] == "reservation"


def test_text_of_a_model_is_no_failure() -> None:
    """An answer may speak of errors; only the provider's own event is one."""
    text = '{"type": "error", "error": {"type": "overloaded_error"}} "failed"'
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}
    done = {"type": "message_delta", "usage": {"output_tokens": 3}}
    assert metered(ANTHROPIC, delta, done).failure == ""
    call = {"type": "response.output_item.done", "item": {"type": "function_call", "error": {}}}
    assert metered(RESPONSES, call, response({"input_tokens": 1, "output_tokens": 1})).failure == ""
    part = gemini({"promptTokenCount": 1}, "STOP") | {"error": None}
    assert metered(GOOGLE, part).failure == ""


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_between_the_events_is_read(indent: int | None, wrapped: bool) -> None:
    """Google ends a broken stream with plain JSON: in one line or many, in a list or not."""
    error: Any = {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}
    text = json.dumps([error] if wrapped else error, indent=indent)
    for step in (1, 2, 3, 7, 20, 1000):
        meter = StreamMeter(GOOGLE)
        usage = json.dumps(gemini({"promptTokenCount": 9}))
        stream = f"data: {usage}\r\n\r\n{text}".encode()
        for at in range(0, len(stream), step):
            meter.feed(stream[at : at + step])
        meter.close()
        assert meter.report.failure == "UNAVAILABLE"
        assert meter.report.tokens == Tokens(input=9)


def test_a_failed_whole_answer_is_recognised() -> None:
    """OpenAI may answer 200 with a response of status failed."""
    meter = JsonMeter(RESPONSES)
    error = {"code": "server_error", "message": "on demand"}
    meter.feed(json.dumps({"object": "response", "status": "failed", "error": error}).encode())
    meter.close()
    assert meter.report.failure == "server_error"
