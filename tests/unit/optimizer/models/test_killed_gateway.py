"""A gateway's process that is killed under a request: the next process answers it."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import pytest
from models.client import open_model
from models.terms import Answer, NoAnswer, Prompt

from runner.wire.messages import Usage
from tests.unit.gateway.process import Process
from tests.unit.gateway.rig import KEY, TOKEN

from .providers import Said, bodies, config_of, gateway_of


def started(folder: Path, config: dict[str, Any]) -> Process:
    """A gateway's process that serves in this folder."""
    process = Process(folder, {})
    process.begin(**config)
    return process


# A socket that could not connect is left to the garbage collector, which warns of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_killed_gateway_is_waited_for(tmp_path: Path) -> None:
    """The prompt has one answer, of the next process; the lost request is charged in full."""
    volume = tmp_path / "volume"
    volume.mkdir()
    found: list[Answer | NoAnswer] = []
    with gateway_of("anthropic", tmp_path, lambda _: Said(after=2)) as provider:
        config = {
            "provider": "anthropic",
            "base_url": f"unix://{tmp_path / 'model.sock'}",
            "api_key": KEY,
            "token": TOKEN,
            "models": ["claude-opus-4-6"],
            "deadline_seconds": 60,
        }
        first = started(volume, config)
        client = open_model(config_of("anthropic"), volume / "llm.sock")
        prompt = Prompt("knobs", "Propose.", 100)
        thread = threading.Thread(target=lambda: found.extend(client.ask([prompt])))
        thread.start()
        provider.wait_for_requests(1)
        first.popen.kill()
        first.close()
        second = started(volume, config)
        thread.join(30)
        second.until(lambda: sum(isinstance(one, Usage) for one in second.messages) == 2)
        second.close()
        gc.collect()
        assert len(bodies(provider)) == 2
    lost, answered = [one.record for one in second.messages if isinstance(one, Usage)]
    assert found == [Answer('{"LR": 0.1}', answered["request"])]
    assert (lost["charged_by"], answered["charged_by"]) == ("reservation", "usage")
