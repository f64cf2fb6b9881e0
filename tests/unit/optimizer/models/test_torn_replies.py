"""Replies that do not come whole: what was begun is paid for, and is not asked for again."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from models import replies
from models.client import open_model
from models.terms import NoAnswer, Prompt

from runner.wire.model_config import Provider

from .providers import PROVIDERS, Said, bodies, config_of, gateway_of

PROMPT = Prompt("knobs", "Propose.", 500)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("torn", "why"), [("cut", "RemoteProtocolError"), ("silent", "ReadTimeout")]
)
def test_a_torn_reply_is_no_answer_and_costs_one_request(
    provider: Provider, torn: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names the usage record of the one request that reached the provider."""
    if torn == "silent":
        monkeypatch.setattr(f"models.{provider}_api.ANSWER_SECONDS", 0.5)
    with gateway_of(provider, tmp_path, lambda _: Said(torn=torn)) as gateway:
        client = open_model(config_of(provider), gateway.socket)
        [none] = client.ask([PROMPT])
        gateway.release()
        [record] = gateway.usage_records(1)
        assert len(bodies(gateway)) == 1
    assert none == NoAnswer(f"the reply was cut off ({why})", record["request"])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ConnectError(""), replies.AwayError),
        (httpx2.ConnectTimeout(""), replies.AwayError),
        (httpx2.ReadError(""), replies.AwayError),
        (httpx2.RemoteProtocolError(""), replies.AwayError),
        (httpx2.ReadTimeout(""), replies.NoReplyError),
        (httpx2.DecodingError(""), replies.NoReplyError),
        (ValueError(), replies.NoReplyError),
        (None, replies.NoReplyError),
    ],
)
def test_only_a_request_without_any_reply_is_repeated(error: Any, kind: type[Exception]) -> None:
    """One that timed out, or that fails for another reason, may be paid for already."""
    assert isinstance(replies.lost(error), kind)
