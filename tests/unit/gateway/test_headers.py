"""The headers that the gateway adds: the usage record of an answer, and why it was refused."""

from __future__ import annotations

import pytest

from images.gateway.gatewayd.refusal import REFUSAL_HEADER, REQUEST_HEADER

from .conftest import Make
from .rig import RunningGateway


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_names_its_usage_record(gateway: RunningGateway, stream: bool) -> None:
    """Of two answers, streamed or whole, each names its own record, and neither is a refusal."""
    replies = [gateway.send({}, stream=stream) for _ in range(2)]
    named = [reply.headers[REQUEST_HEADER] for reply in replies]
    assert named == [record["request"] for record in gateway.usage_records(2)]
    assert len(set(named)) == 2
    assert not any(REFUSAL_HEADER in reply.headers for reply in replies)


def test_an_error_of_the_provider_names_its_record(gateway: RunningGateway) -> None:
    """A status that is relayed has a record, which the response names."""
    reply = gateway.send({"id": "a", "faults": [{"status": 400}]})
    [record] = gateway.usage_records(1)
    assert (reply.status, reply.headers[REQUEST_HEADER]) == (400, record["request"])


def test_a_repeated_attempt_is_named_by_the_last_record(gateway: RunningGateway) -> None:
    """Where a lost attempt was charged by itself, the answer names the record of its own."""
    reply = gateway.send({"id": "a", "faults": [{"cut": 0}]})
    lost, answered = gateway.usage_records(2)
    assert lost["charged_by"] == "reservation"
    assert reply.headers[REQUEST_HEADER] == answered["request"] != lost["request"]


def test_a_refusal_says_its_reason(gateway: RunningGateway) -> None:
    """A request that is refused before it is admitted has a reason, and no record to name."""
    reply = gateway.send(target="/v1/files")
    assert reply.headers[REFUSAL_HEADER] == "path"
    assert REQUEST_HEADER not in reply.headers


def test_a_refusal_in_a_stream_says_its_reason(make: Make) -> None:
    """Where a refusal is sent as a stream of status 200, the header says that it is one."""
    reply = make("responses", caps={"usd": 0.000001}).send()
    assert (reply.status, reply.headers[REFUSAL_HEADER]) == (200, "cap")


def test_a_provider_that_never_answers_is_a_refusal_with_a_record(make: Make) -> None:
    """The reason is the provider, and the record of the attempts is named."""
    gateway = make("chat", limits={"retry_seconds": 0})
    reply = gateway.send({"id": "a", "faults": [{"status": 500}] * 9}, stream=False)
    [record] = gateway.usage_records(1)
    assert reply.headers[REFUSAL_HEADER] == "provider"
    assert reply.headers[REQUEST_HEADER] == record["request"]
